package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"example.com/journal/internal/graph"
)

// root is the folder of Pulumi.yaml.
const root = ".."

// project copies the project with one stack of it, whose file has other texts.
func project(t *testing.T, stack string, oldnew ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"Pulumi.yaml", "Pulumi." + stack + ".yaml"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		if name != "Pulumi.yaml" {
			for i := 0; i < len(oldnew); i += 2 {
				require.Contains(t, string(text), oldnew[i])
			}
			text = []byte(strings.NewReplacer(oldnew...).Replace(string(text)))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	return dir
}

// authority is the certificate of an authority in PEM.
var authority = sync.OnceValue(func() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
})

// dev is the stack dev with these sources of the certificates of the reader and the metrics server.
func dev(t *testing.T, reader, metrics map[string]any) string {
	t.Helper()
	dir := project(t, "dev")
	path := filepath.Join(dir, "Pulumi.dev.yaml")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var stack struct {
		Config map[string]any `yaml:"config"`
	}
	require.NoError(t, yaml.Unmarshal(text, &stack))
	stack.Config["journal:reader"].(map[string]any)["certificate"] = reader
	stack.Config["journal:resourceMetrics"].(map[string]any)["certificate"] = metrics
	text, err = yaml.Marshal(stack)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return dir
}

// devWithSecrets is the stack dev with certificates of Secrets that exist.
func devWithSecrets(t *testing.T) string {
	t.Helper()
	return dev(t, map[string]any{"secret": "reader-tls", "caBundle": authority()}, map[string]any{"secret": "metrics-server-tls", "caBundle": authority()})
}

// rendering renders a stack of a project into a folder, and returns the files by path and what was printed.
func rendering(t *testing.T, project, stack, out string) (files map[string]string, said string) {
	t.Helper()
	var stdout bytes.Buffer
	require.NoError(t, run([]string{"--project", project, "--stack", stack, "--out", out}, &stdout))
	return contents(t, out), stdout.String()
}

// refused renders a stack, and returns the error.
func refused(t *testing.T, project, stack, out string) string {
	t.Helper()
	var stdout bytes.Buffer
	err := run([]string{"--project", project, "--stack", stack, "--out", out}, &stdout)
	require.Error(t, err)
	assert.Empty(t, stdout.String())
	return err.Error()
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		name, err := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(text)
		return err
	}))
	return files
}

// listed returns what a kustomization.yaml lists.
func listed(t *testing.T, files map[string]string) []string {
	t.Helper()
	var list kustomization
	require.NoError(t, yaml.Unmarshal([]byte(files[kustomizationName]), &list))
	return list.Resources
}

// golden returns the objects of a golden file by their paths, as they must be rendered.
func golden(t *testing.T, stack string) map[string]map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "stacks", "testdata", stack+".yaml"))
	require.NoError(t, err)
	// What a state decides.
	text = regexp.MustCompile(`redis-password-[0-9a-f]{10}`).ReplaceAll(text, []byte("redis-password-1"))
	text = regexp.MustCompile(`(-tls)-[0-9a-f]{10}`).ReplaceAll(text, []byte("$1"))
	text = regexp.MustCompile(`(caBundle: )\S+`).ReplaceAll(text, []byte("${1}"+base64.StdEncoding.EncodeToString([]byte(authority()))))
	objects := map[string]map[string]any{}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var value map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(document), &value))
		if value != nil && value["kind"] != "Secret" {
			o := newObject(value)
			require.NotContains(t, objects, o.path)
			objects[o.path] = o.value
		}
	}
	return objects
}

func TestEveryObjectOfTheGoldenFileIsInOneFileAndNothingElse(t *testing.T) {
	for stack, dir := range map[string]string{"prod": root, "dev": devWithSecrets(t)} {
		files, _ := rendering(t, dir, stack, filepath.Join(t.TempDir(), "out"))
		want := golden(t, stack)
		assert.Greater(t, len(want), 50)
		for path, text := range files {
			if path == kustomizationName || path == historyName {
				continue
			}
			var got map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(text), &got), path)
			assert.Equal(t, want[path], got, path)
			delete(want, path)
		}
		assert.Empty(t, want, "these have no file")
	}
}

func TestTheSecretsThatMustExistAreNamed(t *testing.T) {
	for _, c := range []struct {
		stack, dir string
		secrets    []string
	}{
		{"prod", root, []string{"journal/journal-tls", "journal/redis-password-1"}},
		{"dev", devWithSecrets(t), []string{"journal-metrics-server/metrics-server-tls", "journal-reader/reader-tls", "journal/redis-password-1"}},
		{"dev", dev(t, map[string]any{"issuer": "Issuer/internal"}, map[string]any{"issuer": "ClusterIssuer/internal"}), []string{"journal/redis-password-1"}},
	} {
		_, said := rendering(t, c.dir, c.stack, filepath.Join(t.TempDir(), "out"))
		var names []string
		for line := range strings.Lines(said) {
			if name, found := strings.CutPrefix(line, "they need the Secret "); found {
				names = append(names, strings.TrimSuffix(name, ", which they do not declare\n"))
			}
		}
		assert.Equal(t, c.secrets, names)
	}
}

func TestTheKustomizationListsEveryFileInAnOrderThatKubectlCanApply(t *testing.T) {
	for stack, dir := range map[string]string{"prod": root, "dev": devWithSecrets(t)} {
		files, _ := rendering(t, dir, stack, filepath.Join(t.TempDir(), "out"))
		list := listed(t, files)
		delete(files, kustomizationName)
		delete(files, historyName)
		assert.Len(t, list, len(files))
		last := 0
		for _, path := range list {
			require.Contains(t, files, path)
			var o object
			require.NoError(t, yaml.Unmarshal([]byte(files[path]), &o.value))
			assert.GreaterOrEqual(t, o.rank(), last, "%s comes too late", path)
			last = o.rank()
		}
		assert.True(t, strings.HasPrefix(list[0], "_cluster/namespace-"), list[0])
		assert.Equal(t, map[string]int{"prod": 3, "dev": 4}[stack], last, "what makes pods comes late, and the API groups that they serve come last")
		crd := slices.IndexFunc(list, func(path string) bool { return strings.Contains(path, "/customresourcedefinition-") })
		assert.Equal(t, stack == "dev", crd > 0, "the claims of dev have definitions")
		if crd > 0 {
			assert.True(t, strings.HasPrefix(list[crd-1], "_cluster/namespace-"), list[crd-1])
		}
	}
}

func TestTwoRenderingsAreEqual(t *testing.T) {
	for stack, project := range map[string]string{"prod": root, "dev": devWithSecrets(t)} {
		dir := t.TempDir()
		first, _ := rendering(t, project, stack, filepath.Join(dir, "a"))
		other, _ := rendering(t, project, stack, filepath.Join(dir, "b"))
		assert.Equal(t, first, other, "into another folder")
		again, _ := rendering(t, project, stack, filepath.Join(dir, "a"))
		assert.Equal(t, first, again, "over itself")
	}
}

func TestNothingOfTheEngineAndNoSecretIsInTheFiles(t *testing.T) {
	issued := dev(t, map[string]any{"issuer": "Issuer/internal"}, map[string]any{"issuer": "ClusterIssuer/internal"})
	for dir, stack := range map[string]string{root: "prod", devWithSecrets(t): "dev", issued: "dev"} {
		files, _ := rendering(t, dir, stack, filepath.Join(t.TempDir(), "out"))
		for path, text := range files {
			assert.NotContains(t, text, "pulumi.com/", path)
			assert.NotContains(t, text, "PRIVATE KEY", path)
			assert.NotContains(t, text, base64.StdEncoding.EncodeToString([]byte("-----BEGIN PRIVATE KEY"))[:28], path)
			assert.NotContains(t, text, "insecureSkipTLSVerify", path)
			assert.NotContains(t, text, "kind: Secret\n", path)
			assert.NotContains(t, text, "[secret]", path)
			assert.NotContains(t, path, "patch-", path)
		}
	}
}

func TestThePasswordsAreInTheSecretsThatTheStackNames(t *testing.T) {
	dir := project(t, "prod", "passwords: [1]", "passwords: [3, 2]\n    passwordSecret: from-vault")
	files, said := rendering(t, dir, "prod", filepath.Join(t.TempDir(), "out"))
	assert.Contains(t, files["journal/deployment-api.yaml"], "name: from-vault-3\n")
	assert.NotContains(t, files["journal/deployment-api.yaml"], "from-vault-2")
	assert.Contains(t, files["journal/statefulset-redis.yaml"], "name: from-vault-3\n")
	assert.Contains(t, files["journal/statefulset-redis.yaml"], "name: from-vault-2\n")
	assert.Contains(t, said, "the Secret journal/from-vault-2,")
	assert.Contains(t, said, "the Secret journal/from-vault-3,")
}

func TestACertificateOfCertManagerIsNotMissing(t *testing.T) {
	dir := project(t, "prod", "tls: {secret: journal-tls}", "tls: {issuer: ClusterIssuer/letsencrypt}")
	files, said := rendering(t, dir, "prod", filepath.Join(t.TempDir(), "out"))
	assert.Contains(t, strings.Join(listed(t, files), " "), "journal/certificate-")
	assert.Equal(t, 1, strings.Count(said, "they need the Secret"), said)
}

func TestAnIssuerIsAskedForTheCertificatesOfAPIGroups(t *testing.T) {
	dir := dev(t, map[string]any{"issuer": "Issuer/internal"}, map[string]any{"issuer": "ClusterIssuer/internal"})
	files, _ := rendering(t, dir, "dev", filepath.Join(t.TempDir(), "out"))
	for in, group := range map[string]string{"reader": "v1alpha1.observe.journal.example.com", "metrics-server": "v1beta1.metrics.k8s.io"} {
		assert.Contains(t, files["journal-"+in+"/certificate-"+in+".yaml"], "- "+in+".journal-"+in+".svc\n")
		served := files["_cluster/apiservice-"+group+".yaml"]
		assert.Contains(t, served, "cert-manager.io/inject-ca-from: journal-"+in+"/"+in+"\n")
		assert.NotContains(t, served, "caBundle", "each apply would take back what cert-manager has written")
	}
}

func TestTheLastVersionOfAConfigurationStaysAndOlderOnesGo(t *testing.T) {
	out := filepath.Join(t.TempDir(), "prod")
	configs := func(files map[string]string) (paths []string) {
		for path := range files {
			if strings.HasPrefix(path, "journal/configmap-frontend-config-") {
				paths = append(paths, path)
			}
		}
		return paths
	}
	titled := func(title string) map[string]string {
		files, _ := rendering(t, project(t, "prod", "pageSize: 50", "pageSize: 50\n    title: "+title), "prod", out)
		assert.Subset(t, listed(t, files), configs(files))
		return files
	}
	first := configs(titled("one"))
	require.Len(t, first, 1)
	assert.Len(t, configs(titled("two")), 2)
	third := configs(titled("three"))
	assert.Len(t, third, 3)
	assert.Contains(t, third, first[0])
	fourth := configs(titled("four"))
	assert.Len(t, fourth, 3, "configVersions")
	assert.NotContains(t, fourth, first[0])
}

func TestWhatAnUpdateMustNotDoIsRefused(t *testing.T) {
	out := filepath.Join(t.TempDir(), "prod")
	rendering(t, project(t, "prod", "passwords: [1]", "passwords: [2, 1]"), "prod", out)
	before := contents(t, out)
	assert.Contains(t, refused(t, project(t, "prod", "passwords: [1]", "passwords: [3]"), "prod", out),
		"journal:redis.passwords \"[3]\": the clients of the last update sign in with password 2; write [3, 2]")
	assert.Contains(t, refused(t, project(t, "prod", "storage: {size: 10Gi}", "storage: {size: 9Gi}"), "prod", out), "Kubernetes shrinks none")
	assert.Equal(t, before, contents(t, out), "a refused run has changed files")

	out, kept := filepath.Join(t.TempDir(), "dev"), devWithSecrets(t)
	rendering(t, kept, "dev", out)
	path := filepath.Join(kept, "Pulumi.dev.yaml")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), "size: 4Gi")
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "size: 4Gi", "size: 3Gi")), 0o600))
	assert.Contains(t, refused(t, kept, "dev", out), `journal:metrics.store.storage.size "3Gi": the volumes have 4Gi, and Kubernetes shrinks none`)
}

func TestWhatNeedsAStateIsRefusedWithItsLine(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	said := refused(t, root, "dev", out)
	assert.Regexp(t, `(?m)^Pulumi\.dev\.yaml:\d+: journal:resourceMetrics\.certificate "": .*a rendered stack has no state; `+
		`name a Secret that exists by certificate\.secret .* or replace the key by cluster: {resourceMetrics: true}`, said)
	assert.Regexp(t, `(?m)^Pulumi\.dev\.yaml:\d+: journal:reader\.certificate "": .* or an issuer of cert-manager by certificate\.issuer`, said)
	assert.Equal(t, 2, strings.Count(said, "\n"), "nothing else is refused")
	assert.True(t, strings.HasPrefix(said, `the configuration of stack "dev" is refused`), said)

	const alerts = "alerts: {image: docker.io/victoriametrics/vmalert:v1.148.8"
	posted := alerts + ", webhook: {secure: 'v1:abc'}, alertmanagerImage: 'quay.io/prometheus/alertmanager:v0.28.1'"
	assert.Regexp(t, `Pulumi\.dev\.yaml:\d+: journal:metrics\.alerts\.webhook "": it is encrypted, .*; remove it with alertmanagerImage`,
		refused(t, project(t, "dev", alerts, posted), "dev", out))
	assert.Regexp(t, `Pulumi\.prod\.yaml:\d+: journal:exposure\.tls\.selfSigned "1": .*tls: {secret: journal-tls}`,
		refused(t, project(t, "prod", "tls: {secret: journal-tls}", "tls: {selfSigned: 1}"), "prod", out))
	pull := "  journal:cluster: {pullSecret: {registry: registry.example.com, username: puller, password: {secure: 'v1:abc'}}}\n  journal:tenant:"
	assert.Regexp(t, `Pulumi\.prod\.yaml:\d+: journal:cluster\.pullSecret .*its password is encrypted`,
		refused(t, project(t, "prod", "  journal:tenant:", pull), "prod", out))
	assert.NoDirExists(t, out)
}

func TestAChartIsRefusedWithItsValues(t *testing.T) {
	dir := project(t, "prod", "  journal:tenant:", "  journal:ingressController: {}\n  journal:tenant:")
	said := refused(t, dir, "prod", filepath.Join(t.TempDir(), "out"))
	assert.Contains(t, said, "only Pulumi's plugin expands a Helm chart; remove the key ingressController")
	assert.Contains(t, said, "install oci://ghcr.io/traefik/helm/traefik in version ")
	var values map[string]any
	_, text, found := strings.Cut(said, "and these values:\n")
	require.True(t, found)
	require.NoError(t, yaml.Unmarshal([]byte(text), &values))
	assert.Contains(t, values, "providers")
	assert.Equal(t, map[string]any{"enabled": true}, values["rbac"], "the component declares the rights, and is gone")
}

func TestAnAutoscalerDecidesTheNumberOfPods(t *testing.T) {
	const image = "    image: registry.example.com/journal/journal-api:v0.1.0-0000000\n"
	dir := project(t, "prod", image, image+"    autoscaling: {maxReplicas: 4}\n")
	path := filepath.Join(dir, "Pulumi.prod.yaml")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(text, "  journal:cluster: {resourceMetrics: true}\n"...), 0o600))
	files, _ := rendering(t, dir, "prod", filepath.Join(t.TempDir(), "out"))
	assert.Contains(t, files["journal/deployment-frontend.yaml"], "replicas:")
	assert.NotContains(t, files["journal/deployment-api.yaml"], "replicas:", "each apply would set them back")
	assert.Contains(t, files["journal/horizontalpodautoscaler-api.yaml"], "minReplicas: ")
}

func TestAProgramWithASecretIsRefused(t *testing.T) {
	for sentence, c := range map[string]struct {
		says    string
		program pulumi.RunFunc
	}{
		"a Secret": {"it holds a secret", func(ctx *pulumi.Context) error {
			_, err := corev1.NewSecret(ctx, "open", &corev1.SecretArgs{StringData: pulumi.StringMap{"password": pulumi.String("hunter2")}})
			return err
		}},
		"a secret value in another object": {"it holds a secret", func(ctx *pulumi.Context) error {
			_, err := corev1.NewConfigMap(ctx, "hidden", &corev1.ConfigMapArgs{
				Data: pulumi.StringMap{"password": pulumi.ToSecret(pulumi.String("hunter2")).(pulumi.StringOutput)},
			})
			return err
		}},
		"a random value": {"a random value that only Pulumi's state would have", func(ctx *pulumi.Context) error {
			_, err := random.NewRandomPassword(ctx, "made-up", &random.RandomPasswordArgs{Length: pulumi.Int(8)})
			return err
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			g, err := graph.Run(c.program)
			require.NoError(t, err)
			_, err = fromGraph(g)
			require.ErrorContains(t, err, c.says)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestTwoObjectsInOneFileAreRefused(t *testing.T) {
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		for _, name := range []string{"a", "b"} {
			if _, err := corev1.NewNamespace(ctx, name, &corev1.NamespaceArgs{ApiVersion: pulumi.String("v1"), Kind: pulumi.String("Namespace"),
				Metadata: metav1.ObjectMetaArgs{Name: pulumi.String("same")}}); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	_, err = fromGraph(g)
	assert.ErrorContains(t, err, "another object is in _cluster/namespace-same.yaml")
}

func TestOnlyRenderedFilesAreReplaced(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	rendering(t, devWithSecrets(t), "dev", out)
	own := filepath.Join(out, "journal", "notes.txt")
	require.NoError(t, os.WriteFile(own, []byte("mine"), 0o600))
	outside := filepath.Join(filepath.Dir(out), "outside.yaml")
	require.NoError(t, os.WriteFile(outside, []byte("mine"), 0o600))
	list, err := os.OpenFile(filepath.Join(out, kustomizationName), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = list.WriteString("  - ../outside.yaml\n")
	require.NoError(t, err)
	require.NoError(t, list.Close())
	require.DirExists(t, filepath.Join(out, "journal-platform"))

	path := filepath.Join(out, historyName) // of a stack without protected tenants
	require.NoError(t, os.WriteFile(path, []byte("{}"), 0o600))
	files, _ := rendering(t, root, "prod", out)
	assert.Equal(t, "mine", files["journal/notes.txt"])
	assert.FileExists(t, outside)
	delete(files, "journal/notes.txt")
	assert.Len(t, files, len(listed(t, files))+2, "files of dev are left")
	assert.NoDirExists(t, filepath.Join(out, "team-a"), "no file of it is left")
}

func TestAFolderOfOtherFilesIsLeftAlone(t *testing.T) {
	for sentence, c := range map[string]struct{ name, text, says string }{
		"no kustomization":            {"main.go", "package main", "the folder holds files that are not rendered"},
		"one of somebody else":        {kustomizationName, "resources: []\n", "the folder holds files that are not rendered"},
		"without the kept versions":   {kustomizationName, firstLine + "\n", "the kept versions cannot be read"},
		"a kustomization half merged": {kustomizationName, firstLine + "\n<<<<<<< HEAD\n", "restore it from git"},
	} {
		t.Run(sentence, func(t *testing.T) {
			out := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(out, c.name), []byte(c.text), 0o600))
			assert.Contains(t, refused(t, root, "prod", out), c.says)
			assert.Equal(t, map[string]string{c.name: c.text}, contents(t, out))
		})
	}
	out := filepath.Join(t.TempDir(), "prod")
	rendering(t, root, "prod", out)
	require.NoError(t, os.WriteFile(filepath.Join(out, historyName), []byte("<<<<<<< HEAD"), 0o600))
	assert.Regexp(t, `history\.json: not as it was written: .*; restore it from git`, refused(t, root, "prod", out))
}

func TestAMistypedCommandIsRefused(t *testing.T) {
	var stdout bytes.Buffer
	assert.ErrorContains(t, run([]string{"prod"}, &stdout), `arguments ["prod"]: none is expected; write for example`)
	assert.ErrorContains(t, run([]string{"--project", root, "--stack", "staging", "--out", filepath.Join(t.TempDir(), "out")}, &stdout),
		"Pulumi.staging.yaml: is missing; write it, or choose a stack that has one")
}
