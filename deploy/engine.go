package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

const (
	// parallel is how many objects the engine works on at a time.
	parallel = "64"
	// skipCheckpoints lets the engine write the state once, and not after each of a thousand steps: docs/pulumi.md.
	skipCheckpoints = "PULUMI_SKIP_CHECKPOINTS"
	// The exit codes of Pulumi's command: https://www.pulumi.com/docs/iac/cli/exit-codes/
	exitNoStack  = 6
	exitChanges  = 7
	installation = "https://www.pulumi.com/docs/install/"
)

// engine is Pulumi's command for one stack. Login, passphrase and kubeconfig are the user's.
type engine struct {
	program string
	// project is the folder of Pulumi.yaml.
	project string
	stack   string
}

// newEngine finds Pulumi's command.
func newEngine(project, stack string) (engine, error) {
	if stack == "" {
		return engine{}, errors.New(`stack "": must be named; write for example STACK=prod`)
	}
	project, err := filepath.Abs(project)
	if err != nil {
		return engine{}, err
	}
	program, err := exec.LookPath("pulumi")
	if err != nil {
		return engine{}, fmt.Errorf("there is no command pulumi: %w; install it: %s", err, installation)
	}
	return engine{program: program, project: project, stack: stack}, nil
}

// failure is what the command said when it failed.
type failure struct {
	// code is its exit code.
	code int
	text string
}

func (f failure) Error() string { return f.text }

// failed says whether the command ended with this exit code.
func failed(err error, code int) bool {
	var f failure
	return errors.As(err, &f) && f.code == code
}

// run runs a command of Pulumi and gives each of its events to handle. Other lines of its output go to rest.
func (e engine) run(ctx context.Context, rest io.Writer, handle func(apitype.EngineEvent), args ...string) error {
	args = append(args, "--stack", e.stack, "--non-interactive", "--color", "never")
	command := exec.CommandContext(ctx, e.program, args...)
	command.Dir = e.project
	command.Env = append(os.Environ(), "PULUMI_ENABLE_STREAMING_JSON_PREVIEW=true", "PULUMI_SKIP_UPDATE_CHECK=true")
	if os.Getenv(skipCheckpoints) == "" {
		command.Env = append(command.Env, skipCheckpoints+"=true")
	}
	// One interrupt lets the engine finish what it has begun, and write its state. A second one, of the terminal, would not.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	said := said{}
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		var event apitype.EngineEvent
		if handle == nil || json.Unmarshal(line, &event) != nil {
			if _, err := rest.Write(line); err != nil {
				return errors.Join(err, command.Cancel(), command.Wait())
			}
		} else {
			said.take(event)
			handle(event)
		}
		if err != nil {
			break
		}
	}
	err = command.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: %w", context.Cause(ctx))
	case !errors.As(err, &exit):
		return err
	}
	return failure{code: exit.ExitCode(), text: e.explain(said.errors, stderr.String())}
}

// output runs a command of Pulumi that has no events, and returns what it prints.
func (e engine) output(ctx context.Context, args ...string) ([]byte, error) {
	var out bytes.Buffer
	err := e.run(ctx, &out, nil, args...)
	return out.Bytes(), err
}

// locked matches what Pulumi says of each lock of a stack.
var locked = regexp.MustCompile(`created by (\S+)@(\S+) \(pid (\d+)\) at (\S+)`)

// explain returns the reason of a failure: of a lock who holds it, else the errors of the steps, else what the command printed.
func (e engine) explain(errs []string, stderr string) string {
	if lock := locked.FindStringSubmatch(stderr); lock != nil {
		who := fmt.Sprintf("%s on %s (process %s) has been changing the stack since %s", lock[1], lock[2], lock[3], lock[4])
		host, _ := os.Hostname()
		if pid, err := strconv.Atoi(lock[3]); err == nil && host == lock[2] && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return fmt.Sprintf("stack %q is locked: %s, and that process is gone: remove its lock with `pulumi cancel --stack %s`, and plan again", e.stack, who, e.stack)
		}
		return fmt.Sprintf("stack %q is locked: %s; wait until that has ended, and plan again; if that process is gone, remove its lock with `pulumi cancel --stack %s`",
			e.stack, who, e.stack)
	}
	if len(errs) > 0 {
		return strings.Join(errs, "\n")
	}
	return strings.TrimPrefix(strings.TrimSpace(withoutValues(stderr)), "error: ")
}

// said are the errors of the events of a run.
type said struct{ errors []string }

func (s *said) take(event apitype.EngineEvent) {
	d := event.DiagnosticEvent
	if d == nil || d.Severity != "error" {
		return
	}
	message := strings.TrimSpace(withoutValues(d.Message))
	if message == "" || message == "update failed" || message == "preview failed" {
		return
	}
	if d.URN != "" {
		message = nameOf(d.URN) + ": " + message
	}
	s.errors = append(s.errors, message)
}

// violation matches what Pulumi says of a step that is not as planned. The values behind it are those of a Secret too.
var violation = regexp.MustCompile(`(?s)violates plan.*`)

// withoutValues removes values that must not be seen from a message of the engine.
func withoutValues(message string) string {
	return violation.ReplaceAllString(message, "is not as planned")
}
