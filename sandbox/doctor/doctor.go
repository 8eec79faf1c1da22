// Package doctor says what is missing on this machine, or on a cluster, for what one wants to do. The checks stand in a shell
// script, so that they can be made without Go: `make doctor` runs it as it is.
package doctor

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

//go:embed doctor.sh
var script string

// Check returns one error with everything that is missing for a need, each with what repairs it, or nil. The need is what
// the script takes after --for: up, test, cluster, all or node. The environment is as exec.Cmd takes it.
func Check(ctx context.Context, need string, env []string) error {
	cmd := exec.CommandContext(ctx, "bash", "-c", script, "doctor.sh", "--missing", "--for", need)
	cmd.Env = env
	var missing, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &missing, &complaint
	err := cmd.Run()
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	if cmd.ProcessState.ExitCode() != 1 || missing.Len() == 0 {
		return fmt.Errorf("look at the machine: %w: %s", err, bytes.TrimSpace(complaint.Bytes()))
	}
	var faults []error
	for line := range strings.Lines(missing.String()) {
		faults = append(faults, errors.New(strings.TrimSpace(line)))
	}
	return errors.Join(faults...)
}
