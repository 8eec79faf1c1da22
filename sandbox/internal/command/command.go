// Package command runs programs for several parts of the sandbox.
package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Output runs a command and returns what it prints. Its error names the command and includes what the command complained about.
func Output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.Output()
	if err == nil {
		return string(out), nil
	}
	complaint := ""
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		complaint = ": " + strings.TrimSpace(string(exit.Stderr))
	}
	return "", fmt.Errorf("%s: %w%s", strings.Join(append([]string{filepath.Base(cmd.Args[0])}, cmd.Args[1:]...), " "), err, complaint)
}

// Kubectl returns a kubectl command on the cluster of a kubeconfig. It uses the kubectl that the sandbox has built in a folder,
// or the user's own if there is none. Its cache of the cluster is beside the kubeconfig, so it does not touch the user's settings
// and home.
func Kubectl(ctx context.Context, built, kubeconfig string, args ...string) *exec.Cmd {
	program := filepath.Join(built, "kubernetes")
	if _, err := os.Stat(program); err != nil {
		program = "kubectl"
	}
	cmd := exec.CommandContext(ctx, program, args...)
	if errors.Is(cmd.Err, exec.ErrNotFound) {
		cmd.Err = errors.New("kubectl is not on PATH, and the sandbox has not built its own: install kubectl")
	}
	cmd.Args[0] = "kubectl"
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "KUBECACHEDIR="+filepath.Join(filepath.Dir(kubeconfig), "kubectl"))
	return cmd
}
