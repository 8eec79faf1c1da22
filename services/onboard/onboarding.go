package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	certificates "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	// platform is the namespace with the list of users and the record of certificates.
	platform = "journal-platform"
	// usersName is the ConfigMap with all users that the stack declares.
	usersName = "users"

	// shortest is the shortest validity that a signer grants, and longest the longest that is requested: bindings end the
	// access of a user who leaves, but a stolen certificate cannot be revoked.
	shortest, longest = 10 * time.Minute, 24 * time.Hour
)

// onboarding is one call of the program.
type onboarding struct {
	user              string
	out               string
	expires, patience time.Duration
	poll              time.Duration
	clients           kubernetes.Interface
	// server, serverName and authorities say how to reach and to authenticate the API server.
	server, serverName string
	authorities        []byte
	stdout             io.Writer
	now                func() time.Time
}

// person is a user's entry in the stack's list of users.
type person struct {
	// Namespace is the default namespace of the kubeconfig.
	Namespace string `json:"namespace"`
	// Namespaces are all namespaces of the user, with the role in each.
	Namespaces map[string]string `json:"namespaces"`
}

// run gives the user a kubeconfig. It checks everything that it can before it sends anything.
func (o *onboarding) run(ctx context.Context) error {
	if o.expires < shortest || o.expires > longest {
		return fmt.Errorf("--expires %q: not from %v to %v; write for example 8h", o.expires, shortest, longest)
	}
	if strings.HasPrefix(o.user, "system:") {
		return fmt.Errorf("user %q: names that begin with system: are Kubernetes' own; write a person's name", o.user)
	}
	renewed, err := o.checkOut()
	if err != nil {
		return err
	}
	declared, offered, err := o.lookUp(ctx)
	if err != nil {
		return err
	}

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	request, err := o.request(ctx, key)
	if err != nil {
		return err
	}
	approvedBy, err := o.approve(ctx, request)
	if err != nil {
		return err
	}
	chain, err := o.await(ctx, request.Name)
	if err != nil {
		return err
	}
	certificate, err := o.check(chain, key)
	if err != nil {
		return fmt.Errorf("certificatesigningrequest %s: %w", request.Name, err)
	}
	if err := o.writeKubeconfig(declared.Namespace, chain, key); err != nil {
		return err
	}

	verb := "wrote"
	if renewed {
		verb = "renewed"
	}
	fmt.Fprintf(o.stdout, "%s %s: user %s, namespace %s, until %s (%v from now)\n", verb, o.out, o.user, declared.Namespace,
		certificate.NotAfter.Local().Format(time.RFC3339), certificate.NotAfter.Sub(o.now()).Round(time.Minute))
	fmt.Fprintf(o.stdout, "to renew it, run onboard again; to use it: export KUBECONFIG=%s\n", quoted(o.out))
	o.explain(declared, offered)

	err = o.record(ctx, entry{
		Issued: o.now().UTC().Truncate(time.Second), Expires: certificate.NotAfter.UTC(), ApprovedBy: approvedBy, Fingerprint: fingerprint(certificate),
	})
	if apierrors.IsForbidden(err) {
		fmt.Fprintf(o.stdout, "note: you may not write the record of issued certificates, so this one is not in it: %v\n", err)
		return nil
	}
	return err
}

// checkOut checks that the file to write is not another user's, and reports whether it exists.
func (o *onboarding) checkOut() (renewed bool, err error) {
	config, err := clientcmd.LoadFromFile(o.out)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil || len(config.AuthInfos) != 1 || config.AuthInfos[o.user] == nil {
		return false, fmt.Errorf("--out %q: is there and is no kubeconfig of %s alone, so it is not overwritten; name another file", o.out, o.user)
	}
	return true, nil
}

// lookUp finds the user in the stack's list of users, and what the namespaces offer.
func (o *onboarding) lookUp(ctx context.Context) (found person, offered offers, err error) {
	config, err := o.clients.CoreV1().ConfigMaps(platform).Get(ctx, usersName, metav1.GetOptions{})
	if err != nil {
		return found, offered, fmt.Errorf("read who is declared: %w; the stack writes ConfigMap %s/%s, run `pulumi up`, and you must be allowed to read it",
			err, platform, usersName)
	}
	var people map[string]person
	if err := json.Unmarshal([]byte(config.Data["users.json"]), &people); err != nil {
		return found, offered, fmt.Errorf("ConfigMap %s/%s users.json: %w; the stack writes it, run `pulumi up`", platform, usersName, err)
	}
	if err := json.Unmarshal([]byte(config.Data["offers.json"]), &offered); err != nil {
		return found, offered, fmt.Errorf("ConfigMap %s/%s offers.json: %w; the stack writes it, run `pulumi up`", platform, usersName, err)
	}
	found, ok := people[o.user]
	if !ok {
		return found, offered, fmt.Errorf("user %q: is not declared by the stack; add the user to its configuration and run `pulumi up`", o.user)
	}
	if found.Namespace == "" {
		return found, offered, fmt.Errorf("user %q: has no namespace in ConfigMap %s/%s; the stack writes it, run `pulumi up`", o.user, platform, usersName)
	}
	return found, offered, nil
}

// request requests a certificate for the key. It names no group: only the stack's bindings give the user rights, which end
// with them.
func (o *onboarding) request(ctx context.Context, key *ecdsa.PrivateKey) (*certificates.CertificateSigningRequest, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: o.user}}, key)
	if err != nil {
		return nil, err
	}
	suffix := make([]byte, 6)
	_, _ = rand.Read(suffix) // It never fails.
	seconds := int32(o.expires.Seconds())
	request, err := o.clients.CertificatesV1().CertificateSigningRequests().Create(ctx, &certificates.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "onboard-" + hex.EncodeToString(suffix)},
		Spec: certificates.CertificateSigningRequestSpec{
			Request:           pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName:        certificates.KubeAPIServerClientSignerName,
			ExpirationSeconds: &seconds,
			Usages:            []certificates.KeyUsage{certificates.UsageDigitalSignature, certificates.UsageClientAuth},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("ask for a certificate: %w", err)
	}
	return request, nil
}

// approve approves the request as the caller, whose name it returns, or says what somebody else has to do.
func (o *onboarding) approve(ctx context.Context, request *certificates.CertificateSigningRequest) (by string, err error) {
	request = request.DeepCopy()
	request.Status.Conditions = append(request.Status.Conditions, certificates.CertificateSigningRequestCondition{
		Type: certificates.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Onboarded",
		Message: fmt.Sprintf("user %s is declared by the stack", o.user),
	})
	_, err = o.clients.CertificatesV1().CertificateSigningRequests().UpdateApproval(ctx, request.Name, request, metav1.UpdateOptions{})
	switch {
	case apierrors.IsForbidden(err):
		fmt.Fprintf(o.stdout, "you may not approve certificates; waiting %v for somebody who may approve signer %s to run:\n  kubectl certificate approve %s\n",
			o.patience, certificates.KubeAPIServerClientSignerName, request.Name)
		return "another", nil
	case err != nil:
		return "", fmt.Errorf("approve certificatesigningrequest %s: %w", request.Name, err)
	}
	return request.Spec.Username, nil // The apiserver wrote there who made the request: the caller.
}

// await waits for the certificate and returns it as PEM.
func (o *onboarding) await(ctx context.Context, name string) ([]byte, error) {
	var chain []byte
	err := wait.PollUntilContextTimeout(ctx, o.poll, o.patience, true, func(ctx context.Context) (bool, error) {
		request, err := o.clients.CertificatesV1().CertificateSigningRequests().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, c := range request.Status.Conditions {
			if c.Type == certificates.CertificateDenied || c.Type == certificates.CertificateFailed {
				return false, fmt.Errorf("certificatesigningrequest %s: is %s, because %s: %s", name, strings.ToLower(string(c.Type)), c.Reason, c.Message)
			}
		}
		chain = request.Status.Certificate
		return len(chain) > 0, nil
	})
	if wait.Interrupted(err) {
		return nil, fmt.Errorf("certificatesigningrequest %s: no certificate within %v; have it approved and run onboard again, which makes a new request, or wait longer with --wait",
			name, o.patience)
	}
	return chain, err
}

// check checks that the certificate is the requested one, and returns it.
func (o *onboarding) check(chain []byte, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	block, _ := pem.Decode(chain)
	if block == nil {
		return nil, errors.New("the signer wrote no PEM certificate")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	switch subject := certificate.Subject; {
	case !key.PublicKey.Equal(certificate.PublicKey):
		return nil, errors.New("the certificate is for another key")
	case subject.CommonName != o.user || len(subject.Organization) > 0:
		return nil, fmt.Errorf("the certificate is for %q in %q, not for %q without a group", subject.CommonName, subject.Organization, o.user)
	case certificate.NotAfter.After(o.now().Add(longest + time.Minute)):
		return nil, fmt.Errorf("the certificate holds until %v, longer than %v; the signer must respect expirationSeconds", certificate.NotAfter, longest)
	}
	return certificate, nil
}

// writeKubeconfig writes the whole file or nothing, readable by the caller only.
func (o *onboarding) writeKubeconfig(namespace string, chain []byte, key *ecdsa.PrivateKey) (err error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	const cluster = "journal"
	text, err := clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{cluster: {
			Server: o.server, TLSServerName: o.serverName, CertificateAuthorityData: o.authorities,
		}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{o.user: {
			ClientCertificateData: chain, ClientKeyData: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		}},
		Contexts:       map[string]*clientcmdapi.Context{cluster: {Cluster: cluster, AuthInfo: o.user, Namespace: namespace}},
		CurrentContext: cluster,
	})
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(o.out), ".onboard-*") // Made with mode 0600.
	if err != nil {
		return fmt.Errorf("--out %q: %w", o.out, err)
	}
	_, err = io.Copy(file, bytes.NewReader(text))
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), o.out)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("--out %q: %w", o.out, err), os.Remove(file.Name()))
	}
	return nil
}

// fingerprint returns the SHA-256 of a certificate.
func fingerprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return hex.EncodeToString(sum[:])
}
