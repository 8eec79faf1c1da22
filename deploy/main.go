// Command deploy changes a stack in two steps, and looks at it in between: plan shows what an update would do and writes it down,
// apply does exactly that or refuses, and drift says what others have changed in the cluster. pin writes what was pushed into the
// stack's file. It runs Pulumi's own command, and the command supply for what is in registries.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// The exit codes besides 0.
const (
	exitFailed = 1
	// exitDrift is that of drift when the cluster is not as it was deployed.
	exitDrift = 2
)

// errDrift ends a look that has found something. What it has found is printed.
var errDrift = errors.New("the cluster is not as it was deployed")

const usage = "write deploy plan --stack prod, deploy apply plans/prod, deploy drift --stack prod, or deploy pin --stack prod"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	c := command{stdin: os.Stdin, stdout: os.Stdout}
	own, err := os.Executable()
	if err == nil {
		c.supply = filepath.Join(filepath.Dir(own), "supply") // where `make` puts both
		err = c.run(ctx, os.Args[1:])
	}
	stop()
	os.Exit(exitCode(err, os.Stderr))
}

// exitCode reports an error, and returns the code with which the program ends.
func exitCode(err error, stderr io.Writer) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errDrift):
		return exitDrift
	}
	fmt.Fprintln(stderr, "error:", err)
	return exitFailed
}

// command is this program, as it is run.
type command struct {
	// supply is the program that verifies images. No flag names another one, which could let every image pass.
	supply string
	stdin  io.Reader
	stdout io.Writer
}

// run runs the command that the arguments name.
func (c command) run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("no command: " + usage)
	}
	flags := flag.NewFlagSet("deploy "+args[0], flag.ContinueOnError)
	project := flags.String("project", ".", "the folder of Pulumi.yaml")
	switch args[0] {
	case "plan":
		stack := flags.String("stack", "", "the stack, as in Pulumi.<stack>.yaml")
		out := flags.String("out", "", "the folder of the plan, plans/<stack> by default")
		if err := parse(flags, args[1:], 0); err != nil {
			return err
		}
		e, err := newEngine(*project, *stack)
		if err != nil {
			return err
		}
		return makePlan(ctx, e, c.verifier(e), cmp.Or(*out, filepath.Join("plans", *stack)), c.stdout)
	case "apply":
		if err := parse(flags, args[1:], 1); err != nil {
			return err
		}
		p, err := readPlan(flags.Arg(0))
		if err != nil {
			return err
		}
		e, err := newEngine(*project, p.facts.Stack)
		if err != nil {
			return err
		}
		return p.apply(ctx, e, c.verifier(e), c.stdout)
	case "drift":
		stack := flags.String("stack", "", "the stack, as in Pulumi.<stack>.yaml")
		if err := parse(flags, args[1:], 0); err != nil {
			return err
		}
		e, err := newEngine(*project, *stack)
		if err != nil {
			return err
		}
		return drift(ctx, e, c.stdout)
	case "pin":
		stack := flags.String("stack", "", "the stack, as in Pulumi.<stack>.yaml")
		if err := parse(flags, args[1:], 0); err != nil {
			return err
		}
		if *stack == "" {
			return errNoStack
		}
		return pin(*project, *stack, c.stdin, c.stdout)
	}
	return fmt.Errorf("command %q: unknown; %s", args[0], usage)
}

// verifier verifies the images of an engine's project, which keeps in its folder trust whom it trusts.
func (c command) verifier(e engine) verifier {
	return verifier{program: c.supply, trust: filepath.Join(e.project, "trust")}
}

// parse reads the flags of a command, which takes this many other arguments.
func parse(flags *flag.FlagSet, args []string, others int) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != others {
		return fmt.Errorf("arguments %q: %d expected, and flags come first; %s", flags.Args(), others, usage)
	}
	return nil
}
