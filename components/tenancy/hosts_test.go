package tenancy

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/internal/graphtest"
)

// withHosts are tenants by name, each with hosts of its own or the default.
func withHosts(hosts ...[]string) []TenantArgs {
	tenants := make([]TenantArgs, len(hosts))
	for i := range hosts {
		tenants[i] = *teamA()
		tenants[i].Name, tenants[i].Hosts = fmt.Sprintf("team-%c", 'a'+i), hosts[i]
	}
	return tenants
}

func TestATenantHasTheNamesBelowItsOwnUnlessItNamesOthers(t *testing.T) {
	args := teamA()
	annotation := func() any {
		return graphtest.Find(t, declareTenant(t, args), graphtest.Namespace, "team-a").Field(`metadata.annotations["journal.example.com/hosts"]`)
	}
	assert.Equal(t, "*.team-a.localhost", annotation())
	args.Domain = "dev.example.com"
	assert.Equal(t, "*.team-a.dev.example.com", annotation())
	assert.Equal(t, annotation(), DefaultHost("team-a", "dev.example.com"))
	args.Hosts = []string{"shop.example.com", "*.shop.example.com"}
	assert.Equal(t, "shop.example.com,*.shop.example.com", annotation())
}

func TestWhatATenantIsAllowedBeyondTheRulesStandsOnItsNamespace(t *testing.T) {
	args := teamA()
	keys := []string{"certificates", "tolerations", "priority-class"}
	for _, key := range keys {
		assert.Nil(t, graphtest.Find(t, declareTenant(t, args), graphtest.Namespace, "team-a").Field(`metadata.annotations["journal.example.com/`+key+`"]`), key)
	}
	args.Certificates, args.Tolerations, args.PriorityClass = true, []string{"example.com/gpu", "spot"}, JournalPriorityClass
	for i, want := range []string{"true", "example.com/gpu,spot", "journal-application"} {
		assert.Equal(t, want, graphtest.Find(t, declareTenant(t, args), graphtest.Namespace, "team-a").Field(`metadata.annotations["journal.example.com/`+keys[i]+`"]`))
	}
}

func TestEachRuleOfAHostIsReported(t *testing.T) {
	for host, says := range map[string]string{
		"http://shop.example.com": `hosts[0] "http://shop.example.com": not a DNS name`,
		"Shop.example.com":        `not a DNS name`,
		"shop.example.com:80":     `not a DNS name`,
		"*":                       `not a DNS name`,
		"*.*.example.com":         `not a DNS name`,
		"a.*.example.com":         `not a DNS name`,
		"10.0.0.1":                `not a DNS name`,
		"a,b":                     `not a DNS name`,
		"":                        `not a DNS name`,
		"*.localhost":             `it covers the hosts of all namespaces below localhost; write a narrower one, such as *.team-a.localhost`,
		"*.team-b.localhost":      `belongs to the namespace of that label; write *.team-a.localhost, or a single label such as shop.localhost`,
		"shop.team-b.localhost":   `belongs to the namespace of that label`,
		"*.x.team-b.localhost":    `belongs to the namespace of that label`,
	} {
		t.Run(fmt.Sprintf("%q", host), func(t *testing.T) {
			args := teamA()
			args.Hosts = []string{host}
			faults := args.Check("team-a")
			require.Len(t, faults, 1, "%v", faults.Err())
			assert.ErrorContains(t, faults.Err(), says)
		})
	}
	args := teamA()
	args.Domain, args.Hosts = "dev.example.com", []string{"*.example.com"}
	assert.ErrorContains(t, args.Check("team-a").Err(), "it covers the hosts of all namespaces below dev.example.com")
	args.Hosts = []string{"a.localhost", "a.localhost"}
	assert.ErrorContains(t, args.Check("team-a").Err(), `hosts[1] "a.localhost": listed twice`)
	args.Hosts, args.Domain = nil, "dev_example"
	assert.ErrorContains(t, args.Check("team-a").Err(), `domain "dev_example": not a DNS name`)
	args.Domain, args.Hosts = "", []string{"shop.localhost", "team-a.localhost", "*.team-a.localhost", "a.b.team-a.localhost", "shop.example.com", "*.example.org"}
	assert.NoError(t, args.Check("team-a").Err())
	args.Tolerations = []string{"example.com/gpu", "spot=true:NoSchedule"}
	assert.ErrorContains(t, args.Check("team-a").Err(), `tolerations[1] "spot=true:NoSchedule": not the key of a taint`)
}

func TestNoTwoTenantsShareAHost(t *testing.T) {
	for _, c := range []struct {
		sentence      string
		first, second []string
		says          string // empty where both are accepted
	}{
		{"neither has hosts of its own", nil, nil, ""},
		{"two names side by side", []string{"shop.example.com"}, []string{"app.example.com"}, ""},
		{"a wildcard does not cover the name that it stands below", []string{"*.shop.example.com"}, []string{"shop.example.com"}, ""},
		{"a wildcard ends at a whole label", []string{"*.shop.example.com"}, []string{"*.workshop.example.com"}, ""},
		{"the same name", []string{"shop.example.com"}, []string{"shop.example.com"}, `tenants[1].hosts[0] "shop.example.com": the hosts of tenants[0] as well`},
		{"the same wildcard", []string{"*.example.org"}, []string{"*.example.org"}, `tenants[1].hosts[0] "*.example.org": the hosts of tenants[0] as well`},
		{"a name below a wildcard", []string{"*.example.org"}, []string{"shop.example.org"}, `tenants[1].hosts[0] "shop.example.org": the hosts of tenants[0] as well`},
		{"a name deep below a wildcard", []string{"a.b.c.example.org"}, []string{"*.example.org"}, `tenants[0].hosts[0] "a.b.c.example.org": the hosts of tenants[1] as well`},
		{"a wildcard below a wildcard", []string{"*.b.example.org"}, []string{"x.example.net", "*.example.org"}, `tenants[0].hosts[0] "*.b.example.org": the hosts of tenants[1] as well`},
		{"the journal's name", []string{"journal.example.com"}, nil, `tenants[0].hosts[0] "journal.example.com": the hosts of the journal as well`},
		{"a name below the journal's", []string{"api.journal.example.com"}, nil, `the hosts of the journal as well`},
		{"all names below the journal's", []string{"*.journal.example.com"}, nil, `the hosts of the journal as well`},
		{"all names deep below the journal's", []string{"*.x.journal.example.com"}, nil, `the hosts of the journal as well`},
		{"a wildcard over the journal's name", []string{"*.example.com"}, nil, `tenants[0].hosts[0] "*.example.com": the hosts of the journal as well`},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			err := CheckTenants(withHosts(c.first, c.second), "journal.example.com").Err()
			if c.says == "" {
				assert.NoError(t, err)
			} else if assert.ErrorContains(t, err, c.says) {
				assert.NotContains(t, err.Error(), "\n", "one fault")
			}
		})
	}
}

func TestManyTenantsAreComparedQuickly(t *testing.T) {
	hosts := make([]TenantArgs, 20_000)
	for i := range hosts {
		hosts[i].Hosts = []string{fmt.Sprintf("*.t%d.example.com", i), fmt.Sprintf("t%d.example.org", i)}
	}
	start := time.Now()
	assert.Empty(t, checkOverlaps(hosts, []string{"journal.example.com"}))
	assert.Less(t, time.Since(start), 5*time.Second)
}
