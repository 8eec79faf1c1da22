// Command figures shows what a tenant's namespaces use, and which alerts fire there. It asks the API server with the caller's own
// kubeconfig, so whatever kubectl accepts as a credential works, and the rights of the caller decide.
//
// It is a plugin of kubectl as well: built as kubectl-journal_figures and put on the PATH, it is `kubectl journal-figures`.
package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/journal/services/internal/observe"
)

func main() { observe.Run("figures", command) }

// kind is what this program reads.
var kind = observe.Kind{
	Resource: "metrics",
	Gone:     "figures end with their namespace, so those of %s can no longer be read",
	Busy:     "end another query or page of yours",
}

// options are the flags, as they are written, and what differs between the program and its tests.
type options struct {
	observe.Flags
	query, output string
	web           bool

	now func() time.Time
}

// check checks the flags, all together.
func (o *options) check() error {
	faults := []error{
		o.CheckPlaces(),
		observe.Exclude("the page shows one namespace", map[string]bool{"--web": o.web, "--all-namespaces": o.Everything}),
		observe.Exclude("the page has its own", map[string]bool{"--web": o.web, "--output json": o.output == "json"}),
	}
	if o.output != "table" && o.output != "json" {
		faults = append(faults, fmt.Errorf("--output %q: must be one of table, json", o.output))
	}
	return errors.Join(faults...)
}

// command returns the command line. The name is the one that its usage shows.
func command(name string, stdout, stderr io.Writer) *cobra.Command {
	return commandAt(time.Now, name, stdout, stderr)
}

// commandAt returns the command line at another time.
func commandAt(now func() time.Time, name string, stdout, stderr io.Writer) *cobra.Command {
	o := options{now: now}
	c := &cobra.Command{
		Use:         "figures",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: name},
		Short:       "Show what namespaces use, and which alerts fire there",
		Long: `Show what namespaces use, and which alerts fire there.

Without a namespace, it reads the one of the kubeconfig's context. CPU is the mean of the last two minutes, and memory is the
working set, which a limit counts. The quotas are the used part of what pods may request, and of their number. RESTARTS of
containers and DROPPED lines of logs are those of the last hour. A figure that the store does not have is "-". The exit code
is 0 if everything that may be read was read.`,
		Example: strings.ReplaceAll(`  NAME --tenant team-a
  NAME --namespace alice --output json
  NAME --query 'sum(rate(container_cpu_usage_seconds_total[5m])) by (pod)'
  NAME --web`, "NAME", name),
		Args: func(_ *cobra.Command, args []string) error {
			return observe.NoArguments(args, "write a namespace as --namespace, a query as --query")
		},
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			api, err := o.Connect(kind)
			if err != nil {
				return err
			}
			v := &viewer{options: o, api: api, stdout: stdout, stderr: stderr}
			return v.run(c.Context())
		},
	}
	c.SetOut(stdout)
	c.SetErr(stderr)
	flags := c.Flags()
	flags.SortFlags = false
	o.AddPlaces(flags)
	flags.StringVar(&o.query, "query", "", "show the result of a `query` in MetricsQL, in which PromQL is contained, instead of the table")
	flags.StringVarP(&o.output, "output", "o", "table", "the `form`: table, or json with one object a line")
	flags.BoolVar(&o.web, "web", false, "serve the store's own page with the dashboards for one namespace on this machine, and print its link")
	o.AddKubeconfig(flags)
	return c
}
