// Command pr-env runs the journal of a pull request in a temporary namespace, with the rights of a developer. It claims the namespace,
// renders the stack pr for it, applies the objects and waits until they run. A further call updates them and keeps the data. The
// claim is all that is to be deleted, and it ends by itself: there is no state besides it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"example.com/journal/services/namespace-controller/api"
)

const (
	// program is the manager of the fields that it applies.
	program = "pr-env"
	// pullRequestLabel is on the claim and on all objects of an environment. Its value is the number of the pull request.
	pullRequestLabel = "journal.example.com/pull-request"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := command(os.Stdout, os.Stderr).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pr-env:", err)
		os.Exit(1)
	}
}

// environment is what runs for one pull request.
type environment struct {
	client client.Client
	// number is that of the pull request.
	number string
	// tenant is the namespace in which the namespace is claimed.
	tenant string
	// patience is how long each step may wait for the cluster.
	patience, poll time.Duration
	now            func() time.Time
	stdout, stderr io.Writer
}

// claimName is the name of the claim, and the first label of the host.
func (e *environment) claimName() string { return "pr-" + e.number }

// say tells the caller what is done.
func (e *environment) say(format string, values ...any) {
	fmt.Fprintf(e.stdout, format+"\n", values...)
}

// number matches that of a pull request. A longer one is no label's value.
var number = regexp.MustCompile(`^[1-9][0-9]{0,8}$`)

// command returns the command line.
func command(stdout, stderr io.Writer) *cobra.Command {
	e := &environment{poll: 500 * time.Millisecond, now: time.Now, stdout: stdout, stderr: stderr}
	var kubeconfig string
	root := &cobra.Command{
		Use: program, Short: "Run the journal of a pull request in a temporary namespace",
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return e.connect(kubeconfig) },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	flags := root.PersistentFlags()
	flags.StringVar(&kubeconfig, "kubeconfig", "", "the kubeconfig `file` (default: as kubectl, $KUBECONFIG or ~/.kube/config)")
	flags.StringVar(&e.tenant, "tenant", "", "the `tenant` whose share the environment uses (default: the namespace of the kubeconfig's context)")
	flags.DurationVar(&e.patience, "timeout", 3*time.Minute, "how long each step may wait for the cluster")

	up := &push{}
	upCommand := &cobra.Command{
		Use: "up NUMBER [KEY=VALUE...]", Short: "Make the environment of a pull request, or update it",
		Example: "  pr-env up 123 api.image=registry.example.com/journal-api:v0.1.0-0a1b2c3",
		Args:    func(_ *cobra.Command, args []string) error { return e.pullRequest(args) },
		RunE: func(c *cobra.Command, args []string) error {
			up.changes = args[1:]
			return e.up(c.Context(), up)
		},
	}
	flags = upCommand.Flags()
	flags.StringVar(&up.class, "class", "small", "the `class` of the namespace")
	flags.DurationVar(&up.ttl, "ttl", 24*time.Hour, "how long the environment stays after this call")
	flags.StringVar(&up.project, "project", ".", "the `folder` of Pulumi.yaml")
	flags.StringVar(&up.render, "render", "", "the `program` that renders a stack, built from ./render")

	downCommand := &cobra.Command{
		Use: "down NUMBER", Short: "Delete the environment of a pull request, with its data",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("arguments %q: one number is expected; write for example `make pr-env-down PR=123`", args)
			}
			return e.pullRequest(args)
		},
		RunE: func(c *cobra.Command, _ []string) error { return e.down(c.Context()) },
	}
	root.AddCommand(upCommand, downCommand)
	return root
}

// pullRequest reads the number of the pull request.
func (e *environment) pullRequest(args []string) error {
	if len(args) == 0 || !number.MatchString(args[0]) {
		return fmt.Errorf("arguments %q: the number of a pull request is expected first, in digits; write for example PR=123", args)
	}
	e.number = args[0]
	return nil
}

// connect reads the kubeconfig.
func (e *environment) connect(file string) error {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = file
	kubeconfig := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil)
	config, err := kubeconfig.ClientConfig()
	if err != nil {
		return fmt.Errorf("read the kubeconfig %q: %w; name one in KUBECONFIG", file, err)
	}
	if e.tenant == "" {
		if e.tenant, _, err = kubeconfig.Namespace(); err != nil {
			return fmt.Errorf("read the namespace of the kubeconfig's context: %w; name the tenant, as in TENANT=team-a", err)
		}
	}
	config.QPS = -1 // a few dozen requests
	// What the API server warns of, such as a quota without room, is the answer to why no pod comes.
	config.WarningHandler = rest.NewWarningWriter(e.stderr, rest.WarningWriterOptions{Deduplicate: true})
	log.SetLogger(logr.Discard())
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), api.AddToScheme(scheme)); err != nil {
		return err
	}
	e.client, err = client.New(config, client.Options{Scheme: scheme})
	return err
}
