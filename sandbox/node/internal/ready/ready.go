// Package ready asks whether the parts of the cluster do their work yet.
package ready

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Probe says why something is not ready yet.
type Probe func(context.Context) error

// Wait probes until the probe succeeds or ctx ends, and logs how long it took.
func Wait(ctx context.Context, what string, probe Probe) error {
	began := time.Now()
	var err error
	waited := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		err = probe(attempt)
		return err == nil, nil
	})
	if waited != nil {
		return fmt.Errorf("not ready: %s: %w", what, err)
	}
	fmt.Printf("%s ready after %d ms\n", what, time.Since(began).Milliseconds())
	return nil
}

// At is ready when a URL returns success, or when a socket accepts a connection.
func At(address string) Probe {
	return func(ctx context.Context) error {
		if !strings.HasPrefix(address, "http:") {
			connection, err := new(net.Dialer).DialContext(ctx, "unix", address)
			if err != nil {
				return err
			}
			return connection.Close()
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", address, response.Status)
		}
		return nil
	}
}
