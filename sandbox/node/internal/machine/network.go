package machine

import (
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Addresses in the node's own network. Nothing outside sees them, so they cannot collide with others.
const (
	NodeIP      = "10.200.0.1"
	PodCIDR     = "10.244.0.0/24"
	ServiceCIDR = "10.96.0.0/16"
	ServiceIP   = "10.96.0.1" // of the apiserver, as pods see it

	APIPort = "6443"
	// The Ingress controller listens on the default ports of HTTP and HTTPS. Traefik serves a Gateway's listener only if an entry
	// point has the same port.
	HTTPPort  = "80"
	HTTPSPort = "443"

	// APIServer is the URL at which the node's programs reach the API server.
	APIServer = "https://" + NodeIP + ":" + APIPort
)

// SetUpNetwork sets the host name, and brings up loopback and the node's address. The address is on an interface that leads
// nowhere: pods reach each other, Services and the node, but nothing outside.
func SetUpNetwork() error {
	if err := unix.Sethostname([]byte(Name)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	// Both ends of the veth pair stay here. Not every kernel has dummy interfaces, and pods need veth pairs anyway.
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "sandbox0"}, PeerName: "sandbox1"}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("add the interface sandbox0 (a veth pair, as each pod has): %w", err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(NodeIP), Mask: net.CIDRMask(24, 32)}}
	if err := netlink.AddrAdd(pair, address); err != nil {
		return fmt.Errorf("give %s to sandbox0: %w", NodeIP, err)
	}
	for _, name := range []string{"lo", "sandbox0", "sandbox1"} {
		if err := netlink.LinkSetUp(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Name: name}}); err != nil {
			return fmt.Errorf("bring up %s: %w", name, err)
		}
	}
	// The addresses of Services exist only in firewall rules, which apply to a packet after it has found a route.
	everywhere := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: pair.Index, Dst: everywhere}); err != nil {
		return fmt.Errorf("add the default route: %w", err)
	}
	// This sysctl belongs to the network namespace.
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
}
