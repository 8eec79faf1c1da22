//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"example.com/journal/sandbox/node"
)

// publicAddress is one for documentation, which nobody has. It looks public to NetworkPolicies.
const publicAddress = "203.0.113.10"

// netPod is the pod in each namespace. It serves Redis, and asks others.
const netPod = "e2e-net"

// place is a namespace with a pod, and a user who may run commands in it.
type place struct{ user, namespace, address string }

// asks runs a command in the pod of the place, for three seconds at most.
func (p place) asks(t *testing.T, command ...string) (string, error) {
	t.Helper()
	args := []string{"exec", netPod, "--namespace", p.namespace, "--", "timeout", "3"}
	answer, err := as(t, p.user, "", append(args, command...)...)
	return strings.TrimSpace(answer), err
}

// reaches says what is wrong if the place does not reach another one, or does and may not.
func (p place) reaches(t *testing.T, to place, may bool) error {
	t.Helper()
	answer, _ := p.asks(t, "redis-cli", "-h", to.address, "ping")
	if (answer == "PONG") != may {
		return fmt.Errorf("%s asks %s and gets %q", p.namespace, to.namespace, answer)
	}
	return nil
}

// waysOut tests the ways out of team-a, which has the Internet, and which alice and bob name and are named by.
func waysOut(t *testing.T) {
	applyClaim(t, "bob", "e2e-out", "1h")
	t.Cleanup(func() {
		mustAs(t, "bob", "", "delete", "namespaceclaim", "e2e-out", "--namespace", team, "--ignore-not-found", "--timeout=3m")
	})
	places := map[string]*place{
		"team": {user: "bob", namespace: team}, "alice": {user: "alice", namespace: "alice"}, "bob": {user: "bob", namespace: "bob"},
		"claim": {user: "bob", namespace: claimedNamespace(t, "e2e-out")},
	}
	manifest := pod(netPod, tenancy.image, "{}", "redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "")
	for _, p := range places {
		mustAs(t, p.user, manifest, "create", "--namespace", p.namespace, "--filename", "-")
		t.Cleanup(func() {
			mustAs(t, p.user, "", "delete", "pod", netPod, "--namespace", p.namespace, "--ignore-not-found", "--now")
		})
	}
	for _, p := range places {
		mustAs(t, p.user, "", "wait", "--for=condition=Ready", "pod/"+netPod, "--namespace", p.namespace, "--timeout=3m")
		p.address = mustAs(t, p.user, "", "get", "pod", netPod, "--namespace", p.namespace, "--output", "jsonpath={.status.podIP}")
	}

	for _, way := range []string{"team alice", "alice team", "team bob", "bob team", "claim team", "team claim"} {
		from, to, _ := strings.Cut(way, " ")
		eventually(t, func() error { return places[from].reaches(t, *places[to], true) })
	}
	for _, way := range []string{"alice bob", "bob alice", "claim alice", "alice claim"} {
		from, to, _ := strings.Cut(way, " ")
		if err := places[from].reaches(t, *places[to], false); err != nil {
			t.Error(err)
		}
	}
	t.Run("the owner of a claim opens a port to a colleague", func(t *testing.T) { opens(t, *places["claim"], *places["alice"], *places["bob"]) })
	for _, target := range []string{"kubernetes.default.svc 443", "169.254.169.254 80"} {
		if answer, err := places["team"].asks(t, append([]string{"nc", "-w", "2"}, strings.Fields(target)...)...); err == nil {
			t.Errorf("team-a connects to %s: %s", target, answer)
		}
	}
	t.Run("the Internet is what is public and not the node", func(t *testing.T) {
		n := needsNode(t, "has a public address put on it")
		public(t, n, []*place{places["team"], places["claim"]}, []*place{places["alice"], places["bob"]})
		for _, port := range []string{"6443", "10250"} {
			if answer, err := places["team"].asks(t, "nc", "-w", "2", netip.MustParsePrefix(node.DNS).Addr().String(), port); err == nil {
				t.Errorf("team-a connects to port %s of the node: %s", port, answer)
			}
		}
	})
}

// opens lets the owner of a claimed namespace open it to another tenant that may reach the own one.
func opens(t *testing.T, claim, colleague, other place) {
	mustAs(t, claim.user, fmt.Sprintf(`
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: e2e-colleague}
spec:
  podSelector: {}
  ingress:
  - from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %s}}}]
    ports: [{port: 6379}]
`, colleague.namespace), "create", "--namespace", claim.namespace, "--filename", "-")
	eventually(t, func() error { return colleague.reaches(t, claim, true) })
	if err := other.reaches(t, claim, false); err != nil {
		t.Error(err)
	}
	mustAs(t, claim.user, "", "delete", "networkpolicy", "e2e-colleague", "--namespace", claim.namespace)
	eventually(t, func() error { return colleague.reaches(t, claim, false) })
}

// publicSite serves at a public address in the node's network until the test ends, and returns the address. The port is 8080.
func publicSite(t *testing.T, n *node.Node) string {
	t.Helper()
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(publicAddress), Mask: net.CIDRMask(32, 32)}}
	change := func(does func(netlink.Link, *netlink.Addr) error) error {
		return inNetworkOf(n, func() error {
			loopback, err := netlink.LinkByName("lo")
			if err != nil {
				return err
			}
			return does(loopback, address)
		})
	}
	if err := change(netlink.AddrReplace); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := change(netlink.AddrDel); err != nil {
			t.Error(err)
		}
	})
	listener, err := listenIn(n, net.JoinHostPort(publicAddress, "8080"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = connection.Write([]byte("public\n"))
				_ = connection.Close()
			}
		}
	}()
	return publicAddress
}

// public checks who reaches a public address.
func public(t *testing.T, n *node.Node, reach, cannot []*place) {
	publicSite(t, n)
	for _, p := range reach {
		eventually(t, func() error {
			if answer, _ := p.asks(t, "nc", "-w", "2", publicAddress, "8080"); !strings.Contains(answer, "public") {
				return fmt.Errorf("%s asks a public address and gets %q", p.namespace, answer)
			}
			return nil
		})
	}
	for _, p := range cannot {
		if answer, _ := p.asks(t, "nc", "-w", "2", publicAddress, "8080"); strings.Contains(answer, "public") {
			t.Errorf("%s has no ways out and reaches a public address", p.namespace)
		}
	}
}
