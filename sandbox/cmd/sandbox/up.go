package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/journal/sandbox/answer"
	"example.com/journal/sandbox/deploy"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/objects"
	"example.com/journal/sandbox/toolchain"
	"example.com/journal/stacks"
)

// up does everything from a fresh checkout to a page in the browser.
func (s *sandbox) up(ctx context.Context) error {
	c, err := s.target()
	if err != nil {
		return err
	}
	repo, err := s.repository()
	if err != nil {
		return err
	}
	// The toolchain takes long to build: what can be refused is refused before.
	decided, err := s.decided(repo)
	if err := errors.Join(err, c.Check(ctx, decided)); err != nil {
		return err
	}

	phases := newPhases(s.err)
	programs := func(ctx context.Context, names []string) error {
		return phases.do("toolchain", func(log io.Writer) error { return toolchain.Build(ctx, repo, s.dir, log, names...) })
	}
	var built []images.Image
	group, each := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := programs(each, c.Programs()); err != nil {
			return err
		}
		return phases.do("cluster", func(log io.Writer) error { return c.Start(each, log) })
	})
	group.Go(func() error { return programs(each, toolchain.Engine) })
	if c.TakesImages() {
		group.Go(func() error {
			return phases.do("images", func(log io.Writer) (err error) {
				built, err = images.Build(each, repo, s.dir, log)
				return err
			})
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	client, err := objects.Open(c.Kubeconfig())
	if err != nil {
		return err
	}
	if err := phases.do("import", func(log io.Writer) error { return c.Load(ctx, built, log) }); err != nil {
		return err
	}
	var result deploy.Result
	if err := phases.do("deploy", func(log io.Writer) error {
		values, err := c.Values(*decided, built)
		if err != nil {
			return err
		}
		stack, err := s.openStack(c, repo, values, log)
		if err == nil {
			result, err = stack.Up(ctx)
		}
		return answer.WithPods(ctx, client, err)
	}); err != nil {
		return err
	}
	address, _ := result.Outputs["url"].(string)
	namespace, _ := result.Outputs["namespace"].(string)
	if err := phases.do("answer", func(log io.Writer) error {
		err := answer.Rollouts(ctx, client, namespace, log)
		if err == nil {
			err = answer.WayIn(ctx, c, client, address, namespace)
		}
		if s.context != "" && errors.Is(err, answer.ErrUnseen) {
			_, err = fmt.Fprintf(log, "all pods are ready; not checked: %v\n", err)
		}
		return answer.WithPods(ctx, client, err)
	}); err != nil {
		return err
	}
	s.say("up in %s: %s", seconds(time.Since(phases.start)), phases.summary())
	s.say("stack %q on %s: %s", s.stack, c, describe(result.Changes))
	_, err = fmt.Fprintln(s.out, address)
	return err
}

// decided is what the stack decides, or nil when its configuration is refused.
func (s *sandbox) decided(repo string) (*stacks.Config, error) {
	decided, err := stacks.Read(repo, s.stack)
	if err != nil {
		return nil, err
	}
	return &decided, nil
}

// phases measures the steps of a command and marks what they say with their names.
type phases struct {
	start time.Time

	mu    sync.Mutex
	out   io.Writer
	order []string
	took  map[string]time.Duration
}

func newPhases(out io.Writer) *phases {
	return &phases{start: time.Now(), out: out, took: map[string]time.Duration{}}
}

// do runs one step. Steps may run at the same time.
func (p *phases) do(name string, step func(log io.Writer) error) error {
	log := &lines{phases: p, prefix: fmt.Sprintf("%-10s", name)}
	start := time.Now()
	err := step(log)
	log.flush()
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, again := p.took[name]; !again {
		p.order = append(p.order, name)
	}
	p.took[name] = max(p.took[name], time.Since(start))
	return err
}

// summary lists the steps' times in the order in which they ended.
func (p *phases) summary() string {
	words := make([]string, len(p.order))
	for i, name := range p.order {
		words[i] = name + " " + seconds(p.took[name])
	}
	return strings.Join(words, ", ")
}

// lines puts a prefix before each line, and never mixes the lines of two steps.
type lines struct {
	phases *phases
	prefix string
	rest   []byte
}

func (l *lines) Write(text []byte) (int, error) {
	l.phases.mu.Lock()
	defer l.phases.mu.Unlock()
	l.rest = append(l.rest, text...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(text), nil
		}
		l.rest = rest
		if _, err := fmt.Fprintf(l.phases.out, "%s%s\n", l.prefix, line); err != nil {
			return 0, err
		}
	}
}

// flush writes a last line that was not ended.
func (l *lines) flush() {
	if len(l.rest) > 0 {
		_, _ = l.Write([]byte("\n"))
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
