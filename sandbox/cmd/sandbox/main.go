// Command sandbox runs the journal on a one-node Kubernetes cluster that it starts on this machine. It prints results to standard
// output, and everything else to standard error.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/cluster"
	"example.com/journal/sandbox/node"
)

func main() {
	if node.Reexec() {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	err := run(ctx, os.Args[1:], console{getenv: os.Getenv, in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(exitCode(err, os.Stderr))
}

// exitCode prints the error, unless kubectl has already done so, and returns the exit status.
func exitCode(err error, stderr io.Writer) int {
	if kubectl := kubectlExit(0); errors.As(err, &kubectl) {
		return int(kubectl)
	}
	if err != nil {
		fmt.Fprintln(stderr, "error:", err)
		return 1
	}
	return 0
}

// console holds the input, the output and the environment of a command.
type console struct {
	getenv   func(string) string
	in       io.Reader
	out, err io.Writer
}

func (c console) say(format string, args ...any) { fmt.Fprintf(c.err, format+"\n", args...) }

// sandbox holds what the commands share.
type sandbox struct {
	console
	dir                            cache.Dir
	repo, stack, context, registry string          // flags
	cluster                        cluster.Cluster // the one that the flags name
}

func run(ctx context.Context, args []string, c console) error {
	dir, err := cache.Open()
	if err != nil {
		return err
	}
	s := &sandbox{console: c, dir: dir}
	root := &cobra.Command{
		Use:           "sandbox",
		Short:         "Run the journal on a real one-node Kubernetes on this machine",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) (err error) {
			s.cluster, err = cluster.New(cluster.Options{Dir: s.dir, Context: s.context, Registry: s.registry, Getenv: s.getenv})
			return err
		},
	}
	root.SetArgs(args)
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.CompletionOptions.DisableDefaultCmd = true
	flags := root.PersistentFlags()
	flags.StringVar(&s.repo, "repo", ".", "folder of Pulumi.yaml, or one below it")
	flags.StringVar(&s.stack, "stack", "dev", "stack to run: Pulumi.<stack>.yaml holds its configuration")
	flags.StringVar(&s.context, "cluster", "", "context of your kubeconfig to use instead of the sandbox, or 'current' for its current one")
	flags.StringVar(&s.registry, "registry", "", "where images for that cluster go, such as registry.example.com/team-a")
	root.AddCommand(
		plain("up", "Start the cluster, build what is missing and deploy the stack", s.up),
		plain("preview", "Show what `up` would change in the running cluster", s.preview),
		plain("down", "Stop the cluster and keep its data", s.down),
		confirmed("destroy", "Delete the stack's objects from the running cluster", "all objects of the stack and every journal entry", s.destroy),
		confirmed("reset", "Stop the cluster and delete its data", "the cluster, every journal entry and the state of all stacks", s.reset),
		plain("status", "Show what runs", s.status),
		plain("kubeconfig", "Print the path of the cluster's kubeconfig", s.kubeconfig),
		&cobra.Command{
			Use: "logs [redis|api|frontend]", Short: "Show the logs of one part of the journal, or of all", Args: cobra.MaximumNArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return s.logs(cmd.Context(), args...) },
		},
		&cobra.Command{
			Use: "kubectl -- arguments", Short: "Run kubectl on the cluster",
			RunE: func(cmd *cobra.Command, args []string) error { return s.kubectl(cmd.Context(), args...) },
		},
		&cobra.Command{
			Use: "images", Short: "Build the container images, push them with --registry, and print their references", Args: cobra.NoArgs,
			PersistentPreRunE: func(*cobra.Command, []string) error { return nil }, // it needs a registry, but no cluster
			RunE:              func(cmd *cobra.Command, _ []string) error { return s.images(cmd.Context()) },
		},
	)
	return root.ExecuteContext(ctx)
}

// plain returns a command without arguments.
func plain(name, short string, do func(context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return do(cmd.Context()) },
	}
}

// confirmed returns a command that deletes something, and therefore requires --yes.
func confirmed(name, short, loss string, do func(context.Context) error) *cobra.Command {
	var yes bool
	cmd := plain(name, short, func(ctx context.Context) error {
		if !yes {
			return fmt.Errorf("%s deletes %s; say that you want it with --yes", name, loss)
		}
		return do(ctx)
	})
	cmd.Flags().BoolVar(&yes, "yes", false, "really delete "+loss)
	return cmd
}
