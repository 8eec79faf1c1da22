// Command logs reads the lines that pods wrote, also those of pods and claimed namespaces that are gone. It asks the API server
// with the caller's own kubeconfig, so whatever kubectl accepts as a credential works, and the rights of the caller decide.
//
// It is a plugin of kubectl as well: built as kubectl-journal_logs and put on the PATH, it is `kubectl journal-logs`.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // A second signal ends the process at once.
	name := nameOf(os.Args[0])
	err := command(name, os.Stdout, os.Stderr).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// nameOf returns what a person types to run this program, which is a plugin of kubectl under the name of one.
func nameOf(program string) string {
	name, isPlugin := strings.CutPrefix(filepath.Base(program), "kubectl-")
	if !isPlugin {
		return "logs"
	}
	return "kubectl " + strings.ReplaceAll(name, "_", "-") // as kubectl finds plugins
}

// command returns the command line. The name is the one that its usage shows.
func command(name string, stdout, stderr io.Writer) *cobra.Command {
	var file, cluster string
	o := options{now: time.Now, pause: time.Second}
	c := &cobra.Command{
		Use:         "logs",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: name},
		Short:       "Read the lines that pods wrote, also of pods that are gone",
		Long: `Read the lines that pods wrote, also of pods and claimed namespaces that are gone.

Without a namespace, it reads the one of the kubeconfig's context. A claimed namespace that is gone is read in the
namespace of its tenant, with --claimed. The exit code is 0 if everything that may be read was read, also if that is no line.`,
		Example: strings.ReplaceAll(`  NAME --tenant team-a --app api --since 1h --grep error
  NAME --namespace alice --follow
  NAME --tenant team-a --claimed claim-try-x7k2p --since 2d
  NAME --query 'error | stats by (k8s.pod.name) count()'
  NAME --web`, "NAME", name),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("argument %q: none is expected; write a pod as --pod, a namespace as --namespace", args[0])
			}
			return nil
		},
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			o.sinceGiven = c.Flags().Changed("since")
			asked, err := o.check()
			if err != nil {
				return err
			}
			rules := clientcmd.NewDefaultClientConfigLoadingRules()
			rules.ExplicitPath = file
			kubeconfig := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: cluster})
			config, err := kubeconfig.ClientConfig()
			if err != nil {
				return fmt.Errorf("read the kubeconfig %q: %w; name one with --kubeconfig or KUBECONFIG", file, err)
			}
			if o.namespace == "" {
				if o.namespace, _, err = kubeconfig.Namespace(); err != nil {
					return fmt.Errorf("read the namespace of the kubeconfig's context: %w; name one with --namespace", err)
				}
			}
			logs, err := newAPI(config)
			if err != nil {
				return err
			}
			v := &viewer{api: logs, asked: asked, options: o, stderr: stderr, printer: printer{out: stdout, json: o.output == "json", colour: isTerminal(stdout)}}
			return v.run(c.Context())
		},
	}
	c.SetOut(stdout)
	c.SetErr(stderr)
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVarP(&o.namespace, "namespace", "n", "", "the `namespace` to read (default: that of the kubeconfig's context)")
	flags.StringVar(&o.tenant, "tenant", "", "read all namespaces of a `tenant` that you may read, claimed ones included")
	flags.BoolVarP(&o.everything, "all-namespaces", "A", false, "read all namespaces, for the platform team")
	flags.StringVar(&o.claimed, "claimed", "", "read a claimed `namespace` of the tenant that is gone")
	flags.StringVar(&o.pod, "pod", "", "only the lines of the `pod` of this name")
	flags.StringVar(&o.app, "app", "", "only the lines of pods with this `name` in the label app.kubernetes.io/name or app")
	flags.StringVarP(&o.container, "container", "c", "", "only the lines of containers of this `name`")
	flags.StringVar(&o.grep, "grep", "", "only the lines with this `text` in them, as it is written")
	flags.StringVar(&o.query, "query", "", "a `query` in LogsQL instead of --pod, --app, --container and --grep; after a pipe, the order of lines is the query's")
	flags.StringVar(&o.since, "since", "1h", "from `when`: a time before now such as 90m or 7d, or in RFC 3339; with --follow, 10s is the default")
	flags.StringVar(&o.until, "until", "", "until `when`, written as for --since (default: now)")
	flags.IntVar(&o.limit, "limit", 1000, "the `number` of lines, from 1 to 10000; the newest are shown")
	flags.BoolVarP(&o.follow, "follow", "f", false, "go on with lines as they come, until it is interrupted")
	flags.StringVarP(&o.output, "output", "o", "text", "the `form`: text, or json with one object a line")
	flags.BoolVar(&o.web, "web", false, "serve the store's own page for one namespace on this machine, and print its link")
	flags.StringVar(&file, "kubeconfig", "", "the kubeconfig `file` (default: as kubectl, $KUBECONFIG or ~/.kube/config)")
	flags.StringVar(&cluster, "context", "", "the kubeconfig's `context` to use")
	return c
}
