// Package doctor says what is missing on this machine, or on a cluster, for a need. The checks are a shell script, so that they
// run without Go: `make doctor` runs the script directly.
package doctor

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
)

//go:embed doctor.sh
var script string

// Check returns nil, or one error with everything that is missing for a need and how to repair it. The need is an argument of the
// script's --for: up, test, cluster, all or node. Env has the form of exec.Cmd's Env.
func Check(ctx context.Context, need string, env []string) error {
	cmd := exec.CommandContext(ctx, "bash", "-c", script, "doctor.sh", "--missing", "--for", need)
	cmd.Env = env
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	missing, err := cmd.Output()
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	if cmd.ProcessState.ExitCode() != 1 || len(missing) == 0 {
		return fmt.Errorf("look at the machine: %w: %s", err, bytes.TrimSpace(complaint.Bytes()))
	}
	return errors.New(string(bytes.TrimSpace(missing)))
}
