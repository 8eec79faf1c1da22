package tenantprocessor

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// flood sends lines of ten bytes, of which each takes 74 of a share, and returns how many of them were sent on.
func (w *world) flood(l line, lines int) (kept int) {
	w.t.Helper()
	l.text = strings.Repeat("x", 10)
	for range lines {
		streams, _ := w.send(l)
		kept += len(streams)
	}
	return kept
}

func TestTheNamespacesOfATenantShareOneBucketAndLeaveTheOthersAlone(t *testing.T) {
	w := newWorld(t,
		aNamespace("bob", "bob", map[string]string{rateAnnotation: "370", burstAnnotation: "1480"}), aNamespace("bobs-claim", "bob", nil),
		aNamespace("alice", "alice", map[string]string{rateAnnotation: "370", burstAnnotation: "1480"}),
		aPod("bob", "a", "1", nil), aPod("bobs-claim", "b", "2", nil), aPod("alice", "c", "3", nil))
	assert.Equal(t, 20, w.flood(line{"bob", "a", "1", ""}, 100))
	assert.Equal(t, 0, w.flood(line{"bobs-claim", "b", "2", ""}, 7))
	assert.Equal(t, 20, w.flood(line{"alice", "c", "3", ""}, 20), "bob's flood is not alice's")
	assert.Equal(t, []int64{80, 7, 0}, []int64{w.dropped("bob"), w.dropped("bobs-claim"), w.dropped("alice")})
	w.pass(time.Second)
	assert.Equal(t, 5, w.flood(line{"bobs-claim", "b", "2", ""}, 10), "a second later there is room for five lines")
}

func TestAnEmptyLineCountsToo(t *testing.T) {
	w := newWorld(t, aNamespace("bob", "bob", map[string]string{rateAnnotation: "1", burstAnnotation: "640"}), aPod("bob", "a", "1", nil))
	kept := 0
	for range 15 {
		streams, _ := w.send(line{"bob", "a", "1", ""})
		kept += len(streams)
	}
	assert.Equal(t, 10, kept, "each takes 64 bytes of the queue")
}

func TestWithoutASizeOfItsOwnATenantHasAsMuchAsThePlatform(t *testing.T) {
	w := newWorld(t, aNamespace("bob", "bob", nil), aNamespace("system", "", nil), aNamespace("other", "", nil),
		aPod("bob", "a", "1", nil), aPod("system", "b", "2", nil), aPod("other", "c", "3", nil))
	assert.Equal(t, 100, w.flood(line{"bob", "a", "1", ""}, 120))
	assert.Equal(t, 60, w.flood(line{"system", "b", "2", ""}, 60))
	assert.Equal(t, 40, w.flood(line{"other", "c", "3", ""}, 60), "namespaces without a tenant share one bucket")
}

func TestOnlyTheHomeNamespaceSaysHowBigAShareIs(t *testing.T) {
	large := map[string]string{rateAnnotation: "740000", burstAnnotation: "740000"}
	for why, home := range map[string]struct{ name, tenant string }{
		"a claimed namespace": {"bobs-claim", "bob"}, "a namespace with the tenant's name that is another's": {"bob", "alice"},
	} {
		w := newWorld(t, aNamespace(home.name, home.tenant, large), aNamespace("elsewhere", "bob", nil), aPod("elsewhere", "a", "1", nil))
		assert.Equal(t, 100, w.flood(line{"elsewhere", "a", "1", ""}, 120), why)
	}
	for _, wrong := range []string{"1Mi", "-5", "0", ""} {
		w := newWorld(t, aNamespace("bob", "bob", map[string]string{burstAnnotation: wrong}), aPod("bob", "a", "1", nil))
		assert.Equal(t, 100, w.flood(line{"bob", "a", "1", ""}, 120), wrong)
	}
}

func TestANewSizeOfAShareCountsAtOnce(t *testing.T) {
	w := newWorld(t, aNamespace("bob", "bob", map[string]string{rateAnnotation: "74", burstAnnotation: "74"}), aPod("bob", "a", "1", nil))
	assert.Equal(t, 1, w.flood(line{"bob", "a", "1", ""}, 5))
	bigger := aNamespace("bob", "bob", map[string]string{rateAnnotation: "7400", burstAnnotation: "3700"})
	require.NoError(t, w.processor.pods.namespaces.GetStore().Update(bigger))
	w.pass(time.Second)
	assert.Equal(t, 50-49, w.flood(line{"bob", "a", "1", ""}, 1))
	w.pass(time.Second)
	assert.Equal(t, 50, w.flood(line{"bob", "a", "1", ""}, 80))
}

func TestANamespaceIsToldHowManyLinesWereDropped(t *testing.T) {
	w := newWorld(t, aNamespace("bob", "bob", map[string]string{rateAnnotation: "370", burstAnnotation: "1480"}),
		aPod("bob", "a", "1", map[string]string{"app": "api"}))
	w.flood(line{"bob", "a", "1", ""}, 30)
	w.sent.Reset()
	w.processor.note(t.Context())
	streams, texts := w.left()
	assert.Equal(t, []string{"log-agent: dropped 10 lines (100 bytes) of namespace bob: tenant bob may log 370 bytes per second on a node, and 1480 at once"}, texts)
	assert.Equal(t, []map[string]any{{
		"k8s.namespace.name": "bob", "k8s.pod.name": "a", "k8s.container.name": "main", "app": "api", "tenant": "bob",
	}}, streams, "where its owner reads it")
	w.sent.Reset()
	w.processor.note(t.Context())
	assert.Empty(t, w.sent.AllLogs(), "nothing was dropped since")
	w.flood(line{"bob", "a", "1", ""}, 2)
	w.sent.Reset()
	require.NoError(t, w.processor.Shutdown(t.Context()))
	_, texts = w.left()
	assert.Len(t, texts, 1, "the last note is not lost")
}
