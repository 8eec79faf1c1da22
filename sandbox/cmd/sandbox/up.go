package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/journal/sandbox/answer"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/toolchain"
	"example.com/journal/stacks"
)

// up takes a fresh checkout to a page in the browser.
func (s *sandbox) up(ctx context.Context) error {
	repo, err := s.repository()
	if err != nil {
		return err
	}
	decided, err := stacks.Read(repo, s.stack)
	known := &decided
	if err != nil {
		known = nil
	}
	// Building the toolchain takes long, so every check that can fail comes before it.
	if err := errors.Join(err, s.cluster.Check(ctx, known)); err != nil {
		return err
	}
	log := &timeline{start: time.Now(), out: s.err}
	var built []images.Image
	downloading, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // if it fails, the build says why
		_ = toolchain.Download(downloading, repo, s.dir, s.cluster.ServicePrograms(decided)...)
	}()
	group, each := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := toolchain.Build(each, repo, s.dir, log.of("toolchain"), s.cluster.Programs()...); err != nil {
			return err
		}
		return s.cluster.Start(each, log.of("cluster"))
	})
	group.Go(func() error { return toolchain.Build(each, repo, s.dir, log.of("toolchain"), toolchain.Engine...) })
	group.Go(func() (err error) {
		built, err = images.Build(each, repo, s.dir, log.of("images"), s.cluster.Images(decided)...)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if err := s.cluster.Load(ctx, built, log.of("import")); err != nil {
		return err
	}
	stack, err := s.planned(repo, decided, built, log.of("deploy"))
	if err != nil {
		return err
	}
	// The page does not wait for the services beside it: their images come while the stack is deployed.
	services := make(chan error, 1)
	go func() { services <- s.cluster.LoadServices(ctx, repo, decided, log.of("services")) }()
	result, err := stack.Up(ctx)
	err = errors.Join(<-services, err)
	address, _ := result.Outputs["url"].(string)
	if err == nil {
		err = answer.Wait(ctx, s.cluster, address, decided.Namespace, log.of("answer"))
	}
	if s.context != "" && errors.Is(err, answer.ErrUnreachable) {
		s.say("all pods are ready; not checked: %v", err)
		err = nil
	}
	if err != nil {
		s.showPods(ctx, decided.Namespace)
		return err
	}
	s.say("up in %.1f s", time.Since(log.start).Seconds())
	s.say("stack %q on %s: %s", s.stack, s.cluster, describe(result.Changes, "nothing changed"))
	_, err = fmt.Fprintln(s.out, address)
	return err
}

// showPods shows the pods and the warnings of a stack that does not work.
func (s *sandbox) showPods(ctx context.Context, namespace string) {
	for _, args := range [][]string{{"get", "pods"}, {"events", "--types", "Warning"}} {
		cmd := s.cluster.Kubectl(ctx, append(args, "--namespace", namespace)...)
		cmd.Stdout, cmd.Stderr = s.err, s.err
		_ = cmd.Run() // its output only helps to explain another error
	}
}

// timeline writes the lines of a command's parts, each with the time and the part's name.
type timeline struct {
	start time.Time
	mu    sync.Mutex
	out   io.Writer
}

// of returns the writer of one part. Parts write whole lines, and may run at the same time.
func (t *timeline) of(part string) io.Writer { return partOf{t, part} }

type partOf struct {
	*timeline
	name string
}

func (p partOf) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for line := range bytes.Lines(text) {
		if _, err := fmt.Fprintf(p.out, "%6.1f s  %-10s%s", time.Since(p.start).Seconds(), p.name, line); err != nil {
			return 0, err
		}
	}
	return len(text), nil
}
