package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/deploy"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/node"
	"example.com/journal/stacks"
)

// partOf selects the objects of all parts of the journal.
const partOf = "app.kubernetes.io/part-of=journal"

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
	repo  string
	stack string
}

func run(ctx context.Context, args []string, c console) error {
	s := &sandbox{console: c}
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
			stack, err := s.openStack(nil)
			if err != nil {
				return err
			}
			result, err := stack.Destroy(ctx)
			if err != nil {
				return err
			}
			s.say("stack %q: %s", s.stack, describe(result.Changes))
			return nil
		})
}

func (s *sandbox) resetCommand() *cobra.Command {
	return confirmed("reset", "Stop the cluster and delete its data", "the cluster, every journal entry and the state of all stacks",
		func(ctx context.Context) error {
			dir, err := cache.Open()
			if err != nil {
				return err
			}
			if err := errors.Join(node.Reset(ctx, dir), deploy.Remove(dir)); err != nil {
				return err
			}
			s.say("the cluster and its data are deleted; what was built stays in %s", dir.Root())
			return nil
		})
}

func (s *sandbox) preview(ctx context.Context) error {
	dir, err := cache.Open()
	if err != nil {
		return err
	}
	n, err := running(dir)
	if err != nil {
		return err
	}
	repo, err := s.repository()
	if err != nil {
		return err
	}
	decided, err := stacks.Read(repo, s.stack)
	if err != nil {
		return err
	}
	built, err := images.Build(ctx, repo, dir, s.err)
	if err != nil {
		return err
	}
	stack, err := s.openStack(overrides(decided, built, userPort(decided, n)))
	if err != nil {
		return err
	}
	result, err := stack.Preview(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "stack %q: %s\n", s.stack, planned(result.Changes))
	return err
}

func (s *sandbox) down(ctx context.Context) error {
	dir, err := cache.Open()
	if err != nil {
		return err
	}
	_, notRunning := node.Running(dir)
	if err := node.Stop(ctx, dir); err != nil {
		return err
	}
	if notRunning != nil {
		s.say("the sandbox was not running")
		return nil
	}
	s.say("the sandbox is stopped; its data is kept in %s until `sandbox reset`", dir.State())
	return nil
}

func (s *sandbox) outputs(ctx context.Context) error {
	stack, err := s.openStack(nil)
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

func (s *sandbox) kubeconfig(context.Context) error {
	_, n, err := s.cluster()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, n.Kubeconfig())
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
	_, n, err := s.cluster()
	if err != nil {
		return err
	}
	cmd := n.Kubectl(ctx, args...)
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
			namespace, err := s.namespace(cmd.Context())
			if err != nil {
				return err
			}
			selector := partOf
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
	var registry string
	cmd := plain("images", "Build the container images and print their references", func(ctx context.Context) error {
		dir, err := cache.Open()
		if err != nil {
			return err
		}
		repo, err := s.repository()
		if err != nil {
			return err
		}
		built, err := images.Build(ctx, repo, dir, s.err)
		if err != nil {
			return err
		}
		if registry != "" {
			if err := images.Push(ctx, built, registry); err != nil {
				return err
			}
		}
		return s.printImages(built, registry)
	})
	cmd.Flags().StringVar(&registry, "push", "", "upload the images to this registry, such as registry.example.com/team-a")
	return cmd
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

// cluster returns the node that runs.
func (s *sandbox) cluster() (cache.Dir, *node.Node, error) {
	dir, err := cache.Open()
	if err != nil {
		return dir, nil, err
	}
	n, err := running(dir)
	return dir, n, err
}

func running(dir cache.Dir) (*node.Node, error) {
	n, err := node.Running(dir)
	if err != nil {
		return nil, fmt.Errorf("%w; start it with `sandbox up`", err)
	}
	return n, nil
}

// openStack returns the stack on the running cluster.
func (s *sandbox) openStack(overrides map[string]any) (*deploy.Stack, error) {
	dir, n, err := s.cluster()
	if err != nil {
		return nil, err
	}
	repo, err := s.repository()
	if err != nil {
		return nil, err
	}
	return deploy.Open(deploy.Config{
		Repo: repo, Stack: s.stack, Dir: dir, Kubeconfig: n.Kubeconfig(), Overrides: overrides, Progress: s.err,
	})
}

// namespace is where the stack's pods are.
func (s *sandbox) namespace(ctx context.Context) (string, error) {
	stack, err := s.openStack(nil)
	if err != nil {
		return "", err
	}
	outputs, err := stack.Outputs(ctx)
	if err != nil {
		return "", err
	}
	namespace, _ := outputs["namespace"].(string)
	return namespace, nil
}

// userPort is the port of the machine that the stack's users type.
func userPort(decided stacks.Config, n *node.Node) int {
	if decided.Journal.Exposure.TLSSelfSigned != 0 {
		return n.HTTPSPort()
	}
	return n.HTTPPort()
}

// overrides are the values of the stack that differ in the sandbox: images built from this checkout, and an address on
// this machine without a certificate that is made elsewhere. A part that the stack leaves out, as it may the controller of claims, stays out.
func overrides(decided stacks.Config, built []images.Image, port int) map[string]any {
	values := map[string]any{
		"exposureHost":      "journal.localhost",
		"exposureClass":     node.IngressClass,
		"exposurePort":      port,
		"exposureTlsSecret": "",
		"exposureTlsIssuer": "",
		"redisStorageClass": "",
	}
	for _, image := range built {
		leftOut := image.ConfigKey == "claimsImage" && decided.Cluster.ClaimsImage == ""
		if image.ConfigKey != "" && !leftOut {
			values[image.ConfigKey] = image.Reference
		}
	}
	return values
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
	for _, operation := range sortedKeys(changes) {
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
	for _, operation := range sortedKeys(changes) {
		words = append(words, fmt.Sprintf("%s %d", operation, changes[operation]))
	}
	return "would " + strings.Join(words, ", ")
}
