package cluster

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/journal"
	"example.com/journal/components/observe"
	"example.com/journal/components/tenancy/claims"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/node"
	"example.com/journal/stacks"
)

// keys returns the keys of kinds of images, in one line.
func keys(kinds []images.Kind) string {
	var all []string
	for _, kind := range kinds {
		all = append(all, kind.Key)
	}
	return strings.Join(all, " ")
}

func TestAStackGetsTheImagesThatItsPodsNeedAndNoOthers(t *testing.T) {
	kubeconfig(t, "one", map[string]string{"one": serve(t, complete("uid"))})
	here, elsewhere, pulls := &own{Node: &node.Node{}}, open(t, "one", "registry.example.com/team-a"), open(t, "one", "")
	reader := &observe.ReaderArgs{}
	for _, c := range []struct {
		what           string
		decided        stacks.Config
		first, foreign string // keys
	}{
		{"the smallest stack", stacks.Config{}, "api.image frontend.image redis.image", ""},
		{"a stack with claims", stacks.Config{Claims: &claims.Args{}}, "api.image claims.image frontend.image redis.image", ""},
		{"a stack with an exporter", stacks.Config{Journal: journal.Args{Redis: journal.RedisArgs{Exporter: &journal.RedisExporterArgs{}}}},
			"api.image frontend.image redis.image redis.exporter.image", ""},
		{"a stack with resource metrics", stacks.Config{ResourceMetrics: &observe.ResourceMetricsArgs{}}, "api.image frontend.image redis.image", "resourceMetrics.image"},
		{"a stack with logs", stacks.Config{Logs: &observe.LogServiceArgs{}, Reader: reader}, "api.image frontend.image redis.image", "logs.store.image"},
		{"a stack with figures", stacks.Config{Metrics: &observe.MetricsServiceArgs{}, Reader: reader}, "api.image frontend.image redis.image",
			"metrics.store.image metrics.alerts.image metrics.objects.image"},
		{"a stack with a webhook", stacks.Config{Metrics: &observe.MetricsServiceArgs{Alerts: observe.MetricsAlertsArgs{Webhook: pulumi.String("https://example.com")}}, Reader: reader},
			"api.image frontend.image redis.image", "metrics.store.image metrics.alerts.image metrics.objects.image metrics.alerts.alertmanagerImage"},
	} {
		t.Run(c.what, func(t *testing.T) {
			if got := keys(elsewhere.Images(c.decided)); got != c.first {
				t.Errorf("on another cluster, the page waits for %q, not %q", got, c.first)
			}
			if got := keys(here.Images(c.decided)); got != c.first+" " { // and the image without a key, which holds pods
				t.Errorf("on the sandbox, the page waits for %q, not %q", got, c.first)
			}
			if got := pulls.Images(c.decided); got != nil {
				t.Errorf("a cluster that pulls its images gets %v", got)
			}
			if got := keys(Needs(c.decided, images.Foreign)); got != c.foreign {
				t.Errorf("of other projects it needs %q, not %q", got, c.foreign)
			}
		})
	}
}

func TestAStackRunsTheProgramsOfTheSameCommitAndThoseOfOthersAtTheirVersions(t *testing.T) {
	kubeconfig(t, "one", map[string]string{"one": serve(t, complete("uid"))})
	built := []images.Image{{ConfigKey: "api.image", Reference: "journal.example.com/journal-api:v0.1.0-0a1b2c3"}}
	withLogs := stacks.Config{Logs: &observe.LogServiceArgs{}, Reader: &observe.ReaderArgs{}}
	withMetrics := stacks.Config{Metrics: &observe.MetricsServiceArgs{}, Reader: &observe.ReaderArgs{}}
	for _, c := range []struct {
		what    string
		cluster Cluster
		decided stacks.Config
		want    map[string]any
	}{
		{"the sandbox, which pulls nothing", &own{Node: &node.Node{}}, withLogs, map[string]any{
			"logs.agent.image": "journal.example.com/log-agent:v0.1.0-0a1b2c3", "reader.image": "journal.example.com/reader:v0.1.0-0a1b2c3",
			"logs.store.image": "journal.example.com/victoria-logs:v1.51.1-0.20260624061259-dc94972a8708",
		}},
		{"the sandbox with figures", &own{Node: &node.Node{}}, withMetrics, map[string]any{
			"reader.image": "journal.example.com/reader:v0.1.0-0a1b2c3", "metrics.store.image": "journal.example.com/victoria-metrics:v1.148.8",
			"metrics.alerts.image": "journal.example.com/vmalert:v1.148.8", "metrics.objects.image": "journal.example.com/kube-state-metrics:v2.15.0",
		}},
		{"another cluster, which pulls the store", open(t, "one", "registry.example.com/team-a"), withLogs, map[string]any{
			"logs.agent.image": "registry.example.com/team-a/log-agent:v0.1.0-0a1b2c3", "reader.image": "registry.example.com/team-a/reader:v0.1.0-0a1b2c3",
		}},
		{"another cluster with figures", open(t, "one", "registry.example.com/team-a"), withMetrics, map[string]any{
			"reader.image": "registry.example.com/team-a/reader:v0.1.0-0a1b2c3",
		}},
		{"a stack without logs", &own{Node: &node.Node{}}, stacks.Config{}, nil},
	} {
		values, err := c.cluster.Values(c.decided, built, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range slices.Concat(images.Services, images.Foreign) {
			if values[kind.Key] != c.want[kind.Key] {
				t.Errorf("%s: %s is %v, not %v", c.what, kind.Key, values[kind.Key], c.want[kind.Key])
			}
		}
	}
}

func TestAStackBuildsWhatFollowsThePageOnlyIfItHasIt(t *testing.T) {
	// The folder is no checkout, so a build would fail.
	if err := (&own{}).LoadServices(t.Context(), t.TempDir(), stacks.Config{}, io.Discard); err != nil {
		t.Error(err)
	}
	for _, decided := range []stacks.Config{{Logs: &observe.LogServiceArgs{}}, {Metrics: &observe.MetricsServiceArgs{}}, {ResourceMetrics: &observe.ResourceMetricsArgs{}}} {
		t.Run(fmt.Sprint(keys(Needs(decided, images.Foreign))), func(t *testing.T) {
			if err := (&own{}).LoadServices(t.Context(), t.TempDir(), decided, io.Discard); err == nil {
				t.Error("a stack got none of its programs")
			}
			if err := (&foreign{}).LoadServices(t.Context(), t.TempDir(), decided, io.Discard); err != nil {
				t.Errorf("a cluster that pulls its images: %v", err)
			}
		})
	}
}
