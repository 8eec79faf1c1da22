package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"example.com/journal/sandbox/answer"
	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/cluster"
	"example.com/journal/sandbox/deploy"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/toolchain"
)

// console is what a command reads and writes.
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
	repo, stack, context, registry string // flags
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
	}
	root.SetArgs(args)
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().StringVar(&s.repo, "repo", "", "folder of Pulumi.yaml; by default it is looked for from here upwards")
	root.PersistentFlags().StringVar(&s.stack, "stack", "dev", "stack to run: Pulumi.<stack>.yaml holds its configuration")
	root.PersistentFlags().StringVar(&s.context, "cluster", "", "context of your kubeconfig to use instead of the sandbox, or 'current' for its current one")
	root.PersistentFlags().StringVar(&s.registry, "registry", "", "where images for that cluster go, such as registry.example.com/team-a")
	root.AddCommand(
		plain("up", "Start the cluster, build what is missing and deploy the stack", s.up),
		plain("preview", "Show what `up` would change in the running cluster", s.preview),
		plain("down", "Stop the cluster and keep its data", s.down),
		s.destroyCommand(),
		s.resetCommand(),
		plain("status", "Show what runs", s.status),
		plain("outputs", "Print the stack's outputs as JSON", s.outputs),
		s.logsCommand(),
		plain("kubeconfig", "Print the path of the cluster's kubeconfig", s.kubeconfig),
		s.kubectlCommand(),
		s.imagesCommand(),
	)
	return root.ExecuteContext(ctx)
}

// plain is a command without arguments.
func plain(name, short string, do func(context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return do(cmd.Context()) },
	}
}

// confirmed is a command that deletes something, and so wants --yes.
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

func (s *sandbox) destroyCommand() *cobra.Command {
	return confirmed("destroy", "Delete the stack's objects from the running cluster", "all objects of the stack and every journal entry",
		func(ctx context.Context) error {
			c, stack, err := s.deployed(ctx)
			if err != nil {
				return err
			}
			result, err := stack.Destroy(ctx)
			if err != nil {
				return err
			}
			s.say("stack %q on %s: %s", s.stack, c, describe(result.Changes))
			return nil
		})
}

func (s *sandbox) resetCommand() *cobra.Command {
	return confirmed("reset", "Stop the cluster and delete its data", "the cluster, every journal entry and the state of all stacks",
		func(ctx context.Context) error {
			c, err := s.target()
			if err != nil {
				return err
			}
			if err := c.Reset(ctx); err != nil {
				return err
			}
			s.say("the cluster and its data are deleted; what was built stays in %s", s.dir.Root())
			return nil
		})
}

func (s *sandbox) preview(ctx context.Context) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	repo, err := s.repository()
	if err != nil {
		return err
	}
	decided, err := s.decided(repo)
	if err != nil {
		return err
	}
	if err := toolchain.Build(ctx, repo, s.dir, s.err, toolchain.Engine...); err != nil {
		return err
	}
	var built []images.Image
	if c.TakesImages() {
		if built, err = images.Build(ctx, repo, s.dir, s.err); err != nil {
			return err
		}
	}
	values, err := c.Values(*decided, built)
	if err != nil {
		return err
	}
	stack, err := s.openStack(c, repo, values, s.err)
	if err != nil {
		return err
	}
	result, err := stack.Preview(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "stack %q on %s: %s\n", s.stack, c, planned(result.Changes))
	return err
}

func (s *sandbox) down(ctx context.Context) error {
	c, err := s.target()
	if err != nil {
		return err
	}
	notRunning := c.Connect(ctx)
	if err := c.Stop(ctx); err != nil {
		return err
	}
	if notRunning != nil {
		s.say("the sandbox was not running")
		return nil
	}
	s.say("the sandbox is stopped; its data is kept in %s until `sandbox reset`", s.dir.State())
	return nil
}

func (s *sandbox) outputs(ctx context.Context) error {
	_, stack, err := s.deployed(ctx)
	if err != nil {
		return err
	}
	outputs, err := stack.Outputs(ctx)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(s.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(outputs)
}

// status prints what runs.
func (s *sandbox) status(ctx context.Context) error {
	c, stack, err := s.deployed(ctx)
	if errors.Is(err, cluster.ErrNotRunning) {
		_, err = fmt.Fprintln(s.out, err)
		return err
	}
	if err != nil {
		return err
	}
	text, err := c.Status(ctx)
	if err != nil {
		return err
	}
	text += "\nstack       " + s.stack + "\n"
	outputs, err := stack.Outputs(ctx)
	switch {
	case errors.Is(err, deploy.ErrNotDeployed):
		text += "  not deployed\n"
	case err != nil:
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		text += fmt.Sprintf("  %-18s %v\n", name, outputs[name])
	}
	if _, err := fmt.Fprintln(s.out, text); err != nil {
		return err
	}
	return s.kubectl(ctx, "get", "pods", "--all-namespaces", "--output", "wide")
}

func (s *sandbox) kubeconfig(ctx context.Context) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, c.Kubeconfig())
	return err
}

func (s *sandbox) kubectlCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "kubectl -- arguments",
		Short: "Run kubectl on the cluster",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.kubectl(cmd.Context(), args...)
		},
	}
}

// kubectl runs kubectl with this program's own input and output.
func (s *sandbox) kubectl(ctx context.Context, args ...string) error {
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	cmd, err := c.Kubectl(ctx, args...)
	if err != nil {
		return err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
	return cmd.Run()
}

func (s *sandbox) logsCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs [redis|api|frontend]",
		Short: "Show the logs of one part of the journal, or of all",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, stack, err := s.deployed(cmd.Context())
			if err != nil {
				return err
			}
			outputs, err := stack.Outputs(cmd.Context())
			if err != nil {
				return err
			}
			namespace, _ := outputs["namespace"].(string)
			selector := answer.Selector
			if len(args) == 1 {
				selector += ",app=" + args[0]
			}
			return s.kubectl(cmd.Context(), "logs", "--namespace", namespace, "--selector", selector,
				"--prefix", "--tail=200", "--max-log-requests=50", fmt.Sprintf("--follow=%t", follow))
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is logged from now on")
	return cmd
}

func (s *sandbox) imagesCommand() *cobra.Command {
	return plain("images", "Build the container images, push them with --registry, and print their references", func(ctx context.Context) error {
		repo, err := s.repository()
		if err != nil {
			return err
		}
		built, err := images.Build(ctx, repo, s.dir, s.err)
		if err == nil && s.registry != "" {
			err = images.Push(ctx, built, s.registry, s.err)
		}
		if err != nil {
			return err
		}
		return s.printImages(built, s.registry)
	})
}

// printImages prints the references as a stack's configuration takes them.
func (s *sandbox) printImages(built []images.Image, registry string) error {
	for _, image := range built {
		if image.ConfigKey == "" {
			continue // only the sandbox's own node uses it
		}
		reference := image.Reference
		if registry != "" {
			var err error
			if reference, err = image.In(registry); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintf(s.out, "%s: %s\n", image.ConfigKey, reference); err != nil {
			return err
		}
	}
	return nil
}

// target is the cluster that the flags name.
func (s *sandbox) target() (cluster.Cluster, error) {
	return cluster.New(cluster.Options{Dir: s.dir, Context: s.context, Registry: s.registry, Getenv: s.getenv})
}

// connect returns that cluster, which has to run.
func (s *sandbox) connect(ctx context.Context) (cluster.Cluster, error) {
	c, err := s.target()
	if err != nil {
		return nil, err
	}
	return c, c.Connect(ctx)
}

// deployed returns the cluster and the stack on it, as it was brought up.
func (s *sandbox) deployed(ctx context.Context) (cluster.Cluster, *deploy.Stack, error) {
	c, err := s.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	repo, err := s.repository()
	if err != nil {
		return nil, nil, err
	}
	stack, err := s.openStack(c, repo, nil, s.err)
	return c, stack, err
}

// openStack returns the stack with some values of its own on a cluster.
func (s *sandbox) openStack(c cluster.Cluster, repo string, values map[string]any, log io.Writer) (*deploy.Stack, error) {
	return deploy.Open(deploy.Config{
		Repo: repo, Stack: s.stack, Dir: s.dir, State: c.State(), Kubeconfig: c.Kubeconfig(), Overrides: values, Progress: log,
	})
}

// repository is the folder of Pulumi.yaml.
func (s *sandbox) repository() (string, error) {
	start := s.repo
	if start == "" {
		start = "."
	}
	start, err := filepath.Abs(start)
	if err != nil {
		return "", err
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "Pulumi.yaml")); err == nil {
			return folder, nil
		}
		if s.repo != "" || folder == filepath.Dir(folder) {
			return "", fmt.Errorf("%s: no Pulumi.yaml is there%s; name the repository's folder with --repo", start,
				map[bool]string{true: "", false: " or above"}[s.repo != ""])
		}
	}
}

// participles name what operations of the engine have done.
var participles = map[string]string{"create": "created", "update": "updated", "delete": "deleted", "replace": "replaced"}

// describe says what an operation changed.
func describe(changes map[string]int) string {
	if len(changes) == 0 {
		return "nothing changed"
	}
	words := make([]string, 0, len(changes))
	for _, operation := range slices.Sorted(maps.Keys(changes)) {
		words = append(words, fmt.Sprintf("%d %s", changes[operation], cmp.Or(participles[operation], operation)))
	}
	return strings.Join(words, ", ")
}

// planned says what an operation would change.
func planned(changes map[string]int) string {
	if len(changes) == 0 {
		return "nothing would change"
	}
	words := make([]string, 0, len(changes))
	for _, operation := range slices.Sorted(maps.Keys(changes)) {
		words = append(words, fmt.Sprintf("%s %d", operation, changes[operation]))
	}
	return "would " + strings.Join(words, ", ")
}
