// Command diff shows what a change does to the objects of every stack, as Markdown for a pull request: dangerous things first. It
// renders the commit that the change is based on with that commit's own program, and the working tree with the tree's. It needs no
// state, no cluster and no secret.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "render/diff:", err)
		os.Exit(1)
	}
}

// run writes the text to stdout; with --out into that file, in the size of a comment. It fails if the tree cannot be rendered, after it
// has written why.
func run(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	flags := flag.NewFlagSet("diff", flag.ContinueOnError)
	base := flags.String("base", "origin/main", "the branch or commit that the change is meant for; the last commit that both have is compared")
	out := flags.String("out", "", "the file of the text, cut to the size of a comment on GitHub; stdout, and all of it, if empty")
	project := flags.String("project", ".", "the folder of Pulumi.yaml, in a git repository")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("arguments %q: none is expected; write for example `make render-diff BASE=origin/main`", flags.Args())
	}
	temporary, err := os.MkdirTemp("", "render-diff-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	before, after, err := bothSides(ctx, *project, *base, temporary)
	if err != nil {
		return err
	}
	stacks, err := compareStacks(ctx, before, after, temporary)
	if err != nil {
		return err
	}
	text := page{base: before.commit, stacks: stacks}
	if *out == "" {
		fmt.Fprint(stdout, text.markdown(unlimited))
	} else if err := os.WriteFile(*out, []byte(text.markdown(commentSize)), 0o644); err != nil {
		return err
	}
	if summary := getenv("GITHUB_STEP_SUMMARY"); summary != "" {
		if err := appendTo(summary, text.markdown(commentSize)); err != nil {
			return err
		}
	}
	var failed []string
	for _, s := range stacks {
		if s.refused != "" {
			failed = append(failed, s.name)
		}
	}
	if len(failed) > 0 {
		return errors.New("cannot be rendered: " + strings.Join(failed, ", ") + "; the text says why")
	}
	return nil
}

// appendTo appends a text to a file.
func appendTo(path, text string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, text)
	return errors.Join(err, file.Close())
}
