package tenancy

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/internal/graphtest"
)

// reaches says whether peers of a NetworkPolicy include an address.
func reaches(t *testing.T, peers []any, address string) bool {
	t.Helper()
	ip := netip.MustParseAddr(address)
	for _, peer := range peers {
		block := peer.(map[string]any)["ipBlock"].(map[string]any)
		if !netip.MustParsePrefix(block["cidr"].(string)).Contains(ip) {
			continue
		}
		excepted := false
		for _, except := range block["except"].([]any) {
			excepted = excepted || netip.MustParsePrefix(except.(string)).Contains(ip)
		}
		if !excepted {
			return true
		}
	}
	return false
}

func TestTheInternetIsWhatIsPublicAndNothingElse(t *testing.T) {
	peers := InternetPeers(Addresses{"198.51.100.0/24", "10.0.0.0/16", "2001:db8:1::/48", "fd00:1::/48"})
	for address, want := range map[string]bool{
		"1.1.1.1": true, "8.8.8.8": true, "203.0.113.10": true, "100.63.255.255": true, "100.128.0.1": true, "172.32.0.1": true, "223.255.255.255": true,
		"2606:4700::1111": true, "2a00:1450::1": true,
		"0.0.0.0": false, "10.1.2.3": false, "100.64.0.1": false, "127.0.0.1": false, "169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.168.1.1": false, "192.0.0.170": false, "198.18.0.1": false, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"168.63.129.16": false, "192.88.99.1": false,
		"::": false, "::1": false, "::ffff:10.0.0.1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::1": false, "100::1": false, "2001::1": false, "2001:2::1": false,
		"2002:a00:1::1": false, "fc00::1": false, "fd00:ec2::254": false, "fe80::1": false, "fec0::1": false, "ff02::1": false, "5f00::1": false,
		"198.51.100.7": false, "2001:db8:1::7": false, "2001:db8:2::7": true,
	} {
		t.Run(address, func(t *testing.T) {
			assert.Equal(t, want, reaches(t, peers, address))
		})
	}
	// The API server refuses an exception that is not within its block, or all of it.
	for _, peer := range peers {
		block := peer.(map[string]any)["ipBlock"].(map[string]any)
		cidr := netip.MustParsePrefix(block["cidr"].(string))
		for _, except := range block["except"].([]any) {
			prefix := netip.MustParsePrefix(except.(string))
			assert.True(t, cidr.Contains(prefix.Addr()) && cidr.Bits() < prefix.Bits(), "%s in %s", prefix, cidr)
			assert.NotEqual(t, "10.0.0.0/16", except, "10.0.0.0/8 has it")
		}
	}
}

func TestEachWayOutIsAPolicyOfItsOwn(t *testing.T) {
	args := teamA()
	args.ClusterAddresses = Addresses{"198.51.100.0/24"}
	args.Egress = Egress{Internet: true, CIDRs: []string{"10.20.0.0/16", "fd00:20::/64"}, Tenants: []string{"team-b", "team-c"}}
	g := declareTenant(t, args)
	assert.Equal(t, map[string]any{
		"podSelector": map[string]any{}, "policyTypes": []any{"Egress"},
		"egress": []any{
			map[string]any{"to": InternetPeers(args.ClusterAddresses)},
			map[string]any{"to": []any{
				map[string]any{"ipBlock": map[string]any{"cidr": "10.20.0.0/16"}}, map[string]any{"ipBlock": map[string]any{"cidr": "fd00:20::/64"}},
			}},
		},
	}, graphtest.Find(t, g, graphtest.NetworkPolicy, "team-a-allow-egress").Field("spec"))
	in := func(label string) []any {
		return []any{map[string]any{"namespaceSelector": map[string]any{"matchExpressions": []any{
			map[string]any{"key": label, "operator": "In", "values": []any{"team-b", "team-c"}},
		}}}}
	}
	assert.Equal(t, map[string]any{
		"podSelector": map[string]any{}, "policyTypes": []any{"Ingress", "Egress"},
		"ingress": []any{map[string]any{"from": in("kubernetes.io/metadata.name")}},
		"egress":  []any{map[string]any{"to": in("journal.example.com/tenant")}},
	}, graphtest.Find(t, g, graphtest.NetworkPolicy, "team-a-allow-tenants").Field("spec"))

	// A rule without peers would allow every connection.
	args.Egress = Egress{Internet: true}
	assert.Len(t, graphtest.Find(t, declareTenant(t, args), graphtest.NetworkPolicy, "team-a-allow-egress").Field("spec.egress"), 1)
	args.Egress = Egress{CIDRs: []string{"10.20.0.0/16"}}
	assert.Len(t, graphtest.Find(t, declareTenant(t, args), graphtest.NetworkPolicy, "team-a-allow-egress").Field("spec.egress"), 1)
	assert.Len(t, declareTenant(t, teamA()).OfType(graphtest.NetworkPolicy), 4, "without egress there is no policy for it")
	args = teamA()
	args.Isolated = true
	assert.Len(t, declareTenant(t, args).OfType(graphtest.NetworkPolicy), 2, "an isolated tenant has DNS and nothing else")
}

func TestEveryNetworkPolicyOfTheStackHasAReservedName(t *testing.T) {
	args := teamA()
	args.Egress, args.MetricsNamespace = Egress{Internet: true, Tenants: []string{"team-b"}}, "journal-metrics"
	policies := declareTenant(t, args).OfType(graphtest.NetworkPolicy)
	assert.Len(t, policies, len(networkPolicyNames), "the quota counts them")
	for _, policy := range policies {
		assert.Contains(t, networkPolicyNames, policy.Field("metadata.name"))
	}
}

func TestEachRuleOfTheWaysOutIsReported(t *testing.T) {
	ranges := func(texts ...string) func(*TenantArgs) {
		return func(a *TenantArgs) { a.Egress.CIDRs = texts }
	}
	many := make([]string, maxRanges+1)
	for i := range many {
		many[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 16).String()
	}
	for _, c := range []struct {
		says   string
		change func(*TenantArgs)
	}{
		{`egress.cidrs[0] "10.20.0.1/16": must be a range as it is usually written; write 10.20.0.0/16`, ranges("10.20.0.1/16")},
		{`egress.cidrs[0] "FD00::/16": must be a range as it is usually written; write fd00::/16`, ranges("FD00::/16")},
		{`egress.cidrs[0] "10.20.0.1": must be a range of addresses, such as 10.20.0.0/16`, ranges("10.20.0.1")},
		{`egress.cidrs[1] "db.example.com": must be a range`, ranges("10.20.0.0/16", "db.example.com")},
		{`egress.cidrs[0] "0.0.0.0/0": wider than /8; write narrower ranges, such as 10.20.0.0/16, and internet: true`, ranges("0.0.0.0/0")},
		{`egress.cidrs[0] "2000::/3": wider than /8`, ranges("2000::/3")},
		{`egress.cidrs[0] "127.0.0.0/8": it holds loopback; write ranges without that`, ranges("127.0.0.0/8")},
		{`egress.cidrs[0] "::1/128": it holds loopback`, ranges("::1/128")},
		{`egress.cidrs[0] "0.0.0.0/8": it holds unspecified addresses`, ranges("0.0.0.0/8")},
		{`egress.cidrs[0] "169.254.169.254/32": it holds link-local addresses, such as a cloud's metadata`, ranges("169.254.169.254/32")},
		{`egress.cidrs[0] "169.0.0.0/8": it holds link-local`, ranges("169.0.0.0/8")},
		{`egress.cidrs[0] "fe80::/64": it holds link-local`, ranges("fe80::/64")},
		{`egress.cidrs[0] "168.63.129.0/24": it holds 168.63.129.16`, ranges("168.63.129.0/24")},
		{`egress.cidrs[0] "224.0.0.0/24": it holds multicast`, ranges("224.0.0.0/24")},
		{`egress.cidrs[0] "ff02::/16": it holds multicast`, ranges("ff02::/16")},
		{`egress.cidrs[0] "255.255.255.255/32": it holds reserved`, ranges("255.255.255.255/32")},
		{`egress.cidrs[0] "::ffff:10.0.0.0/104": it holds IPv4 in another form`, ranges("::ffff:10.0.0.0/104")},
		{`egress.cidrs[0] "64:ff9b::/96": it holds all of IPv4 by NAT64`, ranges("64:ff9b::/96")},
		{`egress.cidrs[0] "64::/16": it holds all of IPv4 by NAT64`, ranges("64::/16")},
		{`egress.cidrs[0] "64:ff9b::a9fe:0/112": it holds link-local`, ranges("64:ff9b::a9fe:0/112")},
		{`egress.cidrs[0] "2001::/32": it holds Teredo`, ranges("2001::/32")},
		{`egress.cidrs[0] "2002::/16": it holds 6to4`, ranges("2002::/16")},
		{`egress.cidrs[1] "10.20.0.0/16": listed twice; remove one of the two`, ranges("10.20.0.0/16", "10.20.0.0/16")},
		{`egress.cidrs "17": more than 16 ranges; write wider ones`, ranges(many...)},
		{`egress.tenants[0] "team-a": the tenant itself`, func(a *TenantArgs) { a.Egress.Tenants = []string{"team-a"} }},
		{`egress.tenants[1] "team-b": listed twice`, func(a *TenantArgs) { a.Egress.Tenants = []string{"team-b", "team-b"} }},
		{`egress.tenants[0] "Team B": not a DNS label`, func(a *TenantArgs) { a.Egress.Tenants = []string{"Team B"} }},
		{`egress "internet": an isolated tenant's application brings its own policies`, func(a *TenantArgs) { a.Isolated, a.Egress.Internet = true, true }},
		{`addresses[0] "203.0.113.1/24": must be a range as it is usually written; write 203.0.113.0/24`, func(a *TenantArgs) { a.ClusterAddresses = Addresses{"203.0.113.1/24"} }},
		{`addresses[0] "0.0.0.0/0": wider than /8`, func(a *TenantArgs) { a.ClusterAddresses = Addresses{"0.0.0.0/0"} }},
	} {
		t.Run(c.says, func(t *testing.T) { oneFault(t, c.says, c.change) })
	}
	for _, good := range []string{"10.0.0.0/8", "10.20.30.40/32", "203.0.113.0/24", "192.168.0.0/16", "100.64.0.0/10", "fd00::/8", "2001:db8::/32", "64:ff9b::a14:0/112"} {
		args := teamA()
		args.Egress.CIDRs = []string{good}
		assert.Empty(t, args.Check("team-a"), good)
	}
}

func TestTenantsReachEachOtherOnlyIfBothSaySo(t *testing.T) {
	tenant := func(name string, others ...string) TenantArgs {
		args := *teamA()
		args.Name, args.Egress.Tenants = name, others
		return args
	}
	isolated := tenant("app")
	isolated.Isolated = true
	for says, tenants := range map[string][]TenantArgs{
		`tenants[0].egress.tenants[0] "team-b": both must name each other; add team-a to tenants[1].egress.tenants, or remove this`: {tenant("team-a", "team-b"), tenant("team-b")},
		`tenants[1].egress.tenants[1] "team-a": both must name each other; add team-b to tenants[0].egress.tenants`: {
			tenant("team-a", "alice"), tenant("team-b", "alice", "team-a"), tenant("alice", "team-a", "team-b"),
		},
		`tenants[0].egress.tenants[0] "team-z": no tenant of the list`:      {tenant("team-a", "team-z"), tenant("team-b")},
		`tenants[0].egress.tenants[0] "app": an isolated tenant, which its`: {tenant("team-a", "app"), isolated},
		`tenants[0].egress.tenants[0] "team-a": the tenant itself, whose`:   {tenant("team-a", "team-a")},
	} {
		t.Run(says, func(t *testing.T) {
			faults := CheckTenants(tenants)
			require.Len(t, faults, 1, "%v", faults.Err())
			assert.ErrorContains(t, faults.Err(), says)
		})
	}
	assert.Empty(t, CheckTenants([]TenantArgs{tenant("team-a", "alice", "bob"), tenant("alice", "team-a"), tenant("bob", "team-a")}))
}
