package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	// patchForce lets Pulumi's Kubernetes plugin take back fields that others have changed.
	patchForce = "PULUMI_K8S_ENABLE_PATCH_FORCE"
	// The exit codes of Pulumi's command.
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

var errNoStack = errors.New(`stack "": must be named; write for example STACK=prod`)

// newEngine finds Pulumi's command.
func newEngine(project, stack string) (engine, error) {
	if stack == "" {
		return engine{}, errNoStack
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

// command is a command of Pulumi.
func (e engine) command(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, e.program, append(args, "--stack", e.stack, "--non-interactive", "--color", "never")...)
	command.Dir = e.project
	command.Env = append(os.Environ(), "PULUMI_ENABLE_STREAMING_JSON_PREVIEW=true", "PULUMI_SKIP_UPDATE_CHECK=true")
	if os.Getenv(skipCheckpoints) == "" {
		command.Env = append(command.Env, skipCheckpoints+"=true")
	}
	// One interrupt lets the engine finish what it has begun, and write its state. A second one, of the terminal, would not.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	return command
}

// output runs a command that has no events, and returns what it prints.
func (e engine) output(ctx context.Context, args ...string) ([]byte, error) {
	var out, stderr bytes.Buffer
	command := e.command(ctx, args...)
	command.Stdout, command.Stderr = &out, &stderr
	err := command.Run()
	return out.Bytes(), e.ended(ctx, err, nil, stderr.String())
}

// follow runs a command that previews or changes something, and gives each of its events to handle.
func (e engine) follow(ctx context.Context, handle func(apitype.EngineEvent), args ...string) error {
	var stderr bytes.Buffer
	command := e.command(ctx, append(args, "--json", "--parallel", parallel)...)
	command.Stderr = &stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	var errs []string
	whole := false // the summary comes last
	for lines := bufio.NewReader(stdout); err == nil; {
		var line []byte
		line, err = lines.ReadBytes('\n')
		var event apitype.EngineEvent
		if json.Unmarshal(line, &event) != nil {
			continue
		}
		whole = whole || event.SummaryEvent != nil
		if message := errorOf(event); message != "" {
			errs = append(errs, message)
		}
		handle(event)
	}
	err = e.ended(ctx, command.Wait(), errs, stderr.String())
	if !whole && (err == nil || failed(err, exitChanges)) {
		return fmt.Errorf("pulumi %s: it did not tell its steps; install Pulumi v3.230.0 or newer: %s", args[0], installation)
	}
	return err
}

// ended returns the reason of a failure.
func (e engine) ended(ctx context.Context, err error, errs []string, stderr string) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: %w", context.Cause(ctx))
	case !errors.As(err, &exit):
		return err
	}
	return failure{code: exit.ExitCode(), text: e.explain(errs, stderr)}
}

// locked matches what Pulumi says of each lock of a stack.
var locked = regexp.MustCompile(`created by (\S+)@(\S+) \(pid (\d+)\) at (\S+)`)

// explain returns the reason of a failure: of a lock who holds it, else the errors of the steps, else what the command printed.
func (e engine) explain(errs []string, stderr string) string {
	if lock := locked.FindStringSubmatch(stderr); lock != nil {
		who := fmt.Sprintf("%s on %s (process %s) has been changing the stack since %s", lock[1], lock[2], lock[3], lock[4])
		host, _ := os.Hostname()
		if pid, err := strconv.Atoi(lock[3]); err == nil && host == lock[2] && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return fmt.Sprintf("stack %q is locked: %s, and that process is gone: remove its lock with `pulumi cancel --stack %s`, and try again", e.stack, who, e.stack)
		}
		return fmt.Sprintf("stack %q is locked: %s; wait until that has ended, and plan again; if that process is gone, remove its lock with `pulumi cancel --stack %s`",
			e.stack, who, e.stack)
	}
	if len(errs) > 0 {
		return strings.Join(errs, "\n")
	}
	return strings.TrimPrefix(strings.TrimSpace(withoutValues(stderr)), "error: ")
}

// errorOf is the error that an event tells, or empty.
func errorOf(event apitype.EngineEvent) string {
	d := event.DiagnosticEvent
	if d == nil || d.Severity != "error" {
		return ""
	}
	message := strings.TrimSpace(withoutValues(d.Message))
	if message == "update failed" || message == "preview failed" {
		return ""
	}
	if strings.Contains(message, "Server-Side Apply field conflict") {
		message += "\nsomebody has changed the field; to take it back, set " + patchForce + "=true for the plan and its apply"
	}
	if name := nameOf(d.URN); d.URN != "" && !strings.HasPrefix(message, name) {
		message = name + ": " + message
	}
	return message
}

// violation matches what Pulumi says of a step that is not as planned. The values behind it are also those of a Secret.
var violation = regexp.MustCompile(`(?s)(?:resource )?(urn:\S+)? ?violates plan.*`)

// withoutValues removes the values from a message about a step that is not as planned.
func withoutValues(message string) string {
	found := violation.FindStringSubmatchIndex(message)
	if found == nil {
		return message
	}
	name := "a resource"
	if found[2] >= 0 {
		name = nameOf(message[found[2]:found[3]])
	}
	return message[:found[0]] + name + " is not as planned"
}
