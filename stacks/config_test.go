package stacks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/journal/internal/graph"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// images are the least that a stack must configure.
const images = `
  journal:apiImage: registry.example.com/journal-api:v0.1.0-0a1b2c3
  journal:frontendImage: registry.example.com/journal-web:v0.1.0-0a1b2c3
`

// project makes a folder with the real Pulumi.yaml and a stack called test with these lines of configuration.
func project(t *testing.T, lines string) string {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join(root, "Pulumi.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), text, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.test.yaml"), []byte("config:\n"+lines), 0o644))
	return dir
}

func TestTheStacksOfTheRepositoryAreAccepted(t *testing.T) {
	for _, stack := range stackNames(t) {
		assert.NoError(t, Check(root, stack), stack)
	}
}

func TestEachFaultInAConfigurationNamesKeyValueRuleAndFix(t *testing.T) {
	for _, c := range []struct{ line, says string }{
		{"journal:redisReplcas: 3", `journal:redisReplcas "3": unknown key; remove it, or write the one that is meant`},
		{"journal:redisReplicas: two", `journal:redisReplicas "two": not a whole number; write digits without quotes`},
		{"journal:redisReplicas: 2.5", `journal:redisReplicas "2.5": not a whole number`},
		{"journal:redisQuorum: maybe", `journal:redisQuorum "maybe": not a boolean; write true or false`},
		{"journal:redisReplicas: 0", `journal:redisReplicas "0": it must be 1 or more`},
		{"journal:apiReplicas: -2", `journal:apiReplicas "-2": it must be 1 or more`},
		{"journal:apiReplicas: 1", `journal:apiReplicas "1": with less than 2`},
		{"journal:apiMemory: 10 GB", `journal:apiMemory "10 GB": not a Kubernetes quantity; write a number with a suffix and no space`},
		{"journal:exposureHost: http://journal", `journal:exposureHost "http://journal": not a DNS name; write it in lower case`},
		{"journal:redisImage: redis:latest", `journal:redisImage "redis:latest": the tag "latest" can be moved to another content; write an exact version or a digest, such as redis:1.2.3`},
		{"journal:redisImage: redis:7", `journal:redisImage "redis:7": the tag "7" can be moved`},
		{"journal:redisImage: redis", `journal:redisImage "redis": it has no tag`},
		{"journal:redisMemory: 64Mi", `journal:redisMemoryLimit "64Mi": below the dataset limit maxMemory of 128Mi`},
		{"journal:redisReplicas: 4\n  journal:redisQuorum: true", `journal:redisReplicas "4": a quorum needs an odd number, since an even one survives no more failures than one less; write 5`},
		{"journal:namespace: Team A", `journal:namespace "Team A": not a DNS label`},
		{"journal:tenants: [{name: team-a, owner: user:alice, contact: a, ownr: bob}]", `journal:tenants[0] "{\"contact\":\"a\",\"name\":\"team-a\",\"owner\":\"user:alice\",\"ownr\":\"bob\"}": unknown field "ownr"`},
		{"journal:tenants: {name: team-a}", `journal:tenants "{\"name\":\"team-a\"}": not a list; begin each element with a hyphen`},
		{"journal:tenants: [{name: team-a, owner: user:alice, contact: a, overrides: {cpu: 2}}]", `overrides.cpu: a number where a text is expected; write it in quotes`},
		{"journal:tenants: [{name: team-a, owner: user:alice}]", `journal:tenants[0].contact "": it is missing`},
		{"journal:tenants: [{name: kube-system, owner: user:alice, contact: a}]", `journal:tenants[0].name "kube-system": reserved`},
		{"journal:tenants: [{name: team-a, owner: user:alice, contact: a}, {name: team-a, owner: user:bob, contact: b}]", `journal:tenants[1].name "team-a": the name of tenants[0] as well`},
		{"journal:tenants: [{name: journal, owner: user:alice, contact: a}]", `journal:tenants[0].name "journal": the journal's own namespace`},
		{"journal:tenants: [{name: team-a, owner: user:alice, contact: a, class: huge}]", `journal:tenants[0].class "huge": no class; write one of large, medium, small`},
		{"journal:tenants: [{name: team-a, owner: user:alice, contact: a, overrides: {memory: 10 GB}}]", `journal:tenants[0].overrides.memory "10 GB": not a Kubernetes quantity`},
		{"journal:classes: {small: {maxMemory: 64Gi}}", `journal:classes.small.maxMemory "64Gi": above the whole quota of 4Gi`},
		{"journal:tenant: {name: other, owner: group:platform, contact: a}", `journal:tenant.name "other": the journal's namespace is named by the key namespace`},
		{"journal:imagePolicy: maybe", `journal:imagePolicy "maybe": no action; write deny or warn`},
		{"journal:claimsImage: controller:latest", `journal:claimsImage "controller:latest": the tag of an own image`},
		{"journal:claimsImage: registry.example.com/c:v0.1.0-0a1b2c3\n  journal:claimsLimits: {maxTTL: 1 day}", `journal:claimsLimits.maxTTL "1 day": not a duration`},
		{"journal:loginCommand: [kubectl, oidc-login]", `journal:clusterServer "": no address of an API server`},
		{"journal:ingressController: yes please", `journal:ingressController "yes please": not a boolean; write true or false`},
		{"journal:ingressController: true\n  journal:ingressControllerNamespace: kube-system", `journal:ingressControllerNamespace "kube-system": it belongs to Kubernetes`},
		{"journal:ingressController: true\n  journal:ingressControllerNamespace: journal", `journal:ingressControllerNamespace "journal": another namespace of the stack has this name; write another one, such as traefik`},
		{"journal:ingressController: true\n  journal:ingressControllerNamespace: journal-platform", `journal:ingressControllerNamespace "journal-platform": another namespace of the stack`},
		{"journal:ingressController: true\n  journal:ingressNamespace: other\n  journal:ingressControllerNamespace: team-a\n  journal:tenants: [{name: team-a, owner: user:alice, contact: a}]", `journal:ingressControllerNamespace "team-a": another namespace of the stack`},
		{"journal:ingressController: true\n  journal:ingressControllerChart: traefik/traefik", `journal:ingressControllerChart "traefik/traefik": no chart in an OCI registry`},
		{"journal:ingressController: true\n  journal:ingressControllerVersion: latest", `journal:ingressControllerVersion "latest": no exact version`},
		{"journal:ingressController: true\n  journal:ingressControllerSkipCRDs: 1", `journal:ingressControllerSkipCRDs "1": not a boolean`},
		{"journal:ingressController: true\n  journal:ingressControllerClass: Edge", `journal:ingressControllerClass "Edge": not an object name`},
		{"journal:ingressController: true\n  journal:ingressControllerReplicas: 1", `journal:ingressControllerReplicas "1": with less than 2`},
		{"journal:ingressController: true\n  journal:ingressControllerServiceType: Node", `journal:ingressControllerServiceType "Node": no type of Service that users can reach`},
		{"journal:redisReplicas: {count: 3}", `journal:redisReplicas "{\"count\":3}": not a whole number`},
	} {
		err := Check(project(t, images+"  "+c.line+"\n"), "test")
		assert.ErrorContains(t, err, c.says)
		if err != nil {
			assert.Len(t, strings.Split(err.Error(), "\n"), 1, "one fault is one line:\n%v", err)
		}
	}
}

func TestAllFaultsAreReportedAtOnceAndNothingIsDeclared(t *testing.T) {
	dir := project(t, `
  journal:apiImage: journal-api:latest
  journal:frontendImage: journal-web
  journal:redisReplicas: two
  journal:redisReplcas: 3
  journal:apiReplicas: 0
  journal:exposureHost: a_b
`)
	g, err := graph.Run(Deploy, graph.Root(dir, "test"))
	require.ErrorContains(t, err, `the configuration of stack "test" is refused, nothing was changed`)
	for _, key := range []string{"apiImage", "frontendImage", "redisReplicas", "redisReplcas", "apiReplicas", "exposureHost"} {
		assert.ErrorContains(t, err, "journal:"+key+" ")
	}
	assert.Empty(t, g.All())
}

func TestUnknownKeysAreRefusedByAnOlderPulumiThatNamesNoRootFolder(t *testing.T) {
	named, working := project(t, images), project(t, images+"  journal:redisReplcas: 3\n")
	t.Chdir(working)
	g, err := graph.Run(Deploy, FindRoot)
	assert.ErrorContains(t, err, `journal:redisReplcas "3": unknown key`)
	assert.Empty(t, g.All())

	// The folder that Pulumi names comes before the working directory.
	_, err = graph.Run(Deploy, graph.Root(named, "test"), FindRoot)
	assert.NoError(t, err)
}

func TestAnotherProjectsFolderIsNoRoot(t *testing.T) {
	dir := project(t, "")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte("name: other\nruntime: go\n"), 0o644))
	for _, dir := range []string{dir, t.TempDir()} {
		t.Chdir(dir)
		info := pulumi.RunInfo{Project: "journal", Stack: "test"}
		FindRoot(&info)
		assert.Empty(t, info.RootDirectory)
	}
}

func TestAStackWithoutAFileIsRefused(t *testing.T) {
	assert.ErrorContains(t, Check(root, "staging"), "Pulumi.staging.yaml is missing")
}

func TestAnotherProvidersKeysAreLeftAlone(t *testing.T) {
	assert.NoError(t, Check(project(t, images+"  kubernetes:context: dev\n"), "test"))
}

func TestTheEnginesValuesComeBeforeTheFiles(t *testing.T) {
	g, err := graph.Run(Deploy, graph.Root(project(t, images), "test"), graph.Config(map[string]string{"journal:apiReplicas": "5"}))
	require.NoError(t, err)
	api, err := g.Find("kubernetes:apps/v1:Deployment", "journal-api")
	require.NoError(t, err)
	assert.Equal(t, 5, api.Field("spec.replicas"))
}

func TestPulumiYamlDeclaresEveryKeyWithItsTypeItsMeaningAndItsDefault(t *testing.T) {
	declared, err := workspace.LoadProject(filepath.Join(root, "Pulumi.yaml"))
	require.NoError(t, err)
	var names []string
	for name, declaration := range declared.Config {
		names = append(names, name)
		assert.True(t, declaration.IsExplicitlyTyped(), name)
		assert.NotEmpty(t, declaration.Description, name)
		assert.NotNil(t, declaration.Default, name)
	}
	var known []string
	for _, key := range (&Config{}).keys() {
		known = append(known, key.name)
	}
	assert.ElementsMatch(t, known, names)
}

func TestTheDefaultsOfPulumiYamlAreThoseOfTheComponents(t *testing.T) {
	fromFile, err := graph.Run(Deploy, graph.Root(project(t, images), "test"))
	require.NoError(t, err)
	fromComponents, err := graph.Run(Deploy, graph.Config(map[string]string{
		"journal:apiImage":      "registry.example.com/journal-api:v0.1.0-0a1b2c3",
		"journal:frontendImage": "registry.example.com/journal-web:v0.1.0-0a1b2c3",
		"journal:redisImage":    "docker.io/library/redis:7.4.2",
		"journal:tenant":        `{"class":"large","owner":"group:platform","contact":"platform@example.com","purpose":"the journal","isolated":true}`,
	}))
	require.NoError(t, err)
	want, err := fromComponents.Manifests()
	require.NoError(t, err)
	got, err := fromFile.Manifests()
	require.NoError(t, err)
	line, was, is := firstDifference(want, got)
	assert.Zero(t, line, "the components say %q, Pulumi.yaml says %q", was, is)
}

func TestTheOutputsSayWhereEverythingIs(t *testing.T) {
	g, err := graph.Run(Deploy, graph.Root(project(t, images+"  journal:exposurePort: 8080\n"), "test"))
	require.NoError(t, err)
	outputs := g.Outputs()
	delete(outputs, historyOutput) // it is for the next update
	assert.Equal(t, map[string]any{
		"url":               "http://journal.localhost:8080/",
		"namespace":         "journal",
		"redisWriteAddress": "redis-write.journal.svc:6379",
		"redisReadAddress":  "redis-read.journal.svc:6379",
		"secretNames":       []string{"redis-password-8457939160"},
	}, outputs)
}

func TestAnUpdateGoesOnFromTheVersionsOfTheLastOne(t *testing.T) {
	deploy := func(title string, last map[string]string) (configMaps int, history string) {
		g, err := graph.Run(Deploy, graph.Root(project(t, images+"  journal:pageTitle: "+title+"\n"), "test"), graph.LastOutputs(last))
		require.NoError(t, err)
		for _, r := range g.OfType("kubernetes:core/v1:ConfigMap") {
			if r.Field("metadata.labels.app") == "frontend" {
				configMaps++
			}
		}
		history, _ = g.Outputs()[historyOutput].(string)
		return configMaps, history
	}
	count, last := deploy("First", nil)
	assert.Equal(t, 1, count, "a first update")
	for _, c := range []struct {
		title string
		want  int
	}{{"First", 1}, {"Second", 2}, {"Third", 3}, {"Fourth", 3}, {"Third", 3}} {
		count, last = deploy(c.title, map[string]string{historyOutput: last})
		assert.Equal(t, c.want, count, c.title)
	}
	count, _ = deploy("Fifth", map[string]string{historyOutput: `{"frontend": "of another shape"}`})
	assert.Equal(t, 1, count, "after a state of another shape")
}
