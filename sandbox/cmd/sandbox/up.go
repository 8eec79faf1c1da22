package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/deploy"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/node"
	"example.com/journal/sandbox/toolchain"
	"example.com/journal/stacks"
)

// answerTime is how long the journal may take to answer after it was deployed.
const answerTime = 3 * time.Minute

// up does everything from a fresh checkout to a page in the browser.
func (s *sandbox) up(ctx context.Context) error {
	dir, err := cache.Open()
	if err != nil {
		return err
	}
	repo, err := s.repository()
	if err != nil {
		return err
	}
	config, err := node.ConfigFromEnv(dir, s.getenv, nil)
	if err != nil {
		return err
	}
	// The toolchain takes long to build: what can be refused is refused before.
	decided, err := stacks.Read(repo, s.stack)
	if err := errors.Join(err, node.Check(ctx, config)); err != nil {
		return err
	}

	phases := newPhases(s.err)
	if err := phases.do("toolchain", func(log io.Writer) error { return toolchain.Build(ctx, repo, dir, log, toolchain.Engine...) }); err != nil {
		return err
	}
	var built []images.Image
	var n *node.Node
	group, both := errgroup.WithContext(ctx)
	group.Go(func() error {
		return phases.do("images", func(log io.Writer) (err error) {
			built, err = images.Build(both, repo, dir, log)
			return err
		})
	})
	group.Go(func() error {
		return phases.do("cluster", func(log io.Writer) (err error) {
			config.Progress = log
			n, err = node.Start(both, config)
			return err
		})
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if err := phases.do("import", func(log io.Writer) error { return importImages(ctx, dir, n, built, log) }); err != nil {
		return err
	}
	var result deploy.Result
	if err := phases.do("deploy", func(log io.Writer) error {
		stack, err := deploy.Open(deploy.Config{
			Repo: repo, Stack: s.stack, Dir: dir, Kubeconfig: n.Kubeconfig(),
			Overrides: overrides(decided, built, userPort(decided, n)), Progress: log,
		})
		if err != nil {
			return err
		}
		result, err = stack.Up(ctx)
		return withPods(ctx, n, err)
	}); err != nil {
		return err
	}
	address, _ := result.Outputs["url"].(string)
	namespace, _ := result.Outputs["namespace"].(string)
	if err := phases.do("answer", func(log io.Writer) error {
		err := waitForRollouts(ctx, n, namespace, log)
		if err == nil {
			err = waitForAnswer(ctx, n, address, namespace)
		}
		return withPods(ctx, n, err)
	}); err != nil {
		return err
	}
	s.say("up in %s: %s", seconds(time.Since(phases.start)), phases.summary())
	s.say("stack %q: %s", s.stack, describe(result.Changes))
	_, err = fmt.Fprintln(s.out, address)
	return err
}

// importImages gives the node the images that it does not have.
func importImages(ctx context.Context, dir cache.Dir, n *node.Node, built []images.Image, log io.Writer) error {
	has, err := n.Images(ctx)
	if err != nil {
		return err
	}
	// A foreign image keeps its reference when the way it is made changes, so the archive's name is remembered as well.
	record := filepath.Join(dir.State(), "images.json")
	imported := map[string]string{}
	if text, err := os.ReadFile(record); err == nil {
		_ = json.Unmarshal(text, &imported) // a record that cannot be read costs another import
	}
	group, each := errgroup.WithContext(ctx)
	missing := map[string]string{}
	for _, image := range built {
		archive := filepath.Base(image.Archive)
		if slices.Contains(has, image.Reference) && imported[image.Reference] == archive {
			continue
		}
		missing[image.Reference] = archive
		group.Go(func() error {
			if err := n.ImportImage(each, image.Archive); err != nil {
				return err
			}
			_, err := fmt.Fprintf(log, "imported %s\n", image.Reference)
			return err
		})
	}
	if err := group.Wait(); err != nil || len(missing) == 0 {
		return err
	}
	maps.Copy(imported, missing)
	text, err := json.Marshal(imported)
	if err != nil {
		return err
	}
	return os.WriteFile(record, text, 0o600)
}

// waitForRollouts returns when all pods are those that the stack declares. The plugin that waits for them while it deploys
// may look at a workload as it was before its update, and pods that came back after a start are nobody's update.
func waitForRollouts(ctx context.Context, n *node.Node, namespace string, log io.Writer) error {
	for _, kind := range []string{"statefulsets", "deployments"} {
		var complaint bytes.Buffer
		cmd := n.Kubectl(ctx, "rollout", "status", kind, "--namespace", namespace, "--selector", partOf,
			fmt.Sprintf("--timeout=%s", answerTime))
		cmd.Stderr = &complaint
		said, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		for scanner := bufio.NewScanner(said); scanner.Scan(); {
			if line := scanner.Text(); strings.HasPrefix(line, "Waiting") {
				fmt.Fprintln(log, line)
			}
		}
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("rollout of %s: %w: %s", kind, err, strings.TrimSpace(complaint.String()))
		}
	}
	return nil
}

// waitForAnswer returns when the page and the API answer through the Ingress, as a browser would ask.
func waitForAnswer(ctx context.Context, n *node.Node, address, namespace string) error {
	page, err := url.Parse(address)
	if err != nil {
		return err
	}
	port, trusted := n.HTTPPort(), (*x509.CertPool)(nil)
	if page.Scheme == "https" {
		port = n.HTTPSPort()
		if trusted, err = certificates(ctx, n, namespace); err != nil {
			return err
		}
	}
	client := &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12},
			// A resolver need not know that names below localhost are this machine; browsers do.
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", port))
			},
		},
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	for _, target := range []string{page.String(), page.JoinPath("api", "entries").String()} {
		for {
			err := answers(ctx, client, target)
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("no good answer within %s: %w", answerTime, err)
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
	return nil
}

// certificates are those that the stack has signed for its host itself.
func certificates(ctx context.Context, n *node.Node, namespace string) (*x509.CertPool, error) {
	encoded, err := n.Kubectl(ctx, "get", "secrets", "--namespace", namespace, "--selector", "app=exposure",
		"--output", `jsonpath={range .items[*]}{.data.tls\.crt}{"\n"}{end}`).Output()
	if err != nil {
		return nil, fmt.Errorf("read the certificate of the host: %w", err)
	}
	pool := x509.NewCertPool()
	for line := range strings.FieldsSeq(string(encoded)) {
		certificate, err := base64.StdEncoding.DecodeString(line)
		if err != nil || !pool.AppendCertsFromPEM(certificate) {
			return nil, fmt.Errorf("the Secret of the host in namespace %s holds no certificate", namespace)
		}
	}
	return pool, nil
}

func answers(ctx context.Context, client *http.Client, target string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", target, response.Status)
	}
	return nil
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
	p.order = append(p.order, name)
	p.took[name] = time.Since(start)
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

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
