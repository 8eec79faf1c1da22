package tenancy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// Egress are the ways out of a tenant's namespaces. By default there are none: pods reach the namespaces of their own tenant and
// the cluster's DNS.
type Egress struct {
	// Internet lets the pods connect to every public address, on every port. It leaves out what is private, shared, link-local or
	// otherwise special, and the cluster's own addresses. Claimed namespaces have it too. Off by default.
	Internet bool `json:"internet"`
	// CIDRs are ranges that the pods may connect to, on every port, such as a network of databases. Claimed namespaces have them
	// too. At most 16.
	CIDRs []string `json:"cidrs"`
	// Tenants are other tenants. Both must name each other. The pods of both namespaces may then connect to each other. Claimed
	// namespaces of either stay closed, unless their owner opens them to the other tenant by a NetworkPolicy.
	Tenants []string `json:"tenants"`
}

// maxRanges is how many ranges a tenant may have. The policy on the controller of claims lists them all.
const maxRanges = 16

// InternetWord stands for the Internet in the list that Ways returns.
const InternetWord = "internet"

// Ways returns what claimed namespaces of the tenant may reach besides the tenant: InternetWord, and ranges.
func (e Egress) Ways() []string {
	if !e.Internet {
		return slices.Clone(e.CIDRs)
	}
	return append([]string{InternetWord}, e.CIDRs...)
}

// Addresses are ranges of a cluster's pods, Services and nodes. The Internet does not include them.
type Addresses []string

// Check returns every range that is not valid, as faults of a field called addresses.
func (a Addresses) Check() (f rules.Faults) {
	for i, text := range a {
		_, err := parseRange(text)
		f.Check(fmt.Sprintf("addresses[%d]", i), text, err)
	}
	return f
}

// special are ranges with a meaning of their own. The Internet includes none of them.
var special = prefixes(
	"0.0.0.0/8",        // this host
	"10.0.0.0/8",       // private
	"100.64.0.0/10",    // shared: providers and many clusters
	"127.0.0.0/8",      // loopback
	"168.63.129.16/32", // the agent of Azure's hosts, which hands out what a node was set up with
	"169.254.0.0/16",   // link-local, with the metadata of every cloud
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // for protocols
	"192.88.99.0/24",   // relays from IPv6
	"192.168.0.0/16",   // private
	"198.18.0.0/15",    // benchmarks
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, with broadcast
	"2001::/23",        // for protocols: Teredo, which leads to IPv4, benchmarks and others
	"2002::/16",        // 6to4, which leads to IPv4
)

// public are the ranges that the public addresses are in. Of IPv6 that is what is assigned so far. Loopback, ULA, link-local,
// multicast, mapped IPv4 and NAT64 are outside of it.
var public = prefixes("0.0.0.0/0", "2000::/3")

// never are the ranges that no configuration opens, with what they are.
var never = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified addresses, which lead to the own host"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("168.63.129.16/32"), "168.63.129.16, the agent of Azure's hosts"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local addresses, such as a cloud's metadata"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved addresses and broadcast"},
	{netip.MustParsePrefix("::/96"), "loopback and unspecified addresses"},
	{netip.MustParsePrefix("::ffff:0.0.0.0/96"), "IPv4 in another form; write the range of IPv4"},
	{netip.MustParsePrefix("2001::/32"), "Teredo, a way to any address of IPv4; write the range of IPv4"},
	{netip.MustParsePrefix("2002::/16"), "6to4, a way to any address of IPv4; write the range of IPv4"},
	{netip.MustParsePrefix("fe80::/10"), "link-local addresses"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

// nat64 is the range in which the last 32 bits are an address of IPv4.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

// parseRange returns a range of addresses in its usual form, and refuses one that is too wide to be meant.
func parseRange(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return prefix, errors.New("must be a range of addresses, such as 10.20.0.0/16")
	case prefix.Masked().String() != text:
		return prefix, fmt.Errorf("must be a range as it is usually written; write %s", prefix.Masked())
	case prefix.Bits() < 8:
		return prefix, errors.New("wider than /8; write narrower ranges, such as 10.20.0.0/16, and internet: true in a tenant's egress for the public addresses")
	}
	return prefix, nil
}

// checkRange refuses what is no range, and ranges that no configuration opens.
func checkRange(text string) error {
	prefix, err := parseRange(text)
	if err != nil {
		return err
	}
	if nat64.Overlaps(prefix) { // it reaches what its last 32 bits are
		if prefix.Bits() < nat64.Bits()+8 {
			return errors.New("it holds all of IPv4 by NAT64; write narrower ranges, of at least /104")
		}
		bytes := prefix.Addr().As16()
		prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte(bytes[12:])), prefix.Bits()-nat64.Bits())
	}
	for _, closed := range never {
		if closed.prefix.Overlaps(prefix) {
			return fmt.Errorf("it holds %s; write ranges without that, such as 10.20.0.0/16", closed.what)
		}
	}
	return nil
}

// check returns every rule that the ways out of a tenant break, without those about other tenants.
func (e Egress) check(tenant string, isolated bool) (f rules.Faults) {
	if isolated && (e.Internet || len(e.CIDRs) > 0 || len(e.Tenants) > 0) {
		f.Refuse("", strings.Join(append(e.Ways(), e.Tenants...), ", "), "an isolated tenant's application brings its own policies, which decide on ways out as well; remove egress, or isolated")
		return f
	}
	if len(e.CIDRs) > maxRanges {
		f.Refuse("cidrs", len(e.CIDRs), "more than %d ranges; write wider ones instead of some of them", maxRanges)
	}
	for i, text := range e.CIDRs {
		path := fmt.Sprintf("cidrs[%d]", i)
		f.Check(path, text, checkRange(text))
		if slices.Contains(e.CIDRs[:i], text) {
			f.Refuse(path, text, "listed twice; remove one of the two")
		}
	}
	for i, other := range e.Tenants {
		path := fmt.Sprintf("tenants[%d]", i)
		switch {
		case other == tenant:
			f.Refuse(path, other, "the tenant itself, whose namespaces reach each other anyway; remove it")
		case slices.Contains(e.Tenants[:i], other):
			f.Refuse(path, other, "listed twice; remove one of the two")
		default:
			f.Check(path, other, rules.CheckName(other))
		}
	}
	return f
}

// checkConsent returns the tenants that somebody names in egress and that do not name them, by the tenants' indexes.
func checkConsent(tenants []TenantArgs, index map[string]int) (f rules.Faults) {
	for i := range tenants {
		name := tenants[i].Name
		for e, other := range tenants[i].Egress.Tenants {
			path := fmt.Sprintf("tenants[%d].egress.tenants[%d]", i, e)
			at, known := index[other]
			switch {
			case other == name || rules.CheckName(other) != nil || tenants[i].Isolated: // reported with the tenant
			case !known:
				f.Refuse(path, other, "no tenant of the list; write the name of another one, or remove it")
			case tenants[at].Isolated:
				f.Refuse(path, other, "an isolated tenant, which its own application opens; remove it")
			case !slices.Contains(tenants[at].Egress.Tenants, name):
				f.Refuse(path, other, "both must name each other; add %s to tenants[%d].egress.tenants, or remove this", name, at)
			}
		}
	}
	return f
}

// InternetPeers returns the public addresses as peers of a NetworkPolicy, as plain values.
func InternetPeers(cluster Addresses) []any {
	excluded := slices.Clone(special)
	for _, text := range cluster {
		within := func(wide netip.Prefix) bool {
			own := netip.MustParsePrefix(text)
			return wide.Bits() <= own.Bits() && wide.Overlaps(own)
		}
		if !slices.ContainsFunc(excluded, within) {
			excluded = append(excluded, netip.MustParsePrefix(text))
		}
	}
	var peers []any
	for _, all := range public {
		var except []any
		for _, prefix := range excluded {
			if all.Overlaps(prefix) {
				except = append(except, prefix.String())
			}
		}
		peers = append(peers, map[string]any{"ipBlock": map[string]any{"cidr": all.String(), "except": except}})
	}
	return peers
}

// egressPolicy is the NetworkPolicy for the Internet and for ranges. The controller of claims applies the same one. Each has a
// rule of its own, since a network plugin may look an address up in all blocks of a rule at once.
func (e Egress) policy(cluster Addresses) kube.Object {
	var egress []any
	if e.Internet {
		egress = append(egress, map[string]any{"to": InternetPeers(cluster)})
	}
	if len(e.CIDRs) > 0 { // a rule to nobody would be one to everybody
		var to []any
		for _, text := range e.CIDRs {
			to = append(to, map[string]any{"ipBlock": map[string]any{"cidr": text}})
		}
		egress = append(egress, map[string]any{"to": to})
	}
	return networkPolicy(EgressPolicy, map[string]any{"policyTypes": []string{"Egress"}, "egress": egress})
}

// tenantsPolicy is the NetworkPolicy between the namespaces of tenants that name each other. It lets pods connect to every
// namespace of the others, but only their own namespaces connect back. The owner of a claimed namespace can so open it to the
// others.
func tenantsPolicy(names []string) kube.Object {
	selected := func(label string) map[string]any {
		return map[string]any{"namespaceSelector": map[string]any{"matchExpressions": []any{map[string]any{"key": label, "operator": "In", "values": names}}}}
	}
	return networkPolicy(tenantsPolicyName, map[string]any{
		"policyTypes": []string{"Ingress", "Egress"},
		"ingress":     []any{map[string]any{"from": []any{selected(kube.NamespaceNameLabel)}}},
		"egress":      []any{map[string]any{"to": []any{selected(TenantLabel)}}},
	})
}
