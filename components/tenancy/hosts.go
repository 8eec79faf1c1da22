package tenancy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/journal/components/rules"
)

// DefaultDomain is the default domain of the namespaces' hosts. Every system resolves names below localhost to itself.
const DefaultDomain = "localhost"

// DefaultHost returns the default hosts of a namespace: a wildcard for every name below <namespace>.<domain>.
func DefaultHost(namespace, domain string) string { return "*." + namespace + "." + domain }

// checkHost refuses what is neither a DNS name nor a wildcard. It also refuses hosts in the domain that can be another
// namespace's: the hosts below <namespace>.<domain> belong to that namespace, whether a tenant declares it or a claim makes it.
func checkHost(host, namespace, domain string) error {
	name, wildcard := strings.CutPrefix(host, "*.")
	if rules.CheckHost(name) != nil {
		return fmt.Errorf("not a DNS name; write it in lower case, without scheme, port or path, such as shop.example.com, or with *. in front for all names below it")
	}
	label, within := strings.CutSuffix(name, "."+domain)
	switch {
	case wildcard && (name == domain || strings.HasSuffix(domain, "."+name)):
		return fmt.Errorf("it covers the hosts of all namespaces below %s; write a narrower one, such as %s", domain, DefaultHost(namespace, domain))
	case within && (wildcard || strings.Contains(label, ".")) && label != namespace && !strings.HasSuffix(label, "."+namespace):
		return fmt.Errorf("below %s a name with a further label belongs to the namespace of that label; write %s, or a single label such as shop.%s", domain, DefaultHost(namespace, domain), domain)
	}
	return nil
}

// checkHosts returns every rule that the hosts of one tenant break.
func (args TenantArgs) checkHosts() rules.Faults {
	var f rules.Faults
	f.Check("domain", args.Domain, rules.CheckHost(args.Domain))
	if len(f) > 0 {
		return f
	}
	for i, host := range args.Hosts {
		path := fmt.Sprintf("hosts[%d]", i)
		f.Check(path, host, checkHost(host, args.Name, args.Domain))
		if slices.Contains(args.Hosts[:i], host) {
			f.Check(path, host, errors.New("listed twice; remove one of the two"))
		}
	}
	return f
}

// hostOwner is the owner of a host: the index of a tenant in the list, or -1 for a reserved host.
type hostOwner struct {
	tenant int
	name   string
}

// checkOverlaps refuses hosts that two tenants share, and reserved hosts. It looks each host up among the wildcards above it,
// so that comparing many tenants stays fast.
func checkOverlaps(tenants []TenantArgs, reserved []string) rules.Faults {
	owners := map[string]hostOwner{}
	for _, host := range reserved {
		owners[host] = hostOwner{-1, "the journal"}
		owners["*."+strings.TrimPrefix(host, "*.")] = hostOwner{-1, "the journal"}
	}
	var f rules.Faults
	shared := func(i, h int, host string, with hostOwner) {
		f.Refuse(fmt.Sprintf("tenants[%d].hosts[%d]", i, h), host, "the hosts of %s as well; write a host that is this tenant's alone", with.name)
	}
	for i := range tenants {
		for h, host := range tenants[i].Hosts {
			if owner, taken := owners[host]; taken && owner.tenant != i {
				shared(i, h, host, owner)
				continue
			}
			owners[host] = hostOwner{i, fmt.Sprintf("tenants[%d]", i)}
		}
	}
	above := func(host string) (owner hostOwner, covered bool) {
		for name := strings.TrimPrefix(host, "*."); ; {
			_, parent, more := strings.Cut(name, ".")
			if !more {
				return hostOwner{}, false
			}
			if owner, covered = owners["*."+parent]; covered {
				return owner, true
			}
			name = parent
		}
	}
	for i := range tenants {
		for h, host := range tenants[i].Hosts {
			if owner, covered := above(host); covered && owner.tenant != i && owners[host].tenant == i {
				shared(i, h, host, owner)
			}
		}
	}
	for _, host := range reserved {
		if owner, covered := above(host); covered && owner.tenant >= 0 {
			i := owner.tenant
			h := slices.IndexFunc(tenants[i].Hosts, func(wide string) bool { return strings.HasPrefix(wide, "*.") && strings.HasSuffix(host, wide[1:]) })
			shared(i, h, tenants[i].Hosts[h], hostOwner{-1, "the journal"})
		}
	}
	return f
}
