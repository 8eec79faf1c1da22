// Command logs reads the lines that pods wrote, also those of pods and claimed namespaces that are gone. It asks the API server
// with the caller's own kubeconfig, so whatever kubectl accepts as a credential works, and the rights of the caller decide.
//
// It is a plugin of kubectl as well: built as kubectl-journal_logs and put on the PATH, it is `kubectl journal-logs`.
package main

import (
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/journal/services/internal/observe"
)

func main() { observe.Run("logs", command) }

// command returns the command line. The name is the one that its usage shows.
func command(name string, stdout, stderr io.Writer) *cobra.Command {
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
			return observe.NoArguments(args, "write a pod as --pod, a namespace as --namespace")
		},
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			o.sinceGiven = c.Flags().Changed("since")
			asked, err := o.check()
			if err != nil {
				return err
			}
			api, err := o.Connect(kind)
			if err != nil {
				return err
			}
			v := &viewer{api: api, asked: asked, options: o, stderr: stderr, printer: printer{out: stdout, json: o.output == "json", colour: observe.IsTerminal(stdout)}}
			return v.run(c.Context())
		},
	}
	c.SetOut(stdout)
	c.SetErr(stderr)
	flags := c.Flags()
	flags.SortFlags = false
	o.AddPlaces(flags)
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
	o.AddKubeconfig(flags)
	return c
}
