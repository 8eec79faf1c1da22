//go:build e2e

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// repository is the checkout of this package. The tests run in another folder.
var repository = os.Getenv("PWD") + "/.."

// checkout is a git repository with the program of the tests, and a place for its state.
type checkout struct {
	dir, state string
	// supply is the program that verifies images.
	supply string
	// said is everything that was printed, and every plan.
	said bytes.Buffer
}

func newCheckout(t *testing.T) *checkout {
	t.Helper()
	home := t.TempDir()
	c := &checkout{dir: filepath.Join(home, "program"), state: filepath.Join(home, "state")}
	require.NoError(t, errors.Join(os.Mkdir(c.state, 0o755), os.CopyFS(c.dir, os.DirFS("testdata/program"))))
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("..", name))
		require.NoError(t, err)
		c.write(t, name, strings.Replace(string(text), "module example.com/journal\n", "module example.com/program\n", 1))
	}
	c.write(t, ".gitignore", "/plans/\n/local.go\n")
	for name, value := range map[string]string{
		"KUBECONFIG": kubeconfig, "PULUMI_HOME": filepath.Join(home, "pulumi"), "PULUMI_BACKEND_URL": "file://" + c.state,
		"PULUMI_CONFIG_PASSPHRASE": "of the test", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true", "PULUMI_SKIP_UPDATE_CHECK": "true",
	} {
		t.Setenv(name, value)
	}
	c.shell(t, "git init --quiet && git config user.name a && git config user.email a@example.com")
	c.app(t, "{title: one, extra: true}")
	t.Chdir(c.dir)
	return c
}

func (c *checkout) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600))
}

// app commits a configuration of the stack whose images are not verified.
func (c *checkout) app(t *testing.T, value string) {
	t.Helper()
	c.configure(t, value, "{verify: none, reason: the image is made up}")
}

// configure commits a configuration of the stack, and keeps what Pulumi has written beside it. Without a value for the images, they are
// verified.
func (c *checkout) configure(t *testing.T, value, images string) {
	t.Helper()
	if images != "" {
		images = "  deploy:images: " + images + "\n"
	}
	had, _ := os.ReadFile(filepath.Join(c.dir, "Pulumi.prod.yaml"))
	salt := regexp.MustCompile(`(?m)^encryptionsalt: .*\n`).FindString(string(had))
	c.write(t, "Pulumi.prod.yaml", salt+"config:\n  program:app: "+value+"\n"+images)
	c.shell(t, "git add --all && git commit --quiet --allow-empty --message '"+value+"'")
}

// shell runs a command in the checkout.
func (c *checkout) shell(t *testing.T, command string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", command)
	cmd.Dir = c.dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", command, out)
	return string(out)
}

// run runs deploy, and returns what a person sees.
func (c *checkout) run(t *testing.T, args ...string) (said string, code int) {
	t.Helper()
	var out bytes.Buffer
	begin := time.Now()
	code = exitCode(command{supply: c.supply, stdout: &out}.run(t.Context(), args), &out)
	t.Logf("deploy %s: exit code %d, %s\n%s", strings.Join(args, " "), code, time.Since(begin).Round(100*time.Millisecond), out.String())
	c.said.Write(out.Bytes())
	for _, name := range []string{stepsName, factsName, summaryName} {
		text, _ := os.ReadFile(filepath.Join(c.dir, "plans/prod", name))
		c.said.Write(text)
	}
	return out.String(), code
}

// plan makes a plan, which must succeed.
func (c *checkout) plan(t *testing.T) string {
	t.Helper()
	said, code := c.run(t, "plan", "--stack", "prod")
	require.Equal(t, 0, code, said)
	return said
}

// apply applies the plan, which must succeed.
func (c *checkout) apply(t *testing.T) string {
	t.Helper()
	said, code := c.run(t, "apply", "plans/prod")
	require.Equal(t, 0, code, said)
	return said
}

// everything is the state byte by byte, and every object of the cluster with its version.
func (c *checkout) everything(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.state, ".pulumi/stacks/program/prod.json"))
	require.NoError(t, err)
	objects, err := kubectl("get", "namespaces,configmaps,secrets,deployments", "--all-namespaces",
		"--output", `jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}`)
	require.NoError(t, err)
	return string(text) + objects
}

// refused runs deploy, which must change nothing and say all of this.
func (c *checkout) refused(t *testing.T, args string, says ...string) {
	t.Helper()
	before := c.everything(t)
	said, code := c.run(t, strings.Fields(args)...)
	assert.Equal(t, exitFailed, code)
	for _, part := range says {
		assert.Contains(t, said, part)
	}
	if before != c.everything(t) {
		t.Error("the state or the cluster has changed")
	}
}

func mustKubectl(t *testing.T, args string) {
	t.Helper()
	out, err := kubectl(strings.Fields(args)...)
	require.NoError(t, err, out)
}

// TestPlanApplyAndDrift takes one stack from its first update on. Each part begins with what the part before has left.
func TestPlanApplyAndDrift(t *testing.T) {
	c := newCheckout(t)
	for _, part := range []struct {
		name string
		test func(*testing.T, *checkout)
	}{
		{"a first update is refused with what to do first", firstUpdateIsRefused},
		{"a plan brings up the stack", planBringsUp},
		{"nothing drifted is quiet, and drift names object and field", driftIsFound},
		{"another program is refused", anotherProgramIsRefused},
		{"a cluster that others have changed is refused by the engine", anotherClusterIsRefused},
		{"a plan is applied once", planIsAppliedOnce},
		{"a plan is stale after another update", stalePlanIsRefused},
		{"a password that is yet to be made is refused", unknownSecretIsRefused},
		{"two updates at once", secondUpdateNamesTheFirst},
		{"a roll back is the plan of the commit before", rollBack},
		{"a stuck roll-out", stuckRollout},
		{"an image that is not trusted is refused before anything changes", untrustedImagesAreRefused},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.test(t, c) }) {
			t.FailNow() // the next part would fail for no reason of its own
		}
	}
	noSecretWasShown(t, c)
}

func firstUpdateIsRefused(t *testing.T, c *checkout) {
	said, code := c.run(t, "plan", "--stack", "prod")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, said, "make it with `pulumi stack init prod`")
	c.shell(t, "pulumi stack init prod")
	c.app(t, "{title: one, extra: true}")
	c.refused(t, "plan --stack prod", "it has no state yet, and a first update cannot be planned",
		"`pulumi up --yes --skip-preview --stack prod --target '**:RandomPassword::*'`")
	assert.NoDirExists(t, filepath.Join(c.dir, "plans"))
}

func planBringsUp(t *testing.T, c *checkout) {
	c.shell(t, "pulumi up --yes --skip-preview --stack prod --target '**:RandomPassword::*'")
	said := c.plan(t)
	assert.Contains(t, said, ": 4 create\nother changes:\n  create ConfigMap team/extra\n")
	assert.Contains(t, c.apply(t), "stack prod is as planned: 4 changes\n")
	mustKubectl(t, "get configmap/settings configmap/extra secret/secret --namespace team")
}

func driftIsFound(t *testing.T, c *checkout) {
	before := c.everything(t)
	said, code := c.run(t, "drift", "--stack", "prod")
	assert.Equal(t, 0, code)
	assert.Empty(t, said)
	assert.Equal(t, before, c.everything(t), "a look has changed something")

	mustKubectl(t, `patch configmap settings --namespace team --type merge --patch {"data":{"title":"by-hand"}}`)
	mustKubectl(t, `patch secret secret --namespace team --type merge --patch {"data":{"password":"aHVudGVyMg=="}}`)
	mustKubectl(t, "delete configmap extra --namespace team")
	before = c.everything(t)
	said, code = c.run(t, "drift", "--stack", "prod")
	assert.Equal(t, exitDrift, code)
	assert.ElementsMatch(t, []string{
		"ConfigMap team/extra: it is gone",
		`ConfigMap team/settings: data.title is "by-hand", and "one" was deployed`,
		"Secret team/secret: data.password is another secret than was deployed",
	}, strings.Split(strings.TrimSpace(said), "\n"))
	assert.Equal(t, before, c.everything(t), "a look has changed something")

	said = c.plan(t) // repairs it
	assert.Contains(t, said, "create ConfigMap team/extra\n")
	c.apply(t)
	said, code = c.run(t, "drift", "--stack", "prod")
	assert.Equal(t, 0, code, said)

	mustKubectl(t, "label namespace team title=by-hand --overwrite")
	said, code = c.run(t, "drift", "--stack", "prod")
	assert.Equal(t, exitDrift, code)
	assert.Equal(t, `Namespace team: metadata.labels.title is "by-hand", and "one" was deployed`+"\n", said)
	c.refused(t, "plan --stack prod", `conflict with "kubectl-label"`, "set PULUMI_K8S_ENABLE_PATCH_FORCE=true for the plan and its apply")
	t.Run("taken back", func(t *testing.T) {
		t.Setenv(patchForce, "true")
		assert.Contains(t, c.plan(t), `update Namespace team, which is protected: metadata.labels.title "by-hand" -> "one"`)
		c.apply(t)
	})
	said, code = c.run(t, "drift", "--stack", "prod")
	assert.Equal(t, 0, code, said)

	t.Setenv("KUBECONFIG", "/none")
	said, code = c.run(t, "drift", "--stack", "prod")
	assert.Equal(t, exitFailed, code, "a failure is not drift")
	assert.Contains(t, said, "error: the cluster was not compared with what was deployed: ")
}

func anotherProgramIsRefused(t *testing.T, c *checkout) {
	c.app(t, `{title: two, extra: false, image: ""}`)
	said := c.plan(t)
	assert.Regexp(t, `(?s)^stack prod at commit \w{12}: 1 delete, 1 replace, 1 update
DANGEROUS, something may be lost:
  replace ConfigMap team/settings: data.title "one" -> "two"
  delete ConfigMap team/extra
  update Namespace team, which is protected: metadata.labels.title "one" -> "two"
the signatures and bills of images are not verified: the image is made up
the plan is in `, said)

	c.write(t, "main.go", c.shell(t, "cat main.go")+"\n// Changed.\n")
	c.refused(t, "apply plans/prod", "refused, and nothing was changed:\n", "the checkout has changes that are not committed: M main.go")
	c.shell(t, "git stash --quiet")
	c.app(t, `{title: two, extra: false, image: "registry.example.com/api:v1"}`)
	c.refused(t, "apply plans/prod", "commit: the plan is made for ",
		"image program:app.image: the plan is made for none, and here is registry.example.com/api:v1",
		"configuration (Pulumi.yaml and Pulumi.prod.yaml): ")
	c.shell(t, "git reset --quiet --hard HEAD~1")
	c.write(t, "local.go", "package main\n\nfunc init() { println(1) }\n") // git ignores it
	c.refused(t, "apply plans/prod", "program (source files and modules): the plan is made for ", "see what git ignores, or plan again")
	require.NoError(t, os.Remove(filepath.Join(c.dir, "local.go")))
}

func anotherClusterIsRefused(t *testing.T, c *checkout) {
	mustKubectl(t, "delete secret secret --namespace team") // the plan does not make it
	c.refused(t, "apply plans/prod", "refused, and nothing was changed:\n", "Secret secret is not as planned\n")
	assert.Contains(t, c.plan(t), "create Secret team/secret\n")
}

func planIsAppliedOnce(t *testing.T, c *checkout) {
	said := c.apply(t)
	assert.Contains(t, said, "replace ConfigMap team/settings\n")
	assert.Contains(t, said, "delete ConfigMap team/extra\n")
	assert.Contains(t, said, "stack prod is as planned: 4 changes\n")
	c.refused(t, "apply plans/prod", "state of the stack: the plan is made for ",
		"another update has ended since, perhaps of this plan; plan again")
	assert.Contains(t, c.plan(t), ": no changes\n")
}

func stalePlanIsRefused(t *testing.T, c *checkout) {
	c.app(t, "{title: three, extra: false}")
	c.plan(t)
	c.shell(t, "git checkout --quiet HEAD~1 && sed -i 's/extra: false/extra: true/' Pulumi.prod.yaml")
	c.shell(t, "pulumi up --yes --skip-preview --stack prod && git checkout --quiet --force -")
	c.refused(t, "apply plans/prod", "state of the stack: the plan is made for ")
	assert.Contains(t, c.plan(t), "delete ConfigMap team/extra\n")
	c.apply(t)
}

func unknownSecretIsRefused(t *testing.T, c *checkout) {
	c.app(t, "{title: three, extra: false, token: true}")
	c.refused(t, "plan --stack prod", "RandomPassword token is yet to be made",
		"`pulumi up --yes --skip-preview --stack prod --target '**:RandomPassword::*'`")
	_, err := os.Stat(filepath.Join(c.dir, "plans/prod", factsName))
	assert.ErrorIs(t, err, os.ErrNotExist, "half a plan is left")
	c.shell(t, "git reset --quiet --hard HEAD~1")
}

func secondUpdateNamesTheFirst(t *testing.T, c *checkout) {
	c.app(t, "{title: four, extra: false}")
	c.plan(t)
	waits := filepath.Join(t.TempDir(), "waits")
	require.NoError(t, os.WriteFile(waits, nil, 0o600))
	first := exec.CommandContext(t.Context(), "pulumi", "up", "--yes", "--non-interactive", "--stack", "prod")
	first.Dir, first.Env = c.dir, append(os.Environ(), "PROGRAM_WAITS_FOR="+waits)
	require.NoError(t, first.Start())
	locks := filepath.Join(c.state, ".pulumi/locks/organization/program/prod/*.json")
	require.Eventually(t, func() bool { found, _ := filepath.Glob(locks); return len(found) == 1 }, time.Minute, 100*time.Millisecond)
	user := fmt.Sprintf(" (process %d) has been changing the stack since ", first.Process.Pid)
	c.refused(t, "apply plans/prod", `stack "prod" is locked: `, user, "wait until that has ended")

	require.NoError(t, first.Process.Kill())
	_ = first.Wait()
	require.NoError(t, os.Remove(waits)) // its program ends
	c.refused(t, "apply plans/prod", user, "that process is gone: remove its lock with `pulumi cancel --stack prod`")
	c.shell(t, "pulumi cancel --yes --stack prod")
	c.apply(t)
}

func rollBack(t *testing.T, c *checkout) {
	c.shell(t, "git checkout --quiet HEAD~1")
	assert.Contains(t, c.plan(t), `replace ConfigMap team/settings: data.title "four" -> "three"`)
	c.apply(t)
	_, code := c.run(t, "drift", "--stack", "prod")
	assert.Equal(t, 0, code)
}

func stuckRollout(t *testing.T, c *checkout) {
	c.app(t, `{title: three, image: "registry.example.com/api:v1"}`)
	said := c.plan(t)
	assert.Contains(t, said, "program:app.image: registry.example.com/api:v1 is a tag, and the registry may give another image for it")
	said, code := c.run(t, "apply", "plans/prod")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, said, "the update stopped after 0 of 1 changes: Deployment api: ")
	said, code = c.run(t, "drift", "--stack", "prod")
	assert.Equal(t, exitDrift, code)
	assert.Contains(t, said, "Deployment team/api: it is as deployed, and does not get ready: ")
}

// untrustedImagesAreRefused asks a real registry, by the command supply. The Deployment that the part before has left gets each image.
func untrustedImagesAreRefused(t *testing.T, c *checkout) {
	bin := t.TempDir()
	c.supply = filepath.Join(bin, "supply")
	c.shell(t, fmt.Sprintf("cd %q && go build -o %q . && go build -o %q ./testdata/registry", filepath.Join(repository, "supply"), c.supply, filepath.Join(bin, "registry")))
	references := c.registry(t, filepath.Join(bin, "registry"), "good", "unsigned", "stranger", "billless", "moved", "other")
	for _, who := range []string{"ours", "strangers"} {
		c.shell(t, fmt.Sprintf("cd %q && "+key, bin, who))
	}
	for _, name := range []string{"good", "billless", "moved", "stranger"} {
		signer := "ours"
		if name == "stranger" {
			signer = "strangers"
		}
		c.shell(t, fmt.Sprintf("cd %q && ./supply sign --key %s.key --chain %s.pem %s", bin, signer, signer, references[name]))
	}
	removeBill(t, references["billless"])
	moveTag(t, references["moved"])
	good, _, _ := strings.Cut(references["good"], "@")
	_, other, _ := strings.Cut(references["other"], "@")
	planned := func(value string) string {
		t.Helper()
		c.configure(t, value, "")
		said, code := c.run(t, "plan", "--stack", "prod")
		require.Equal(t, 0, code, said)
		return said
	}
	c.refusedImage(t, planned, references["good"], "trust policy: ", "trust/trustpolicy.json: no such file")
	policy := `{"version": "1.0", "trustPolicies": [{"name": "ours", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
		"trustStores": ["ca:journal"], "trustedIdentities": ["x509.subject: C=DE, ST=Berlin, O=Example"]}]}`
	require.NoError(t, os.MkdirAll(filepath.Join(c.dir, "trust/truststore/x509/ca/journal"), 0o755))
	c.write(t, "trust/trustpolicy.json", policy)
	c.shell(t, fmt.Sprintf("cp %s/ours.pem trust/truststore/x509/ca/journal", bin))

	for _, refused := range []struct {
		sentence, image string
		says            []string
	}{
		{"unsigned", references["unsigned"], []string{"signature: no signature is associated with "}},
		{"of a wrong key", references["stranger"], []string{"signature: ", "does not contain any trusted certificate"}},
		{"whose bill is missing", references["billless"], []string{"bill: none refers to "}},
		{"whose tag is another image by now", references["moved"], []string{"digest: the tag 1.0.0 is sha256:"}},
		{"with the digest of another", good + "@" + other, []string{"digest: the registry has no "}},
		{"with a digest that is nowhere", good + "@sha256:" + strings.Repeat("0a", 32), []string{"digest: the registry has no "}},
		{"with a tag alone", good, []string{"no digest, so its content can change"}},
	} {
		t.Run(refused.sentence, func(t *testing.T) {
			c.refusedImage(t, planned, refused.image, append(refused.says, `program:app.image "`+refused.image+`": `)...)
		})
	}
	t.Run("that only a pod of the plan names", func(t *testing.T) {
		planned(fmt.Sprintf("{title: three, image: %q, other: %q}", references["good"], references["unsigned"]))
		c.refused(t, "apply plans/prod", `Deployment api, image 1 "`+references["unsigned"]+`": signature: `)
	})
	t.Run("with no program that verifies", func(t *testing.T) {
		planned(fmt.Sprintf("{title: three, image: %q}", references["good"]))
		there := c.supply
		defer func() { c.supply = there }()
		c.supply = "/none"
		c.refused(t, "apply plans/prod", "the program that verifies images: ")
	})
	t.Run("and a good one goes on", func(t *testing.T) {
		assert.NotContains(t, planned(fmt.Sprintf("{title: three, image: %q}", references["good"])), "refuses")
		said, code := c.run(t, "apply", "plans/prod")
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, said, "verified 1 images, as the folder trust asks\n")
		assert.Regexp(t, `the update stopped after \d of \d changes: Deployment api: `, said) // there is no controller
	})
}

// refusedImage plans an update to an image. The plan must say why apply refuses it, and apply must.
func (c *checkout) refusedImage(t *testing.T, planned func(string) string, image string, says ...string) {
	t.Helper()
	said := planned(fmt.Sprintf("{title: three, image: %q}", image))
	assert.Contains(t, said, "make apply refuses the images as they are now:\n  ")
	for _, part := range says {
		assert.Contains(t, said, part)
	}
	c.refused(t, "apply plans/prod", append(says, "refused, and nothing was changed:\n")...)
}

// key makes a key and a certificate that signs itself, by the name of both.
const key = `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout %[2]s.key -out %[2]s.pem \
	-subj "/C=DE/ST=Berlin/O=Example/CN=releases" -addext basicConstraints=critical,CA:false \
	-addext keyUsage=critical,digitalSignature -addext extendedKeyUsage=codeSigning 2>&1`

// registry starts a registry that ends with the test, and returns the references of images in it by their names.
func (c *checkout) registry(t *testing.T, program string, names ...string) map[string]string {
	t.Helper()
	server := exec.CommandContext(context.WithoutCancel(t.Context()), program) // it ends with its input
	for _, name := range names {
		server.Args = append(server.Args, "team-a/"+name+":1.0.0")
	}
	input, err := server.StdinPipe()
	require.NoError(t, err)
	output, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	t.Cleanup(func() { assert.NoError(t, errors.Join(input.Close(), server.Wait())) })
	references, lines := map[string]string{}, bufio.NewScanner(output)
	for _, name := range names {
		require.True(t, lines.Scan(), "the registry has ended")
		references[name] = lines.Text()
	}
	return references
}

// removeBill deletes from the registry what refers to an image as its bill.
func removeBill(t *testing.T, reference string) {
	t.Helper()
	tagged, digest, _ := strings.Cut(reference, "@")
	var referrers struct {
		Manifests []struct{ ArtifactType, Digest string }
	}
	require.NoError(t, json.Unmarshal(send(t, http.MethodGet, tagged, "referrers/"+digest, nil), &referrers))
	removed := 0
	for _, each := range referrers.Manifests {
		if strings.Contains(each.ArtifactType, "cyclonedx") {
			send(t, http.MethodDelete, tagged, "manifests/"+each.Digest, nil)
			removed++
		}
	}
	require.Equal(t, 1, removed)
}

// moveTag pushes another image under the tag of one.
func moveTag(t *testing.T, reference string) {
	t.Helper()
	tagged, digest, _ := strings.Cut(reference, "@")
	manifest := send(t, http.MethodGet, tagged, "manifests/"+digest, nil)
	send(t, http.MethodPut, tagged, "manifests/1.0.0", append(manifest, '\n'))
}

// send sends a request about the repository of an image, and returns the answer.
func send(t *testing.T, method, tagged, path string, body []byte) []byte {
	t.Helper()
	host, rest, _ := strings.Cut(tagged, "/")
	repository, _, _ := strings.Cut(rest, ":")
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+"/v2/"+repository+"/"+path, bytes.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Less(t, response.StatusCode, 300, "%s %s: %s", method, path, answer)
	return answer
}

// noSecretWasShown looks for the password in everything that was printed, and in all plans.
func noSecretWasShown(t *testing.T, c *checkout) {
	var file struct {
		Deployment struct {
			Resources []struct {
				Type    string
				Outputs struct{ Result struct{ Plaintext string } }
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(c.shell(t, "pulumi stack export --show-secrets --stack prod")), &file))
	found := 0
	for _, r := range file.Deployment.Resources {
		if r.Type != passwordType {
			continue
		}
		found++
		var password string
		require.NoError(t, json.Unmarshal([]byte(r.Outputs.Result.Plaintext), &password))
		require.Len(t, password, 20)
		assert.NotContains(t, c.said.String(), password)
		assert.NotContains(t, c.said.String(), base64.StdEncoding.EncodeToString([]byte(password)))
	}
	assert.Equal(t, 1, found)
}
