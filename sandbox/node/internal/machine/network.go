package machine

import (
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Addresses in the node's own network. No machine outside can see them, so they never collide with anything.
const (
	NodeIP      = "10.200.0.1"
	PodCIDR     = "10.244.0.0/24"
	ServiceCIDR = "10.96.0.0/16"
	ServiceIP   = "10.96.0.1" // of the apiserver, as pods see it

	APIPort = "6443"
	// The ports of the Ingress controller are the schemes' own, since Traefik serves a Gateway's listener only where it has an
	// entry point on the same port.
	HTTPPort  = "80"
	HTTPSPort = "443"

	// APIServer is how the node's programs reach the apiserver.
	APIServer = "https://" + NodeIP + ":" + APIPort
)

// SetUpNetwork names this host, and brings up loopback and the node's address, on an interface that leads nowhere: pods reach each other,
// Services and the node; the world outside is not there.
func SetUpNetwork() error {
	if err := unix.Sethostname([]byte(Name)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	// Both ends of the cable stay here. A dummy interface would do, but not every kernel has one, and pods need cables anyway.
	cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "sandbox0"}, PeerName: "sandbox1"}
	if err := netlink.LinkAdd(cable); err != nil {
		return fmt.Errorf("add the interface sandbox0 (a veth pair, as each pod has): %w", err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(NodeIP), Mask: net.CIDRMask(24, 32)}}
	if err := netlink.AddrAdd(cable, address); err != nil {
		return fmt.Errorf("give %s to sandbox0: %w", NodeIP, err)
	}
	for _, name := range []string{"lo", "sandbox0", "sandbox1"} {
		if err := netlink.LinkSetUp(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Name: name}}); err != nil {
			return fmt.Errorf("bring up %s: %w", name, err)
		}
	}
	// Services' addresses exist in firewall rules only, which a packet meets after it has found a route.
	everywhere := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: cable.Index, Dst: everywhere}); err != nil {
		return fmt.Errorf("add the default route: %w", err)
	}
	// This sysctl is the network namespace's own.
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
}
