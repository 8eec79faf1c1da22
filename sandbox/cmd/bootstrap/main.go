// Command bootstrap builds the sandbox's command and the third-party programs that -with names, and then executes the command:
//
//	bootstrap -with node up --stack dev
//
// It runs in the sandbox's folder of a checkout. It needs the standard library alone, so `go run` starts it within seconds.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
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
	with := flags.String("with", "", "what to build beside the sandbox's command: node (Kubernetes and Traefik), engine (Pulumi), or node,engine (all that a stack may need)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := cache.Open()
	if err != nil {
		return err
	}
	groups := map[string][]string{"": nil, "node": toolchain.Node, "engine": toolchain.Engine, "node,engine": toolchain.All}
	names, known := groups[*with]
	if !known {
		return fmt.Errorf("-with %q: must be node, engine or node,engine", *with)
	}
	if err := toolchain.Build(ctx, "..", dir, os.Stderr, append(names, "sandbox")...); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return nil
	}
	// The garbage collector settings of the build must not apply to the sandbox's command and the cluster's programs.
	if err := toolchain.Forget(); err != nil {
		return err
	}
	program := filepath.Join(dir.Bin(), "sandbox")
	return syscall.Exec(program, append([]string{program}, flags.Args()...), os.Environ())
}
