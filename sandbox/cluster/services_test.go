package cluster

import (
	"io"
	"testing"

	"example.com/journal/components/observe"
	"example.com/journal/sandbox/images"
	"example.com/journal/sandbox/node"
	"example.com/journal/stacks"
)

func TestAStackWithLogsRunsTheProgramsOfTheSameCommit(t *testing.T) {
	kubeconfig(t, "one", map[string]string{"one": serve(t, complete("uid"))})
	built := []images.Image{{ConfigKey: "api.image", Reference: "journal.example.com/journal-api:v0.1.0-0a1b2c3"}}
	withLogs := stacks.Config{Logs: &observe.LogServiceArgs{}}
	for _, c := range []struct {
		what    string
		cluster Cluster
		decided stacks.Config
		want    map[string]any
	}{
		{"the sandbox, which pulls nothing", &own{Node: &node.Node{}}, withLogs, map[string]any{
			"logs.agent.image": "journal.example.com/log-agent:v0.1.0-0a1b2c3", "reader.image": "journal.example.com/reader:v0.1.0-0a1b2c3",
			"logs.store.image": "journal.example.com/victoria-logs:" + images.LogStoreVersion,
		}},
		{"another cluster, which pulls the store", open(t, "one", "registry.example.com/team-a"), withLogs, map[string]any{
			"logs.agent.image": "registry.example.com/team-a/log-agent:v0.1.0-0a1b2c3", "reader.image": "registry.example.com/team-a/reader:v0.1.0-0a1b2c3",
		}},
		{"a stack without logs", &own{Node: &node.Node{}}, stacks.Config{}, nil},
	} {
		values, err := c.cluster.Values(c.decided, built, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"logs.agent.image", "logs.store.image", "reader.image"} {
			if values[key] != c.want[key] {
				t.Errorf("%s: %s is %v, not %v", c.what, key, values[key], c.want[key])
			}
		}
	}
}

func TestAStackWithoutLogsBuildsNothingForThem(t *testing.T) {
	// The folder is no checkout, so a build would fail.
	if err := (&own{}).LoadServices(t.Context(), t.TempDir(), stacks.Config{}, io.Discard); err != nil {
		t.Error(err)
	}
	withLogs := stacks.Config{Logs: &observe.LogServiceArgs{}}
	if err := (&own{}).LoadServices(t.Context(), t.TempDir(), withLogs, io.Discard); err == nil {
		t.Error("a stack with logs got none of its programs")
	}
	if err := (&foreign{}).LoadServices(t.Context(), t.TempDir(), withLogs, io.Discard); err != nil {
		t.Errorf("a cluster that pulls its images: %v", err)
	}
}
