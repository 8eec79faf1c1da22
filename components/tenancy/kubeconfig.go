package tenancy

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"

	"example.com/journal/components/rules"
)

// KubeconfigArgs are the parameters of a kubeconfig for users who sign in with an identity provider.
type KubeconfigArgs struct {
	// Cluster names the cluster in the file.
	Cluster string `json:"cluster" required:"true" example:"shared"`
	// Server is the address of the API server.
	Server string `json:"server" required:"true" example:"https://kubernetes.example.com:6443"`
	// CertificateAuthority is the certificate, in PEM, of the authority that signed the API server's. The default is the
	// authorities that the user's system trusts.
	CertificateAuthority string `json:"certificateAuthority"`
	// Command is the exec plugin that prints a credential, with its arguments: kubectl's plugin oidc-login for an OIDC issuer,
	// or the command of a cloud's IAM. It must hold no secret.
	Command []string `json:"command" required:"true" example:"[kubectl, oidc-login, get-token]"`
	// Namespace is the default namespace of commands. Required.
	Namespace string `json:"-"`
}

// Check returns every rule that the arguments break.
func (args KubeconfigArgs) Check() rules.Faults {
	f := rules.CheckTags(&args)
	if args.Cluster != "" {
		f.Check("cluster", args.Cluster, rules.CheckObjectName(args.Cluster))
	}
	f.Check("namespace", args.Namespace, rules.CheckName(args.Namespace))
	if args.Server != "" {
		f = append(f, checkServer(args.Server)...)
	}
	if args.CertificateAuthority != "" {
		_, faults := rules.ParseCertificates(args.CertificateAuthority)
		f = append(f, faults.In("certificateAuthority")...)
	}
	if len(args.Command) > 0 && args.Command[0] == "" {
		f.Refuse("command[0]", "", "it is empty; write the name of the program that signs the user in, such as kubectl")
	}
	for i, word := range args.Command {
		f.Check(fmt.Sprintf("command[%d]", i), word, rules.CheckVisible(word))
	}
	return f
}

// checkServer refuses what is not the address of an API server. Its faults never show a password.
func checkServer(server string) (f rules.Faults) {
	const fix = "write https://host:port, such as https://kubernetes.example.com:6443"
	address, err := url.Parse(server)
	switch {
	case err != nil || address.Scheme != "https" || address.Hostname() == "":
		if strings.Contains(server, "@") {
			server = hidden
		}
		f.Refuse("server", server, "not the address of an API server; %s", fix)
	case address.User != nil:
		f.Refuse("server", hidden, "it has a user or a password, and a kubeconfig holds none; %s", fix)
	case address.Path != "" && address.Path != "/" || address.RawQuery != "" || address.Fragment != "":
		f.Refuse("server", server, "it has more than a host and a port; %s", fix)
	case address.Port() != "":
		if port, err := strconv.Atoi(address.Port()); err != nil || port < 1 || port > 65535 {
			f.Refuse("server", server, "the port must be 1 to 65535; %s", fix)
		}
	}
	return f
}

// hidden stands for a value that may hold a secret.
const hidden = "[hidden]"

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
