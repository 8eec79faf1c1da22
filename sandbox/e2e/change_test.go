//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"example.com/journal/sandbox/deploy"
	"example.com/journal/sandbox/images"
)

func TestChange(t *testing.T) {
	needsNode(t, "imports images that stand in no registry, and looks into its logs")
	t.Run("nobody notices a change", changes)
	t.Run("volumes grow in place where their class can", storage)
	t.Run("with a quorum nothing is acknowledged that is on one volume", quorum)
	t.Run("a journal that is read-only shows its entries and takes none", readOnly)
}

// changes is one test, since each change starts from the stack that the previous one left.
func changes(t *testing.T) {
	original := originalStack(t)
	values := map[string]any{}
	set := func(key string, value any) {
		values[key] = value
		change(t, original, values)
	}
	l := startLoad(t)
	l.during(t, "nothing", func() { time.Sleep(5 * time.Second) })

	l.during(t, "configuration of the page", func() { set("frontend.title", "Changed") })
	if text := settings(t); !strings.Contains(text, `"title":"Changed"`) {
		t.Errorf("the page's settings are %s", text)
	}
	l.during(t, "kubectl rollout undo of the page", func() {
		kubectl(t, "rollout", "undo", "deployment/frontend", "--namespace", world.outputs.Namespace)
		rolledOut(t)
	})
	if text := settings(t); strings.Contains(text, "Changed") {
		t.Errorf("the page's settings are still %s", text)
	}
	l.during(t, "configuration of the API, and the page's again", func() { set("api.logLevel", "warn") })
	for key, value := range map[string]string{
		"api.resources.memory": "72Mi", "frontend.resources.memory": "40Mi", "redis.resources.memory": "112Mi", "redis.maxMemory": "60Mi",
	} {
		l.during(t, key, func() { set(key, value) })
	}
	others := otherImages(t)
	for key, reference := range others {
		l.during(t, "another "+key, func() { set(key, reference) })
		if running := kubectl(t, "get", "pods", "--namespace", world.outputs.Namespace, "--output", "jsonpath={..image}"); !strings.Contains(running, reference) {
			t.Errorf("no pod runs %s:\n%s", reference, running)
		}
	}

	first, firstPassword := secretName(t), currentPassword(t)
	l.during(t, "another password", func() { set("redis.passwords", []int{2, 1}) })
	if secretName(t) == first {
		t.Errorf("the API still has the password of %s", first)
	}
	secondPassword := currentPassword(t)
	if !accepted(t, firstPassword) || !accepted(t, secondPassword) {
		t.Error("Redis does not accept the password before and the current one")
	}
	l.during(t, "a third password", func() { set("redis.passwords", []int{3, 2}) })
	if accepted(t, firstPassword) || !accepted(t, secondPassword) {
		t.Error("Redis accepts the password before the last one, or not the last one")
	}

	for _, broken := range []struct {
		what   string
		values map[string]any
		reason string
	}{
		{"a page of an image that does not exist", map[string]any{"frontend.image": "journal.example.com/journal-web:v9.9.8-0000000"}, "ImagePull"},
		{"a page whose program ends at once", map[string]any{"frontend.image": others["api.image"]}, "CrashLoopBackOff"},
		{"a Redis of an image that does not exist", map[string]any{"redis.image": "journal.example.com/redis:9.9.8", "redis.passwords": []int{4, 3}}, "ImagePull"},
	} {
		l.during(t, broken.what, func() {
			attempt := maps.Clone(values)
			attempt["rolloutTimeout"] = 30
			maps.Copy(attempt, broken.values)
			start := time.Now()
			_, err := upFrom(t.Context(), with(t, original, attempt))
			if err == nil || !strings.Contains(err.Error(), broken.reason) {
				t.Errorf("up says %v, not %s", err, broken.reason)
			}
			t.Logf("up failed after %s: %v", time.Since(start).Round(100*time.Millisecond), err)
		})
	}
	l.during(t, "a fifth password, after the fourth has reached no API", func() { set("redis.passwords", []int{5, 3}) })
	l.during(t, "the first password again", func() { set("redis.passwords", []int{1, 5}) })
	secrets := redisSecrets(t)
	if len(secrets) != 2 {
		t.Fatalf("there are %d Secrets, not those of the two numbers", len(secrets))
	}
	l.during(t, "everything as it was at first", func() {
		if _, err := upFrom(t.Context(), original); err != nil {
			t.Error(err)
		}
		rolledOut(t)
	})
	noSecretInPlainText(t, secrets)
}

// quorum freezes both replicas, as a node that hangs does, and checks which volumes have an entry.
func quorum(t *testing.T) {
	original := originalStack(t)
	change(t, original, map[string]any{"redis.quorum": true, "redis.sharedNodes": true})
	before, frozen := unique("before"), unique("frozen")
	post := func(text string) (status int, answer string) {
		t.Helper()
		status, body, err := send(http.MethodPost, "api/entries", map[string]string{"text": text}, "Idempotency-Key", text)
		if err != nil {
			t.Fatal(err)
		}
		return status, string(body)
	}
	volumes := func(text string) (holders []string) {
		for _, pod := range pods(t, "redis") {
			if _, err := tryKubectl("", "exec", pod.Metadata.Name, "--namespace", pod.Metadata.Namespace, "--", "grep", "-rqF", text, "/data/appendonlydir"); err == nil {
				holders = append(holders, pod.Metadata.Name)
			}
		}
		return holders
	}
	if status, detail := post(before); status != http.StatusCreated || len(volumes(before)) < 2 {
		t.Errorf("status %d %s, on %v", status, detail, volumes(before))
	}
	all := pods(t, "redis")
	signal := func(pod object, signal syscall.Signal) {
		if err := syscall.Kill(processOf(t, pod, "redis-server"), signal); err != nil {
			t.Error(err)
		}
	}
	for _, pod := range all[1:] {
		signal(pod, syscall.SIGSTOP)
		t.Cleanup(func() { signal(pod, syscall.SIGCONT) })
	}
	if status, detail := post(frozen); status != http.StatusServiceUnavailable || !strings.Contains(detail, "may be kept, or not") {
		t.Errorf("with both replicas frozen: status %d %s", status, detail)
	}
	if on := volumes(frozen); len(on) != 1 || on[0] != "redis-0" {
		t.Errorf("it is on %v, not on the primary's volume alone: the test tests nothing", on)
	}
	signal(all[1], syscall.SIGCONT)
	if status, detail := post(frozen); status != http.StatusCreated || len(volumes(frozen)) < 2 {
		t.Errorf("with one of them back: status %d %s, on %v", status, detail, volumes(frozen))
	}
	entries, err := list()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for id, entry := range entries {
		if entry.Text == frozen || entry.Text == before {
			ids = append(ids, id)
		}
	}
	if len(ids) != 2 {
		t.Errorf("there are %d entries of the two", len(ids))
	}
	erase(t, ids)
}

// readOnly runs without load, whose writers the API would refuse.
func readOnly(t *testing.T) {
	kept := write(t, unique("written before"))
	original := originalStack(t)
	change(t, original, map[string]any{"readOnly": true})
	if text := settings(t); !strings.Contains(text, `"readOnly":true`) {
		t.Errorf("the page's settings are %s", text)
	}
	mustAsk(t, http.StatusOK, http.MethodGet, "api/entries/"+kept.ID, nil, nil)
	mustAsk(t, http.StatusForbidden, http.MethodPost, "api/entries", map[string]string{"text": "written after"}, nil)
	mustAsk(t, http.StatusForbidden, http.MethodDelete, "api/entries/"+kept.ID, nil, nil)
	ctx := openBrowser(t)
	do(ctx, t,
		"open the page", chromedp.Navigate(world.outputs.URL),
		"see the entry", chromedp.WaitVisible(fmt.Sprintf(`//p[@class="text" and .=%q]`, kept.Text)),
		"see nothing to write with", chromedp.WaitNotVisible("#new-text"),
		"see nothing to change it with", chromedp.WaitNotVisible(`//li[contains(@class,"entry")]//button[@data-do="edit"]`),
	)
	picture(ctx, t, "read-only.png")
}

// otherImages gives the node a second image of each part, with different content, and returns their references by their paths in
// the configuration. When the disk is full, the kubelet deletes them like all images that no pod uses.
func otherImages(t *testing.T) map[string]string {
	t.Helper()
	built, err := images.Build(t.Context(), repository(t), world.dir, io.Discard, images.Journal...)
	if err != nil {
		t.Fatal(err)
	}
	others := map[string]string{"api.image": "journal-api:v9.9.9-0000000", "frontend.image": "journal-web:v9.9.9-0000000", "redis.image": "redis:9.9.9"}
	for _, image := range built {
		target, ok := others[image.ConfigKey]
		if !ok {
			continue
		}
		tag, err := name.NewTag("journal.example.com/" + target)
		if err != nil {
			t.Fatal(err)
		}
		content, err := tarball.ImageFromPath(image.Archive, nil)
		if err != nil {
			t.Fatal(err)
		}
		config, err := content.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config.Config.Labels = map[string]string{"e2e": "another build"}
		if content, err = mutate.ConfigFile(content, config); err != nil {
			t.Fatal(err)
		}
		archive := filepath.Join(t.TempDir(), "image.tar")
		if err := tarball.WriteToFile(archive, tag, content); err != nil {
			t.Fatal(err)
		}
		if err := needsNode(t, "imports images").ImportImage(t.Context(), archive); err != nil {
			t.Fatal(err)
		}
		others[image.ConfigKey] = tag.String()
	}
	return others
}

// with returns a folder with the stack, in which these paths have these values.
func with(t *testing.T, original string, values map[string]any) string {
	t.Helper()
	return changedStackOf(t, original, func(config map[string]any) {
		for key, value := range values {
			deploy.Override(config, "journal:"+key, value)
		}
	})
}

// change brings up the stack with these values, and waits until all pods have them.
func change(t *testing.T, original string, values map[string]any) {
	t.Helper()
	if _, err := upFrom(t.Context(), with(t, original, values)); err != nil {
		t.Error(err)
	}
	rolledOut(t)
}

// rolledOut returns when the workloads have the pods that they declare.
func rolledOut(t *testing.T) {
	t.Helper()
	for _, workload := range []string{"statefulset/redis", "deployment/api", "deployment/frontend"} {
		kubectl(t, "rollout", "status", workload, "--namespace", world.outputs.Namespace, "--timeout=3m")
	}
}

// settings returns the page's settings, as a browser reads them.
func settings(t *testing.T) string {
	t.Helper()
	response, err := world.client.Get(world.outputs.URL + "config.json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// secretName returns the name of the Secret with the API's password.
func secretName(t *testing.T) string {
	t.Helper()
	return kubectl(t, "get", "deployment", "api", "--namespace", world.outputs.Namespace, "--output",
		"jsonpath={.spec.template.spec.volumes[*].projected.sources[0].secret.name}")
}

// currentPassword returns the password that the API has now, in base64. Its Secret goes when a stack no longer lists its number.
func currentPassword(t *testing.T) string {
	t.Helper()
	return kubectl(t, "get", "secret", secretName(t), "--namespace", world.outputs.Namespace, "--output", "jsonpath={.data.api}")
}

// accepted says whether the primary accepts a password of the API, in base64. It goes in by standard input.
func accepted(t *testing.T, encoded string) bool {
	t.Helper()
	answer, err := tryKubectl(encoded, "exec", "--stdin", "redis-0", "--namespace", world.outputs.Namespace, "--", "sh", "-c",
		`printf 'AUTH api %s\nPING\n' "$(base64 -d)" | redis-cli`)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(answer, "PONG")
}
