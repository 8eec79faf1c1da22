//go:build e2e

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"example.com/journal/services/namespace-controller/api"
)

// figuresOf returns the lines of the ends that a replica serves at an address.
func figuresOf(t *testing.T, address string) (lines []string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil // it is about to start
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", answer.Status, err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "journal_claim_end_timestamp_seconds{") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// freeAddress returns a loopback address that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func TestEveryReplicaSaysWhenAClaimedNamespaceEndsUntilItIsGone(t *testing.T) {
	addresses := []string{freeAddress(t), freeAddress(t)}
	for _, address := range addresses {
		startReplica(t, "--metrics-address="+address)
	}
	newTenant(t, "figures")
	claim := claimFor("figures", "try", "")
	apply(t, claim)
	inPhase(t, claim, api.Active)
	says := func(labels, value string) func() bool {
		return func() bool {
			for _, address := range addresses {
				found := ""
				for _, line := range figuresOf(t, address) {
					if strings.HasPrefix(line, "journal_claim_end_timestamp_seconds{"+labels+"}") {
						found = line
					}
				}
				if (value == "") != (found == "") || value != "" && !strings.HasSuffix(found, " "+value) {
					return false
				}
			}
			return true
		}
	}
	labels := fmt.Sprintf(`claim="try",namespace=%q,tenant="figures"`, claim.Status.Namespace)
	end := fmt.Sprintf("%g", float64(claim.Status.ExpiresAt.Unix()))
	eventually(t, "both replicas say the end", says(labels, end))

	suspendTenant(t, "figures")
	eventually(t, "a suspended claim has no end", says(labels, ""))
	resumeTenant(t, "figures")
	eventually(t, "a resumed claim has one", func() bool { return len(figuresOf(t, addresses[0])) > 0 })

	if err := cluster.Delete(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a deleted claim has none", says(labels, ""))
}
