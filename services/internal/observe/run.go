// Package observe is what the commands logs and figures have in common: a person with a kubeconfig reads what the API group
// observe.journal.example.com serves, in the terminal or on a store's own page. The caller's own credential is used, and the
// caller's rights decide.
package observe

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Run runs a program until it ends or is interrupted, and exits with 1 after an error. The command line is made for the name that a
// person types to run it: the plain one, or that of a plugin of kubectl.
func Run(plain string, command func(name string, stdout, stderr io.Writer) *cobra.Command) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // A second signal ends the process at once.
	name := nameOf(os.Args[0], plain)
	err := command(name, os.Stdout, os.Stderr).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// nameOf returns what a person types to run the program at a path.
func nameOf(program, plain string) string {
	name, isPlugin := strings.CutPrefix(filepath.Base(program), "kubectl-")
	if !isPlugin {
		return plain
	}
	return "kubectl " + strings.ReplaceAll(name, "_", "-") // as kubectl finds plugins
}
