// Command onboard gives a user that the stack declares a kubeconfig with a short-lived certificate. The key is generated on
// this machine and never leaves it. A second call for the same file renews the certificate.
//
// It runs with the caller's own kubeconfig and rights. A caller who may approve certificates for the signer
// kubernetes.io/kube-apiserver-client needs nobody else. For others it prints what an administrator has to do, and waits.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := command(os.Stdout).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "onboard:", err)
		os.Exit(1)
	}
}

// command returns the command line.
func command(stdout io.Writer) *cobra.Command {
	var kubeconfig, server string
	o := &onboarding{stdout: stdout, poll: 500 * time.Millisecond, now: time.Now}
	c := &cobra.Command{
		Use:   "onboard USER",
		Short: "Give a person that the stack declares a kubeconfig that expires",
		Example: `  onboard alice
  onboard alice --expires 4h --out ~/.kube/journal
  kubectl --kubeconfig alice.kubeconfig get pods`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return fmt.Errorf("arguments %q: one user is expected; write for example `onboard alice`", strings.Join(args, " "))
			}
			return nil
		},
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, args []string) error {
			o.user = args[0]
			if o.out == "" {
				o.out = o.user + ".kubeconfig"
			}
			config, err := callersConfig(kubeconfig)
			if err != nil {
				return err
			}
			if o.clients, err = kubernetes.NewForConfig(config); err != nil {
				return err
			}
			o.server, o.serverName, o.authorities = config.Host, config.ServerName, config.CAData
			if server != "" {
				o.server = server
			}
			return o.run(c.Context())
		},
	}
	c.Flags().StringVar(&kubeconfig, "kubeconfig", "", "the caller's kubeconfig `file` (default: as kubectl, $KUBECONFIG or ~/.kube/config)")
	c.Flags().StringVar(&o.out, "out", "", "the `file` to write (default USER.kubeconfig)")
	c.Flags().DurationVar(&o.expires, "expires", 8*time.Hour, "how long the certificate holds, from 10m to 24h; the cluster may make it shorter")
	c.Flags().DurationVar(&o.patience, "wait", 10*time.Minute, "how long to wait for somebody's approval")
	c.Flags().StringVar(&server, "server", "", "`URL` of the apiserver to write (default: the one in the caller's kubeconfig)")
	return c
}

// callersConfig reads the caller's kubeconfig, as kubectl does.
func callersConfig(file string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = file
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read the caller's kubeconfig %q: %w; name one with --kubeconfig", file, err)
	}
	if config.Insecure {
		return nil, fmt.Errorf("kubeconfig %q: says insecure-skip-tls-verify, and a key is not handed to a server that anybody may play; give it the certificate-authority", file)
	}
	return config, rest.LoadTLSFiles(config)
}
