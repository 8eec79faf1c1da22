package claims

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/journal/components/internal/admission"
	"example.com/journal/components/tenancy"
)

// network is what the controller makes the NetworkPolicies of: those that differ between the tenants. A claimed namespace has
// the ways out of its tenant.
type network struct {
	// Internet are the public addresses, as peers of a NetworkPolicy.
	Internet []any `json:"internet"`
	// Egress are the ways out by tenant: internet, and ranges.
	Egress map[string][]string `json:"egress"`
}

// network returns what the controller makes NetworkPolicies of.
func (args *Args) network() network {
	n := network{Internet: tenancy.InternetPeers(args.ClusterAddresses), Egress: map[string][]string{}}
	for i := range args.Tenants {
		tenant := args.Tenants[i].WithDefaults("")
		if ways := tenant.Egress.Ways(); len(ways) > 0 {
			n.Egress[tenant.Name] = ways
		}
	}
	return n
}

// longestLiteral is how long a literal in CEL may be. The API server takes no expression of more than 100000 characters.
const longestLiteral = 50_000

// egressLiterals returns the ways out of all tenants as literals in CEL, each of which has some of the tenants.
func (n network) egressLiterals() ([]string, error) {
	var literals []string
	var entries []string
	size := 0
	for _, tenant := range slices.Sorted(maps.Keys(n.Egress)) {
		entry, err := json.Marshal(n.Egress[tenant]) // a list of texts is the same in CEL
		if err != nil {
			return nil, err
		}
		text := fmt.Sprintf("%q: %s", tenant, entry)
		if size += len(text); size > longestLiteral {
			literals, entries, size = append(literals, "{"+strings.Join(entries, ", ")+"}"), nil, len(text)
		}
		entries = append(entries, text)
	}
	return append(literals, "{"+strings.Join(entries, ", ")+"}"), nil
}

// networkVariables are the variables of the NetworkPolicies that differ between the tenants: tenantPolicies has their
// specifications by name. The tenant is that of the request's namespace, whose label nobody changes.
func networkVariables(b bounds) []admission.Expression {
	all := []admission.Expression{{Name: "tenant", CEL: admission.Metadata("namespaceObject", "labels", tenancy.TenantLabel)}}
	ways := ""
	for i, literal := range b.egress {
		name := fmt.Sprint("egress", i)
		all = append(all, admission.Expression{Name: name, CEL: literal})
		if found := fmt.Sprintf("dyn(variables.%s)[?variables.tenant]", name); ways == "" {
			ways = found
		} else {
			ways += ".or(" + found + ")"
		}
	}
	const (
		same = `dyn([{"namespaceSelector": {"matchLabels": {%q: variables.tenant}}}])`
		deny = `{"podSelector": dyn({}), "policyTypes": dyn(["Egress"])}`
		open = `{"podSelector": dyn({}), "policyTypes": dyn(["Egress"]), "egress": dyn(variables.out)}`
	)
	return append(all,
		admission.Expression{Name: "internet", CEL: b.internet},
		admission.Expression{Name: "same", CEL: fmt.Sprintf(same, tenancy.TenantLabel)},
		admission.Expression{Name: "ways", CEL: ways + ".orValue([])"},
		admission.Expression{Name: "ranges", CEL: fmt.Sprintf(`variables.ways.filter(w, w != %q).map(w, {"ipBlock": {"cidr": w}})`, tenancy.InternetWord)},
		admission.Expression{Name: "out", CEL: fmt.Sprintf(`(%q in variables.ways ? [{"to": dyn(variables.internet)}] : []) + (size(variables.ranges) > 0 ? [{"to": dyn(variables.ranges)}] : [])`, tenancy.InternetWord)},
		admission.Expression{Name: "tenantPolicies", CEL: fmt.Sprintf(`{%q: dyn({"podSelector": dyn({}), "policyTypes": dyn(["Ingress", "Egress"]), "ingress": dyn([{"from": variables.same}]), "egress": dyn([{"to": variables.same}])}), `+
			`%q: size(variables.out) == 0 ? dyn(%s) : dyn(%s)}`, tenancy.SameTenantPolicy, tenancy.EgressPolicy, deny, open)},
	)
}
