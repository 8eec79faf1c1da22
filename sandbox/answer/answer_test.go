package answer

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"example.com/journal/sandbox/cluster"
)

// fake is a cluster whose kubectl is a script, and which answers at an address.
type fake struct {
	cluster.Cluster
	kubectl, address string
}

func (f fake) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "sh", append([]string{"-c", f.kubectl, "kubectl"}, args...)...)
}

func (f fake) Address(context.Context, *url.URL, string) (string, error) { return f.address, nil }

func TestARolloutThatFailsIsAnErrorAndKubectlSaysWhy(t *testing.T) {
	var log strings.Builder
	if err := rollouts(t.Context(), fake{kubectl: `echo "$1 $2 $3"`}, "journal", &log); err != nil || log.String() != "rollout status statefulsets,deployments\n" {
		t.Errorf("got %v, and %q", err, log.String())
	}
	if err := rollouts(t.Context(), fake{kubectl: "exit 1"}, "journal", io.Discard); err == nil || !strings.Contains(err.Error(), "kubectl rollout status") {
		t.Errorf("got %v", err)
	}
}

func TestTheExposureIsVisitedAsByABrowser(t *testing.T) {
	asked, early := map[string]int{}, 2
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked[r.Host+r.URL.Path]++; early > 0 { // pods that came back a moment ago
			early--
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer server.Close()
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	c := fake{kubectl: "echo '" + certificate + "'", address: server.Listener.Addr().String()}
	if err := exposure(t.Context(), c, "https://example.com/", "journal"); err != nil {
		t.Fatal(err)
	}
	if asked["example.com/"] != 3 || asked["example.com/api/entries"] != 1 {
		t.Errorf("these were asked for: %v", asked)
	}
}

func TestAnExposureThatCannotBeReachedIsToldFromOneThatDoesNotWork(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := visit(ctx, http.DefaultClient, "http://127.0.0.1:1/"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if err := visit(t.Context(), http.DefaultClient, server.URL); err == nil || errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v", err)
	}
}
