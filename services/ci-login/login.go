package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	authentication "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clientauthenticationv1 "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// login writes the kubeconfig, tells the later steps of the job where it is, and says who the job is to the cluster.
func login(ctx context.Context, i issuer, getenv func(string) string, stdout io.Writer) error {
	server, authority, context := getenv("KUBE_SERVER"), getenv("KUBE_CA"), cmp.Or(getenv("KUBE_CONTEXT"), "ci")
	if at, err := url.Parse(server); err != nil || at.Scheme != "https" || at.Host == "" {
		return fmt.Errorf("KUBE_SERVER %q: must be the https URL of the API server; set the variable in the environment of the workflow", server)
	}
	if authority != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(authority)) {
		return errors.New("KUBE_CA: must hold the certificate of the cluster's authority as PEM; leave it out if a public authority has signed the API server's")
	}
	token, of, err := i.token(ctx)
	if err != nil {
		return err
	}
	name, err := whoAmI(ctx, server, authority, token)
	if err != nil {
		return refused(err, server, i.audience, of)
	}
	path, err := write(server, authority, context, i.audience, cmp.Or(getenv("RUNNER_TEMP"), os.TempDir()))
	if err != nil {
		return err
	}
	if file := getenv("GITHUB_ENV"); file != "" {
		if err := appendTo(file, "KUBECONFIG="+path+"\n"); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "%s: to %s this job is %s\n", path, server, name)
	return nil
}

// whoAmI asks the API server for the name of who has a token.
func whoAmI(ctx context.Context, server, authority, token string) (string, error) {
	clients, err := kubernetes.NewForConfig(&rest.Config{Host: server, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: []byte(authority)}})
	if err != nil {
		return "", err
	}
	review, err := clients.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authentication.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return review.Status.UserInfo.Username, nil
}

// refused puts an error into the words that help, with the claims that the API server's rules look at.
func refused(err error, server, audience string, of claims) error {
	if apierrors.IsUnauthorized(err) {
		return fmt.Errorf("%s refuses the token of this job, which has audience %q, %s; compare them with the rules of its AuthenticationConfiguration, "+
			"and the environment of the job with what it may deploy", server, audience, of)
	}
	return fmt.Errorf("ask %s who this job is: %w", server, err)
}

// write writes the kubeconfig into a folder. It holds no credential: the plugin reads the job's variables when it is called.
func write(server, authority, context, audience, folder string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	config := api.NewConfig()
	config.Clusters[context] = &api.Cluster{Server: server, CertificateAuthorityData: []byte(authority)}
	config.AuthInfos[context] = &api.AuthInfo{Exec: &api.ExecConfig{
		APIVersion: clientauthenticationv1.SchemeGroupVersion.String(), Command: self, Args: []string{"token"},
		Env: []api.ExecEnvVar{{Name: "KUBE_AUDIENCE", Value: audience}}, InteractiveMode: api.NeverExecInteractiveMode,
	}}
	config.Contexts[context] = &api.Context{Cluster: context, AuthInfo: context}
	config.CurrentContext = context
	path := filepath.Join(folder, "ci.kubeconfig")
	return path, clientcmd.WriteToFile(*config, path)
}

// appendTo appends a line to a file.
func appendTo(path, line string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, line)
	return errors.Join(err, file.Close())
}
