// Command toolchain shares the programs that the sandbox has built:
//
//	toolchain push registry.example.com/team-a
//	toolchain pull registry.example.com/team-a/journal-toolchain@sha256:…
//
// Push prints the reference that pull takes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/toolchain/share"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	dir, err := cache.Open()
	if err != nil {
		return err
	}
	switch {
	case len(args) == 2 && args[0] == "push":
		reference, err := share.Push(ctx, dir, args[1])
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, reference)
		return err
	case len(args) == 2 && args[0] == "pull":
		return share.Pull(ctx, dir, args[1])
	}
	return errors.New("write `toolchain push <registry>` or `toolchain pull <repository>@<digest>`")
}
