package kube_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/journal/components/kube"
)

func TestTheCurrentVersionAndTheLastDifferentOnesAreKept(t *testing.T) {
	for _, c := range []struct {
		sentence string
		current  int
		history  []int
		keep     int
		want     []int
	}{
		{"a first update has one version", 1, nil, 3, []int{1}},
		{"an update without a change keeps what there is", 2, []int{2, 1}, 3, []int{2, 1}},
		{"a change comes before the others", 3, []int{2, 1}, 3, []int{3, 2, 1}},
		{"the oldest goes when there are more than three", 4, []int{3, 2, 1}, 3, []int{4, 3, 2}},
		{"going back moves a version to the front", 1, []int{3, 2, 1}, 3, []int{1, 3, 2}},
		{"going back to a version that is gone makes it anew", 1, []int{4, 3, 2}, 3, []int{1, 4, 3}},
		{"fewer are kept when fewer are asked for", 4, []int{3, 2, 1}, 2, []int{4, 3}},
		{"more are kept when more are asked for", 4, []int{3, 2, 1}, 10, []int{4, 3, 2, 1}},
		{"no version is kept twice", 1, []int{2, 2, 1, 3}, 3, []int{1, 2, 3}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			assert.Equal(t, c.want, kube.Retain(c.current, c.history, c.keep, func(a, b int) bool { return a == b }))
		})
	}
}

func TestANameSaysWhatIsInAnObject(t *testing.T) {
	one := kube.ContentName("api-config", map[string]string{"a": "1", "b": "2"})
	assert.Regexp(t, `^api-config-[0-9a-f]{10}$`, one)
	assert.Equal(t, one, kube.ContentName("api-config", map[string]string{"b": "2", "a": "1"}))
	assert.NotEqual(t, one, kube.ContentName("api-config", map[string]string{"a": "2", "b": "1"}))
}

func TestLimitsEqualRequestsUnlessTheyAreSetApart(t *testing.T) {
	assert.Equal(t, kube.Resources{CPU: "100m", Memory: "64Mi", CPULimit: "100m", MemoryLimit: "64Mi"}, kube.Resources{CPU: "100m", Memory: "64Mi"}.WithLimits())
	assert.Equal(t, kube.Resources{CPU: "1", Memory: "64Mi", CPULimit: "2", MemoryLimit: "64Mi"}, kube.Resources{CPU: "1", Memory: "64Mi", CPULimit: "2"}.WithLimits())
}

func TestEveryBrokenRuleOfResourcesIsReported(t *testing.T) {
	faults := kube.Resources{CPU: "1", Memory: "10 GB", CPULimit: "500m", MemoryLimit: "1Gi"}.Check().In("resources")
	assert.EqualError(t, faults.Err(), `resources.memory "10 GB": not a Kubernetes quantity; write a number with a suffix and no space, such as 500m for CPU or 128Mi for memory
resources.cpuLimit "500m": below the request of 1; raise the limit or lower the request`)
}

func TestPodsAskTheClustersDNSForNamesAndNoOtherServer(t *testing.T) {
	for _, dns := range []kube.DNS{nil, {"169.254.20.10/32", "fd00::10/128"}} {
		rule := dns.Plain()
		assert.Len(t, rule["to"], 1+len(dns), "no peer at all would be every server")
		assert.Empty(t, dns.Check())
	}
	for block, says := range map[string]string{
		"169.254.20.10":    `dns[0] "169.254.20.10": must be a range of addresses, such as 169.254.20.10/32`,
		"169.254.20.10/24": "must be a range of addresses", // the end of the address would be ignored
		"kube-dns":         "must be a range of addresses",
		"":                 "must be a range of addresses",
		"0.0.0.0/0":        "more than 16 million addresses",
		"::/0":             "more than 16 million addresses",
	} {
		t.Run(fmt.Sprintf("%q", block), func(t *testing.T) {
			assert.ErrorContains(t, kube.DNS{block}.Check().Err(), says)
		})
	}
}

func TestAVolumeGrowsInItsClassAndNothingElse(t *testing.T) {
	had := kube.Storage{Size: "10Gi", Class: "fast"}
	for says, storage := range map[string]kube.Storage{
		"": {Size: "11Gi", Class: "fast"},
		`size "9Gi": the volumes have 10Gi, and Kubernetes shrinks none; write 10Gi or more`:                              {Size: "9Gi", Class: "fast"},
		`class "": the volumes are of class "fast", and a volume stays in its class; write that again, or begin anew`:     {Size: "10Gi"},
		`class "slow": the volumes are of class "fast", and a volume stays in its class; write that again, or begin anew`: {Size: "10240Mi", Class: "slow"},
	} {
		t.Run(says, func(t *testing.T) {
			err := storage.CheckAfter(had, "begin anew").Err()
			if says == "" {
				assert.NoError(t, err)
			} else {
				assert.EqualError(t, err, says)
			}
		})
	}
	assert.EqualError(t, kube.Storage{Size: "10", Class: "Fast"}.Check().Err(), `size "10": less than 1Mi, so its suffix is probably wrong; write for example 128Mi
class "Fast": not an object name; write lower-case letters, digits, hyphens and dots, such as journal-tls`)
}
