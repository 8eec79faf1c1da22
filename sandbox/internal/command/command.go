// Package command has what several parts of the sandbox do with programs that they run.
package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"example.com/journal/sandbox/cache"
)

// Output runs a command and returns what it prints. Its error names the command and says what that complained about.
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

// Kubectl is a command of the toolchain's own kubectl on the cluster of a kubeconfig. What it remembers of clusters stays in
// the sandbox's folder: neither the settings nor the home of whoever runs it are touched.
func Kubectl(ctx context.Context, dir cache.Dir, kubeconfig string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(dir.Bin(), "kubernetes"), args...)
	cmd.Args[0] = "kubectl"
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "KUBECACHEDIR="+KubectlMemory(dir))
	return cmd
}

// KubectlMemory is the folder of what kubectl remembers. It is out of date when the cluster's data is deleted.
func KubectlMemory(dir cache.Dir) string { return filepath.Join(dir.State(), "kubectl") }
