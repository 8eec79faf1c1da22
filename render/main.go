// Command render writes the objects of a stack as files, one for each, with a kustomization.yaml: for kubectl apply -k, Argo CD and
// Flux. It runs the program without an engine, and needs no state, no cluster and no secret.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

// run renders the stack that the arguments name, and says what its objects need.
func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("render", flag.ContinueOnError)
	stack := flags.String("stack", "dev", "the stack, as in Pulumi.<stack>.yaml")
	out := flags.String("out", "", "the folder of the files, rendered/<stack> by default")
	project := flags.String("project", ".", "the folder of Pulumi.yaml")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("arguments %q: none is expected; write for example `render --stack prod`", flags.Args())
	}
	if *out == "" {
		*out = filepath.Join("rendered", *stack)
	}
	before, err := readFolder(*out)
	if err != nil {
		return err
	}
	r, err := render(*project, *stack, before.outputs)
	if err != nil {
		return err
	}
	if err := before.replace(r); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s: %d objects\n", *out, len(r.objects))
	for _, secret := range r.secrets {
		fmt.Fprintf(stdout, "they need the Secret %s, which they do not declare\n", secret)
	}
	return nil
}
