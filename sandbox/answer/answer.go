// Package answer tells whether the journal that was deployed to a cluster works.
package answer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"example.com/journal/sandbox/cluster"
	"example.com/journal/sandbox/internal/command"
)

const (
	// answerTime is how long the journal may take to answer after it was deployed.
	answerTime = 3 * time.Minute
	// addressTime is how long a cluster may take to report an address, and that address to accept connections.
	addressTime = 30 * time.Second
)

// Selector selects the objects of all parts of the journal.
const Selector = "app.kubernetes.io/part-of=journal"

// Wait returns when the journal at an address works.
func Wait(ctx context.Context, c cluster.Cluster, address, namespace string, log io.Writer) error {
	if err := rollouts(ctx, c, namespace, log); err != nil {
		return err
	}
	return exposure(ctx, c, address, namespace)
}

// rollouts returns when all pods are those that the stack declares. The plugin waits for them during a deployment, but may see a
// workload as it was before its update. And no update waits for pods that come back after a start.
func rollouts(ctx context.Context, c cluster.Cluster, namespace string, log io.Writer) error {
	cmd := c.Kubectl(ctx, "rollout", "status", "statefulsets,deployments", "--namespace", namespace, "--selector", Selector, "--timeout", answerTime.String())
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("kubectl rollout status: %w", err)
	}
	return nil
}

// ErrUnreachable says that this machine cannot tell whether the journal answers: a remote cluster may refuse its connections.
var ErrUnreachable = errors.New("the journal's Ingress or Gateway cannot be reached from here")

// exposure returns when the page and the API answer through the Ingress or Gateway, as for a browser.
func exposure(ctx context.Context, c cluster.Cluster, address, namespace string) error {
	page, err := url.Parse(address)
	if err != nil {
		return err
	}
	trusted, err := certificates(ctx, c, namespace)
	if err != nil {
		return err
	}
	at := ""
	web := &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12},
			// The resolver may not know the host, nor that names below localhost are this machine. Browsers know the latter.
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, at)
			},
		},
	}
	defer web.CloseIdleConnections()
	began, last := time.Now(), error(nil)
	err = wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, answerTime, true, func(ctx context.Context) (bool, error) {
		if at, err = c.Address(ctx, page, namespace); err != nil {
			return false, err
		}
		last = visit(ctx, web, page.String(), page.JoinPath("api", "entries").String())
		if at == "" {
			last = fmt.Errorf("%w: no Ingress and no Gateway of namespace %s reports an address", ErrUnreachable, namespace)
		}
		if errors.Is(last, ErrUnreachable) && time.Since(began) > addressTime {
			return false, last
		}
		return last == nil, nil
	})
	if wait.Interrupted(err) && last != nil {
		return fmt.Errorf("after %s: %w", answerTime, last)
	}
	return err
}

// visit checks that pages are there.
func visit(ctx context.Context, client *http.Client, targets ...string) error {
	for _, target := range targets {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s is answered with %s", target, response.Status)
		}
	}
	return nil
}

// certificates returns the machine's root certificates and those that the stack has signed itself for its host.
func certificates(ctx context.Context, c cluster.Cluster, namespace string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	own, err := command.Output(c.Kubectl(ctx, "get", "secrets", "--namespace", namespace, "--selector", "app=exposure",
		"--output", `go-template={{range .items}}{{index .data "tls.crt" | base64decode}}{{end}}`))
	pool.AppendCertsFromPEM([]byte(own))
	return pool, err
}
