package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/deploy"
	"example.com/journal/sandbox/node"
)

// status prints what runs.
func (s *sandbox) status(ctx context.Context) error {
	dir, err := cache.Open()
	if err != nil {
		return err
	}
	n, err := node.Running(dir)
	if errors.Is(err, node.ErrNotRunning) {
		_, err = fmt.Fprintf(s.out, "%v; start it with `sandbox up`\n", err)
		return err
	}
	if err != nil {
		return err
	}
	state := n.Status()
	var text strings.Builder
	word := "running"
	if !state.Ready {
		word = "starting"
	}
	fmt.Fprintf(&text, "cluster     %s for %s, process %d\n", word, time.Since(state.Since).Round(time.Second), state.PID)
	fmt.Fprintf(&text, "ingress     127.0.0.1:%d\napiserver   127.0.0.1:%d\nkubeconfig  %s\nlogs        %s\nprocesses  ",
		state.HTTPPort, state.APIPort, n.Kubeconfig(), dir.Logs())
	for _, c := range state.Components {
		fmt.Fprintf(&text, " %s(%d)", c.Name, c.PID)
	}
	fmt.Fprintf(&text, "\nstack       %s\n", s.stack)
	stack, err := s.openStack(nil)
	if err != nil {
		return err
	}
	outputs, err := stack.Outputs(ctx)
	if err != nil && !errors.Is(err, deploy.ErrNotDeployed) {
		return err
	}
	if err != nil {
		text.WriteString("  not deployed\n")
	}
	for _, name := range sortedKeys(outputs) {
		fmt.Fprintf(&text, "  %-18s %v\n", name, outputs[name])
	}
	if _, err := fmt.Fprintln(s.out, text.String()); err != nil {
		return err
	}
	return s.kubectl(ctx, "get", "pods", "--all-namespaces", "--output", "wide")
}

// withPods adds to an error what the pods that are not ready say about themselves.
func withPods(ctx context.Context, n *node.Node, err error) error {
	if err == nil {
		return nil
	}
	reasons := podReasons(context.WithoutCancel(ctx), n)
	if len(reasons) == 0 {
		return err
	}
	return fmt.Errorf("%w\npods that are not ready:\n  %s", err, strings.Join(reasons, "\n  "))
}

// podReasons says for each pod of the journal that is not ready why it is not. It says nothing when the cluster does not.
func podReasons(ctx context.Context, n *node.Node) []string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var pods struct{ Items []pod }
	if !get(ctx, n, &pods, "pods", "--all-namespaces", "--selector", partOf) {
		return nil
	}
	var warnings struct{ Items []warning }
	get(ctx, n, &warnings, "events", "--all-namespaces", "--field-selector", "type=Warning,involvedObject.kind=Pod",
		"--sort-by", ".lastTimestamp")
	last := map[string]string{}
	for _, w := range warnings.Items {
		last[w.InvolvedObject.UID] = strings.Join(strings.Fields(w.Message), " ")
	}
	var reasons []string
	for _, p := range pods.Items {
		reason := p.reason()
		if reason == "" {
			continue
		}
		if message := last[p.Metadata.UID]; message != "" && !strings.Contains(reason, message) {
			reason += "; " + message
		}
		reasons = append(reasons, fmt.Sprintf("%s/%s: %s", p.Metadata.Namespace, p.Metadata.Name, reason))
	}
	return reasons
}

// get reads objects into a list, and says whether it could.
func get(ctx context.Context, n *node.Node, list any, args ...string) bool {
	out, err := n.Kubectl(ctx, append([]string{"get", "--output", "json"}, args...)...).Output()
	return err == nil && json.Unmarshal(out, list) == nil
}

// warning is what is read of an event.
type warning struct {
	InvolvedObject struct{ UID string }
	Message        string
}

// pod is what is read of a pod.
type pod struct {
	Metadata struct{ Namespace, Name, UID string }
	Status   struct {
		Phase             string
		Conditions        []struct{ Type, Status, Reason, Message string }
		ContainerStatuses []struct {
			Name             string
			State, LastState containerState
			RestartCount     int
		}
	}
}

type containerState struct {
	Waiting    *struct{ Reason, Message string }
	Terminated *struct {
		Reason, Message string
		ExitCode        int
	}
}

// reason says why the pod is not ready, or nothing if it is.
func (p pod) reason() string {
	said := ""
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" && c.Status == "True" {
			return ""
		}
		if c.Status == "False" && c.Message != "" {
			said = strings.TrimSpace(c.Reason + ": " + c.Message)
		}
	}
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil {
			said = strings.TrimSpace(w.Reason + " " + w.Message)
		}
		for _, state := range []containerState{c.State, c.LastState} {
			if t := state.Terminated; t != nil {
				said += fmt.Sprintf(" (%s ended with %d, %s; restarts: %d)", c.Name, t.ExitCode, t.Reason, c.RestartCount)
				break
			}
		}
	}
	if said == "" {
		said = p.Status.Phase
	}
	return strings.Join(strings.Fields(said), " ")
}
