package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"

	"example.com/journal/sandbox/answer"
	"example.com/journal/sandbox/cluster"
	"example.com/journal/sandbox/deploy"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/node"
	"example.com/journal/sandbox/toolchain"
	"example.com/journal/stacks"
)

func (s *sandbox) preview(ctx context.Context) error {
	repo, decided, err := s.declared(ctx)
	if err != nil {
		return err
	}
	if err := toolchain.Build(ctx, repo, s.dir, s.err, toolchain.Engine...); err != nil {
		return err
	}
	built, err := images.Build(ctx, repo, s.dir, s.err, s.cluster.Images(decided)...)
	if err != nil {
		return err
	}
	stack, err := s.planned(repo, decided, built, s.err)
	if err != nil {
		return err
	}
	result, err := stack.Preview(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "stack %q on %s: %s\n", s.stack, s.cluster, describe(result.Changes, "nothing would change"))
	return err
}

func (s *sandbox) destroy(ctx context.Context) error {
	stack, err := s.deployed(ctx)
	if err != nil {
		return err
	}
	result, err := stack.Destroy(ctx)
	if err != nil {
		return err
	}
	s.say("stack %q on %s: %s", s.stack, s.cluster, describe(result.Changes, "nothing changed"))
	return nil
}

func (s *sandbox) down(ctx context.Context) error {
	notRunning := s.cluster.Connect(ctx)
	if err := s.cluster.Stop(ctx); err != nil {
		return err
	}
	if notRunning != nil {
		s.say("the sandbox was not running")
		return nil
	}
	s.say("the sandbox is stopped; its data is kept in %s until `sandbox reset`", s.dir.State())
	return nil
}

func (s *sandbox) reset(ctx context.Context) error {
	if err := s.cluster.Reset(ctx); err != nil {
		return err
	}
	s.say("the cluster and its data are deleted; what was built stays in %s", s.dir.Root())
	return nil
}

// status prints what runs.
func (s *sandbox) status(ctx context.Context) error {
	stack, err := s.deployed(ctx)
	if errors.Is(err, node.ErrNotRunning) {
		_, err = fmt.Fprintln(s.out, err)
		return err
	}
	if err != nil {
		return err
	}
	text, err := s.cluster.Status(ctx)
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
	if err := s.cluster.Connect(ctx); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out, s.cluster.Kubeconfig())
	return err
}

// kubectl runs kubectl with this program's own input and output.
func (s *sandbox) kubectl(ctx context.Context, args ...string) error {
	if err := s.cluster.Connect(ctx); err != nil {
		return err
	}
	cmd := s.cluster.Kubectl(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
	err := cmd.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return kubectlExit(exit.ExitCode())
	}
	return err
}

// kubectlExit is the exit status of kubectl.
type kubectlExit int

func (e kubectlExit) Error() string { return fmt.Sprintf("kubectl ended with exit status %d", int(e)) }

// logs shows the last log lines of one part of the journal, or of all parts.
func (s *sandbox) logs(ctx context.Context, app ...string) error {
	_, decided, err := s.declared(ctx)
	if err != nil {
		return err
	}
	selector := answer.Selector
	if len(app) > 0 {
		selector += ",app=" + app[0]
	}
	return s.kubectl(ctx, "logs", "--namespace", decided.Namespace, "--selector", selector, "--prefix", "--tail=200", "--max-log-requests=50")
}

// images prints the references of the stack's images in the form that a stack's configuration takes.
func (s *sandbox) images(ctx context.Context) error {
	repo, err := s.repository()
	if err != nil {
		return err
	}
	kinds := images.Journal // of a checkout without the stack's file
	if decided, err := stacks.Read(repo, s.stack); err == nil {
		kinds = cluster.Needs(decided, slices.Concat(kinds, images.Services))
	}
	built, err := images.Build(ctx, repo, s.dir, s.err, kinds...)
	if err == nil && s.registry != "" {
		err = images.Push(ctx, built, s.registry, s.err)
	}
	if err != nil {
		return err
	}
	for _, image := range built {
		reference, err := image.In(s.registry)
		if err != nil {
			return err
		}
		if image.Digest != "" {
			reference += "@" + image.Digest // the content that was pushed, whatever the tag becomes
		}
		fmt.Fprintf(s.out, "%s: %s\n", image.ConfigKey, reference)
	}
	return nil
}

// declared connects to the cluster and reads what the stack declares.
func (s *sandbox) declared(ctx context.Context) (repo string, decided stacks.Config, err error) {
	if err = s.cluster.Connect(ctx); err == nil {
		repo, err = s.repository()
	}
	if err == nil {
		decided, err = stacks.Read(repo, s.stack)
	}
	return repo, decided, err
}

// deployed connects to the cluster and returns the stack as it was last deployed.
func (s *sandbox) deployed(ctx context.Context) (*deploy.Stack, error) {
	repo, _, err := s.declared(ctx)
	if err != nil {
		return nil, err
	}
	return s.open(repo, nil, s.err)
}

// planned returns the stack as it should be on the cluster.
func (s *sandbox) planned(repo string, decided stacks.Config, built []images.Image, log io.Writer) (*deploy.Stack, error) {
	values, err := s.cluster.Values(decided, built, log)
	if err != nil {
		return nil, err
	}
	if values["redis.sharedNodes"] == true {
		s.say("the sandbox is one node, which the pods of Redis share (redis.sharedNodes); a quorum elsewhere is of as many nodes")
	}
	return s.open(repo, values, log)
}

// open returns the stack, with the values that this cluster overrides.
func (s *sandbox) open(repo string, values map[string]any, log io.Writer) (*deploy.Stack, error) {
	return deploy.Open(deploy.Config{
		Repo: repo, Stack: s.stack, Dir: s.dir, State: s.cluster.State(), Kubeconfig: s.cluster.Kubeconfig(), Overrides: values, Progress: log,
	})
}

// repository is the folder of Pulumi.yaml.
func (s *sandbox) repository() (string, error) {
	start, err := filepath.Abs(s.repo)
	if err != nil {
		return "", err
	}
	project, err := workspace.DetectProjectPathFrom(start)
	if err != nil {
		return "", fmt.Errorf("%s: no Pulumi.yaml is there or above; name the repository's folder with --repo", start)
	}
	return filepath.Dir(project), nil
}

// describe says how many objects an operation changed or would change.
func describe(changes map[string]int, nothing string) string {
	var words []string
	for _, operation := range slices.Sorted(maps.Keys(changes)) {
		words = append(words, fmt.Sprintf("%s %d", operation, changes[operation]))
	}
	return cmp.Or(strings.Join(words, ", "), nothing)
}
