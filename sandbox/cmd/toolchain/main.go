// Command toolchain does what needs no compiled sandbox. It pushes and pulls the programs that a sandbox has built, and finds a
// program in a Debian package without installing the package.
//
//	toolchain push registry.example.com/team-a
//	toolchain pull registry.example.com/team-a/journal-toolchain@sha256:…
//	toolchain debian redis-server usr/bin/redis-server
//
// Push prints the reference for pull. Debian prints the path of a script that runs the program.
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
	"example.com/journal/sandbox/debian"
	"example.com/journal/sandbox/toolchain/share"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	said, err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	fmt.Print(said)
}

func run(ctx context.Context, args []string, log io.Writer) (string, error) {
	dir, err := cache.Open()
	if err != nil {
		return "", err
	}
	switch {
	case len(args) == 2 && args[0] == "push":
		reference, err := share.Push(ctx, dir, args[1])
		return reference + "\n", err
	case len(args) == 2 && args[0] == "pull":
		return "", share.Pull(ctx, dir, args[1])
	case len(args) == 3 && args[0] == "debian":
		root, err := debian.Extract(ctx, dir.Debian(), log, args[1], args[1])
		if err != nil {
			return "", err
		}
		wrapper, err := debian.Wrapper(root, args[2])
		return wrapper + "\n", err
	}
	return "", errors.New("write `toolchain push <registry>`, `toolchain pull <repository>@<digest>` or `toolchain debian <package> <path of the program in it>`")
}
