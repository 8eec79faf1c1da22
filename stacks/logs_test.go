package stacks

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/internal/graphtest"
)

const (
	logsToken   = "journal:components:LogService"
	readerToken = "journal:components:Reader"
	// kept and read are the keys of a stack with logs.
	kept = "logs: {agent: {image: 'registry.example.com/journal/log-agent:v0.1.0-0a1b2c3'}, store: {image: 'docker.io/victoriametrics/victoria-logs:v1.51.0'}}"
	read = "reader: {image: 'registry.example.com/journal/reader:v0.1.0-0a1b2c3', platform: [group:platform]}"
	// alice is a stack's only tenant besides the journal's own.
	alice = "tenants: [{name: alice, owner: user:alice, contact: alice@example.com}]"
)

func TestWithoutTheKeysThereIsNothingOfTheLogs(t *testing.T) {
	g := deployed(t, alice)
	assert.Empty(t, g.OfType(logsToken))
	assert.Empty(t, g.OfType(readerToken))
	assert.NotContains(t, graphtest.Find(t, g, graphtest.Namespace, "alice").Field("metadata.annotations"), "journal.example.com/log-rate")
}

func TestTheNamespacesOfTenantsSayTheirShareOfTheLogsInBytes(t *testing.T) {
	g := deployed(t, kept, read, `tenants: [{name: alice, owner: user:alice, contact: alice@example.com, overrides: {logRate: 6Ki}}]`)
	for name, rate := range map[string]string{"alice": "6144", "journal": "32768"} {
		annotations, _ := graphtest.Find(t, g, graphtest.Namespace, name).Field("metadata.annotations").(map[string]any)
		assert.Equal(t, rate, annotations["journal.example.com/log-rate"], name)
		assert.Equal(t, "67108864", annotations["journal.example.com/log-burst"], name)
	}
}

func TestTheLogsHaveThePriorityOfWhatServesAllTenantsAndTheClustersDNS(t *testing.T) {
	g := deployed(t, kept, read, "cluster: {dns: [169.254.20.10/32]}")
	for token, name := range map[string]string{
		"kubernetes:apps/v1:DaemonSet": "logs-agent", "kubernetes:apps/v1:StatefulSet": "logs-store", graphtest.Deployment: "reader",
	} {
		assert.Equal(t, "journal-platform", graphtest.Find(t, g, token, name).Field("spec.template.spec.priorityClassName"), name)
	}
	for _, name := range []string{"logs-agent", "reader"} {
		assert.Equal(t, "169.254.20.10/32", graphtest.Find(t, g, graphtest.NetworkPolicy, name).Field("spec.egress[0].to[1].ipBlock.cidr"), name)
	}
}

func TestTheTenantsViewersReadTheirLogs(t *testing.T) {
	g := deployed(t, kept, read)
	labels := graphtest.Find(t, g, graphtest.ClusterRole, "journal-observe-viewer").Field("metadata.labels")
	assert.Contains(t, labels, "journal.example.com/aggregate-to-viewer")
	aggregates := graphtest.Find(t, g, graphtest.ClusterRole, "journal-tenant-viewer").Field("aggregationRule.clusterRoleSelectors[0].matchLabels")
	assert.Equal(t, map[string]any{"journal.example.com/aggregate-to-viewer": "true"}, aggregates)
}

func TestWhatDoesNotFitWithTheLogsIsRefused(t *testing.T) {
	for says, changes := range map[string][]string{
		`journal:reader "": it is missing, and nobody could read the logs`:                              {kept},
		`journal:reader "{...}": it has nothing to read; add the key logs or the key metrics`:           {read},
		`journal:namespace "journal-reader": the namespace of the key reader; write another name`:       {kept, read, "namespace: journal-reader"},
		`journal:namespace "journal-log-agent": the namespace of the key logs`:                          {kept, read, "namespace: journal-log-agent"},
		`journal:ingressController.namespace "journal-logs": the namespace of the key logs; write`:      {kept, read, "ingressController: {namespace: journal-logs}"},
		`journal:logs.store.storage.size "10 GB": not a Kubernetes quantity`:                            {kept, read, "logs: {store: {storage: {size: 10 GB}}}"},
		`journal:reader.platform[0] "platform": neither a user nor a group`:                             {kept, read, "reader: {platform: [platform]}"},
		`journal:logs.retention.size "8Gi": the last two days are always kept, and all shares together`: {kept, read, alice, "classes: {small: {logRate: 1Mi}}"},
		`the largest share is that of the tenant alice, 28800Mi`:                                        {kept, read, alice, "classes: {small: {logRate: 1Mi}}"},
		`journal:classes.small.logBurst "64": less than 1Mi`:                                            {"classes: {small: {logBurst: 64}}"},
		`journal:classes.small.logRate "4": less than 1Ki a second`:                                     {"classes: {small: {logRate: 4}}"},
	} {
		t.Run(says, func(t *testing.T) {
			err := Check(stack(t, changes...), "test")
			require.ErrorContains(t, err, says)
			assert.Len(t, faultsOf(t, err), 1)
		})
	}
}

func TestTheVolumeOfTheLogsDoesNotShrinkNorChangeItsClass(t *testing.T) {
	last, err := after(t, nil, kept, read)
	require.NoError(t, err)
	_, err = after(t, last, kept, read, "logs: {store: {storage: {size: 9Gi}}, retention: {size: 7Gi}}")
	require.ErrorContains(t, err, `journal:logs.store.storage.size "9Gi": the volumes have 10Gi, and Kubernetes shrinks none; write 10Gi or more`)
	_, err = after(t, last, kept, read, "logs: {store: {storage: {class: fast}}}")
	require.ErrorContains(t, err, `journal:logs.store.storage.class "fast": the volumes are of class ""`)
}

func TestNothingOfTheJournalWaitsForTheLogs(t *testing.T) {
	g := deployed(t, kept, read)
	for _, r := range g.All() {
		if r.Field("metadata.namespace") != "journal" {
			continue
		}
		for _, urn := range r.DependsOn {
			assert.NotContains(t, urn, "LogService", r.Name)
			assert.NotContains(t, urn, "Reader", r.Name)
		}
	}
}
