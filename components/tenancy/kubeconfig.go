package tenancy

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"example.com/journal/components/kube"
	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
)

// KubeconfigArgs are the parameters of a kubeconfig for users of an identity provider.
type KubeconfigArgs struct {
	// Cluster names the cluster in the file. Required.
	Cluster string
	// Server is the address of the API server, https://host:port. Required.
	Server string
	// CertificateAuthority is the API server's CA, in PEM. Empty means one that the system trusts.
	CertificateAuthority string
	// Namespace is where commands go by default. Required.
	Namespace string
	// Command is the exec plugin, with its arguments, that prints a credential: kubectl's plugin oidc-login for an OIDC
	// issuer, or an IAM's own program. It holds no secret. Required.
	Command []string
}

// Check returns every rule that the arguments break.
func (args KubeconfigArgs) Check() kube.Faults {
	var f kube.Faults
	f.Check("cluster", args.Cluster, kube.CheckObjectName(args.Cluster))
	f.Check("namespace", args.Namespace, kube.CheckName(args.Namespace))
	if !strings.HasPrefix(args.Server, "https://") {
		f.Check("server", args.Server, errors.New("no address of an API server; write https://host:port, such as https://kubernetes.example.com:6443"))
	}
	if args.CertificateAuthority != "" && !strings.HasPrefix(strings.TrimSpace(args.CertificateAuthority), "-----BEGIN CERTIFICATE-----") {
		f.Check("certificateAuthority", args.CertificateAuthority, errors.New("no certificate in PEM; write the text that begins with -----BEGIN CERTIFICATE-----"))
	}
	if len(args.Command) == 0 || args.Command[0] == "" {
		f.Check("command", args.Command, errors.New("it is missing: without a secret in the file, a program must sign the user in; write the exec plugin's command line"))
	}
	return f
}

// Kubeconfig returns the text of a kubeconfig that holds no secret: an exec plugin signs the user in.
func Kubeconfig(args KubeconfigArgs) (string, error) {
	if err := args.Check().Err(); err != nil {
		return "", fmt.Errorf("kubeconfig of %q: %w", args.Namespace, err)
	}
	cluster := map[string]any{"server": args.Server}
	if args.CertificateAuthority != "" {
		cluster["certificate-authority-data"] = base64.StdEncoding.EncodeToString([]byte(args.CertificateAuthority))
	}
	const user = "user"
	text, err := encoding.YAML.Marshal(map[string]any{
		"apiVersion":      "v1",
		"kind":            "Config",
		"clusters":        []any{map[string]any{"name": args.Cluster, "cluster": cluster}},
		"contexts":        []any{map[string]any{"name": args.Namespace, "context": map[string]any{"cluster": args.Cluster, "namespace": args.Namespace, "user": user}}},
		"current-context": args.Namespace,
		"users": []any{map[string]any{"name": user, "user": map[string]any{"exec": map[string]any{
			"apiVersion":      "client.authentication.k8s.io/v1",
			"command":         args.Command[0],
			"args":            args.Command[1:],
			"interactiveMode": "IfAvailable",
		}}}},
	})
	return string(text), err
}
