// Command debian-program prints the path of a script that runs a program out of a Debian package, without installing
// the package: debian-program redis-server usr/bin/redis-server. The first call downloads it; root is not needed.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/debian"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: debian-program <package> <path of the program in the package>, not %d arguments", len(args))
	}
	dir, err := cache.Open()
	if err != nil {
		return err
	}
	root, err := debian.Extract(ctx, dir.Debian(), args[0], args[0])
	if err != nil {
		return err
	}
	wrapper, err := debian.Wrapper(root, args[1])
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, wrapper)
	return err
}
