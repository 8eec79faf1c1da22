//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"example.com/journal/sandbox/images"
)

func TestChange(t *testing.T) {
	needsNode(t, "imports images that stand in no registry, and looks into its logs")
	t.Run("nobody notices a change", changes)
	t.Run("a journal that is read-only shows its entries and takes none", readOnly)
}

// changes is one test, since each change begins where the last one ended.
func changes(t *testing.T) {
	original := originalStack(t)
	values := map[string]any{}
	set := func(key string, value any) {
		values[key] = value
		change(t, original, values)
	}
	l := startLoad(t)
	l.during(t, "nothing", func() { time.Sleep(5 * time.Second) })

	l.during(t, "configuration of the page", func() { set("pageTitle", "Changed") })
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
	l.during(t, "configuration of the API, and the page's again", func() { set("apiLogLevel", "warn") })
	for key, value := range map[string]string{"apiMemory": "72Mi", "frontendMemory": "40Mi", "redisMemory": "112Mi", "redisMaxMemory": "60Mi"} {
		l.during(t, key, func() { set(key, value) })
	}
	others := otherImages(t)
	for key, reference := range others {
		l.during(t, "another "+key, func() { set(key, reference) })
		if running := kubectl(t, "get", "pods", "--namespace", world.outputs.Namespace, "--output", "jsonpath={..image}"); !strings.Contains(running, reference) {
			t.Errorf("no pod runs %s:\n%s", reference, running)
		}
	}

	first := secretName(t)
	l.during(t, "another password", func() { set("redisPasswordVersion", 2) })
	second := secretName(t)
	if second == first {
		t.Errorf("the API still has the password of %s", first)
	}
	if !accepted(t, first) || !accepted(t, second) {
		t.Error("Redis does not accept the password before and the current one")
	}
	l.during(t, "a third password", func() { set("redisPasswordVersion", 3) })
	if accepted(t, first) || !accepted(t, second) {
		t.Error("Redis accepts the password before the last one, or not the last one")
	}

	for _, broken := range []struct {
		what   string
		values map[string]any
		reason string
	}{
		{"a page of an image that does not exist", map[string]any{"frontendImage": "journal.example.com/journal-web:v9.9.8-0000000"}, "ImagePull"},
		{"a page whose program ends at once", map[string]any{"frontendImage": others["apiImage"]}, "CrashLoopBackOff"},
		{"a Redis of an image that does not exist", map[string]any{"redisImage": "journal.example.com/redis:9.9.8", "redisPasswordVersion": 4}, "ImagePull"},
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
	l.during(t, "a fifth password, after the fourth has reached no API", func() { set("redisPasswordVersion", 5) })
	l.during(t, "everything as it was at first", func() {
		if _, err := upFrom(t.Context(), original); err != nil {
			t.Error(err)
		}
		rolledOut(t)
	})
	noSecretInPlainText(t)
}

// readOnly has no load: its writers would be refused.
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

// otherImages gives the node a second image of each part, whose content differs, and returns their references by their keys in
// the configuration. The kubelet collects them when the disk is full, as it does with all images that no pod has.
func otherImages(t *testing.T) map[string]string {
	t.Helper()
	built, err := images.Build(t.Context(), repository(t), world.dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	others := map[string]string{"apiImage": "journal-api:v9.9.9-0000000", "frontendImage": "journal-web:v9.9.9-0000000", "redisImage": "redis:9.9.9"}
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

// with returns a folder with a stack whose keys have these values.
func with(t *testing.T, original string, values map[string]any) string {
	t.Helper()
	return changedStackOf(t, original, func(config map[string]any) {
		for key, value := range values {
			config["journal:"+key] = value
		}
	})
}

// change brings up the stack with other values, and waits until all pods have them.
func change(t *testing.T, original string, values map[string]any) {
	t.Helper()
	if _, err := upFrom(t.Context(), with(t, original, values)); err != nil {
		t.Error(err)
	}
	rolledOut(t)
}

// rolledOut returns when the pods are those that are declared.
func rolledOut(t *testing.T) {
	t.Helper()
	for _, workload := range []string{"statefulset/redis", "deployment/api", "deployment/frontend"} {
		kubectl(t, "rollout", "status", workload, "--namespace", world.outputs.Namespace, "--timeout=150s")
	}
}

// settings are the page's, as a browser reads them.
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

// secretName is the Secret whose password the API has.
func secretName(t *testing.T) string {
	t.Helper()
	return kubectl(t, "get", "deployment", "api", "--namespace", world.outputs.Namespace, "--output",
		"jsonpath={.spec.template.spec.volumes[*].projected.sources[0].secret.name}")
}

// accepted says whether the primary accepts the password of a Secret. It goes in by standard input.
func accepted(t *testing.T, secret string) bool {
	t.Helper()
	encoded := kubectl(t, "get", "secret", secret, "--namespace", world.outputs.Namespace, "--output", "jsonpath={.data.password}")
	answer, err := tryKubectl(encoded, "exec", "--stdin", "redis-0", "--namespace", world.outputs.Namespace, "--", "sh", "-c",
		`printf 'AUTH %s\nPING\n' "$(base64 -d)" | redis-cli`)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(answer, "PONG")
}
