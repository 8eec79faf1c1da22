// Command sandbox runs the journal on a real one-node Kubernetes of its own on this machine. Results go to standard
// output, everything else to standard error.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"example.com/journal/sandbox/node"
)

func main() {
	if node.Reexec() {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	err := run(ctx, os.Args[1:], console{getenv: os.Getenv, in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	if kubectl := new(exec.ExitError); errors.As(err, &kubectl) {
		os.Exit(kubectl.ExitCode()) // it has said itself what is wrong
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
