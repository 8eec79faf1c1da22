package tenantprocessor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// small is a share of a tenant in which one line of ten bytes fits.
var small = map[string]string{rateAnnotation: "1", burstAnnotation: "74"}

// untilNamespace waits until the processor has heard which namespace has a name. An empty UID means that none has it.
func (w *world) untilNamespace(name, uid string) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		object, found, _ := w.processor.pods.namespaces.GetStore().GetByKey(name)
		if !found {
			return uid == ""
		}
		return string(object.(*metav1.PartialObjectMetadata).UID) == uid
	}, time.Minute, time.Millisecond)
}

// newReusedWorld returns a world in which bob has dropped nine lines in a namespace whose name alice took afterwards, and two lines in
// his home. It also returns a line of bob's pod, and one of alice's.
func newReusedWorld(t *testing.T) (w *world, bobs, alices line) {
	t.Helper()
	w = newWorld(t, aNamespace("bob", "bob", small), aNamespace("alice", "alice", small), aNamespace("reused", "bob", nil),
		aPod("bob", "home", "1", nil), aPod("reused", "api", "2", nil))
	bobs = line{namespace: "reused", pod: "api", uid: "2"}
	alices = line{namespace: "reused", pod: "api", uid: "3"}
	w.flood(bobs, 10)
	w.flood(line{namespace: "bob", pod: "home", uid: "1"}, 2)
	require.Equal(t, map[string]int64{"reused": 9, "bob": 2}, w.figures("journal_log_dropped_lines"))
	require.Equal(t, map[string]int64{"reused": 90, "bob": 20}, w.figures("journal_log_dropped_bytes"))

	require.NoError(t, w.cluster.Tracker().Delete(podResource, "reused", "api"))
	require.NoError(t, w.cluster.Tracker().Delete(namespaceResource, "", "reused"))
	w.untilNamespace("reused", "")
	return w, bobs, alices
}

// reuse makes alice's namespace of the name.
func (w *world) reuse() {
	w.t.Helper()
	again := aNamespace("reused", "alice", nil)
	require.NoError(w.t, w.cluster.Tracker().Create(namespaceResource, again, ""))
	require.NoError(w.t, w.cluster.Tracker().Create(podResource, aPod("reused", "api", "3", nil), "reused"))
	w.untilNamespace("reused", string(again.UID))
}

func TestTheCountOfANamespaceEndsWithItAndANewOneOfItsNameBeginsAtZero(t *testing.T) {
	w, bobs, alices := newReusedWorld(t)
	assert.Equal(t, map[string]int64{"bob": 2}, w.figures("journal_log_dropped_lines"), "what is gone has no series")
	w.reuse()
	assert.Equal(t, map[string]int64{"bob": 2}, w.figures("journal_log_dropped_lines"), "alice has dropped nothing")
	assert.Equal(t, 1, w.flood(alices, 4))
	assert.Equal(t, map[string]int64{"bob": 2, "reused": 3}, w.figures("journal_log_dropped_lines"))
	w.flood(bobs, 5)
	assert.Equal(t, map[string]int64{"bob": 2, "reused": 3, "": 5}, w.figures("journal_log_dropped_lines"),
		"bob's late lines are counted, and not as alice's")
	assert.Equal(t, map[string]int64{"bob": 20, "reused": 30, "": 50}, w.figures("journal_log_dropped_bytes"))
}

func TestTheCountOfANamespaceIsForgottenAlsoWhenItsNameIsTakenBeforeAnybodyReads(t *testing.T) {
	w, _, _ := newReusedWorld(t)
	w.reuse()
	assert.NotContains(t, w.processor.drops.current(), space{"reused", "reused of bob"})
	assert.Len(t, w.processor.drops.amounts, 1, "only bob's home is left")
}

func TestLinesOfAPodThatNobodyKnowsAreCountedForNoNamespace(t *testing.T) {
	w := newWorld(t, aNamespace("alice", "alice", small))
	stranger := line{namespace: "alice", pod: "api", uid: "of before the agent started"}
	assert.Equal(t, 100, w.flood(stranger, 103), "they have the platform's share")
	assert.Equal(t, map[string]int64{"": 3}, w.figures("journal_log_dropped_lines"))
}

func TestANoteTellsAnOwnerNothingOfAnEarlierNamespaceOfItsName(t *testing.T) {
	w, _, alices := newReusedWorld(t)
	w.reuse()
	w.flood(alices, 4)
	w.sent.Reset()
	w.processor.note(t.Context())
	streams, texts := w.left()
	require.Len(t, texts, 3, "bob's two namespaces, and alice's")
	for i, stream := range streams {
		if stream[tenantAttribute] == "alice" {
			assert.Contains(t, texts[i], "dropped 3 lines (30 bytes) of namespace reused: tenant alice may log")
		} else {
			assert.NotContains(t, texts[i], "alice")
		}
	}
}

func TestAProcessorThatHasEndedServesNoCounts(t *testing.T) {
	w, _, _ := newReusedWorld(t)
	require.NoError(t, w.processor.Shutdown(t.Context()))
	assert.Empty(t, w.figures("journal_log_dropped_lines"))
}
