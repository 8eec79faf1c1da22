// Command bootstrap builds the sandbox's command, with the programs of others that are asked for by -with, and becomes it:
//
//	bootstrap -with node up --stack dev
//
// It is made of the standard library alone, so `go run` has it within seconds on a machine where nothing is compiled yet.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/toolchain"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bootstrap", flag.ContinueOnError)
	with := flags.String("with", "", "what to build beside the sandbox's command: node (Kubernetes and Traefik), engine (Pulumi), or both with a comma between them")
	repo := flags.String("repo", "..", "folder of the checkout")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := cache.Open()
	if err != nil {
		return err
	}
	root, err := filepath.Abs(*repo)
	if err != nil {
		return err
	}
	names := []string{"sandbox"}
	for group := range strings.FieldsFuncSeq(*with, func(r rune) bool { return r == ',' }) {
		programs, known := map[string][]string{"node": toolchain.Node, "engine": toolchain.Engine}[group]
		if !known {
			return fmt.Errorf("-with %q: must be node, engine or node,engine", *with)
		}
		names = append(names, programs...)
	}
	if err := toolchain.Build(ctx, root, dir, os.Stderr, names...); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return nil
	}
	// The sandbox's command and the cluster's programs collect their garbage as usual.
	if err := toolchain.Forget(); err != nil {
		return err
	}
	program := filepath.Join(dir.Bin(), "sandbox")
	return syscall.Exec(program, append([]string{program}, flags.Args()...), os.Environ())
}
