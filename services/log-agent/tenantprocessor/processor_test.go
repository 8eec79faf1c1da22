package tenantprocessor

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
)

// start is the time of every test's clock.
var start = time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)

// world is a processor with a cluster that is not there, and a clock that stands.
type world struct {
	t         *testing.T
	cluster   *fake.FakeMetadataClient
	sent      *consumertest.LogsSink
	telemetry *componenttest.Telemetry
	processor *tenants

	mu   sync.Mutex
	time time.Time
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
}

// newWorld returns a world in which the processor has started. Its pods come by the first list alone, not by watching.
func newWorld(t *testing.T, objects ...runtime.Object) *world {
	t.Helper()
	scheme := fake.NewTestScheme()
	require.NoError(t, metav1.AddMetaToScheme(scheme))
	w := &world{t: t, sent: new(consumertest.LogsSink), telemetry: componenttest.NewTelemetry(), time: start}
	w.cluster = fake.NewSimpleMetadataClient(scheme, objects...)
	w.cluster.PrependWatchReactor("pods", func(clienttesting.Action) (bool, watch.Interface, error) {
		return true, watch.NewFake(), nil
	})
	w.restart(w.sent)
	return w
}

// restart starts a new processor in the same cluster.
func (w *world) restart(next consumer.Logs) {
	w.t.Helper()
	var err error
	config := &Config{Node: "node", PlatformRate: 740, PlatformBurst: 7400}
	require.NoError(w.t, config.Validate())
	w.processor, err = newProcessor(w.telemetry.NewTelemetrySettings(), config, w.cluster, next, w.now)
	require.NoError(w.t, err)
	require.NoError(w.t, w.processor.Start(w.t.Context(), nil))
	processor := w.processor
	w.t.Cleanup(func() { _ = processor.Shutdown(context.Background()) })
}

// line is the file of a container, and a text in it.
type line struct{ namespace, pod, uid, text string }

// logs are lines as the receiver hands them on.
func (l line) logs() plog.Logs {
	logs := plog.NewLogs()
	resource := logs.ResourceLogs().AppendEmpty()
	attributes := resource.Resource().Attributes()
	attributes.PutStr(namespaceAttribute, l.namespace)
	attributes.PutStr(podAttribute, l.pod)
	attributes.PutStr(containerAttribute, "main")
	attributes.PutStr(uidAttribute, l.uid)
	attributes.PutStr("k8s.container.restart_count", "3")
	record := resource.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	record.Body().SetStr(l.text)
	record.Attributes().PutStr("log.file.path", "/var/log/pods/…")
	record.Attributes().PutStr("logtag", "F")
	record.Attributes().PutStr(streamAttribute, "stdout")
	return logs
}

// send sends a line, and returns what has left the processor for it.
func (w *world) send(l line) (streams []map[string]any, texts []string) {
	w.t.Helper()
	w.sent.Reset()
	require.NoError(w.t, w.processor.ConsumeLogs(w.t.Context(), l.logs()))
	return w.left()
}

func (w *world) left() (streams []map[string]any, texts []string) {
	for _, logs := range w.sent.AllLogs() {
		for _, resource := range logs.ResourceLogs().All() {
			for _, scope := range resource.ScopeLogs().All() {
				for _, record := range scope.LogRecords().All() {
					streams = append(streams, resource.Resource().Attributes().AsRaw())
					texts = append(texts, record.Body().AsString())
				}
			}
		}
	}
	return streams, texts
}

// tenant sends a line, and returns the tenant that it gets.
func (w *world) tenant(l line) string {
	w.t.Helper()
	streams, _ := w.send(l)
	require.Len(w.t, streams, 1)
	return streams[0][tenantAttribute].(string)
}

// figures returns a counter by namespace.
func (w *world) figures(name string) map[string]int64 {
	all := map[string]int64{}
	if found, err := w.telemetry.GetMetric(name); err == nil {
		for _, point := range found.Data.(metricdata.Sum[int64]).DataPoints {
			namespace, _ := point.Attributes.Value("namespace")
			all[namespace.AsString()] = point.Value
		}
	}
	return all
}

// dropped returns the counter of dropped lines of a namespace.
func (w *world) dropped(namespace string) int64 {
	return w.figures("journal_log_dropped_lines")[namespace]
}

func aPod(namespace, name, uid string, labels map[string]string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: types.UID(uid), Labels: labels, CreationTimestamp: metav1.NewTime(start.Add(-time.Hour)),
		},
	}
}

func aNamespace(name, tenant string, annotations map[string]string) *metav1.PartialObjectMetadata {
	n := &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID(name + " of " + tenant), Annotations: annotations,
			CreationTimestamp: metav1.NewTime(start.Add(-2 * time.Hour)),
		},
	}
	if tenant != "" {
		n.Labels = map[string]string{tenantLabel: tenant}
	}
	return n
}

func (w *world) replaceNamespace(name string, by *metav1.PartialObjectMetadata) {
	w.t.Helper()
	require.NoError(w.t, w.cluster.Tracker().Delete(namespaceResource, "", name))
	if by != nil {
		require.NoError(w.t, w.cluster.Tracker().Create(namespaceResource, by, ""))
	}
}

func TestAStaticPodIsThePlatformsByTheHashOfItsManifestAndATenantHasNone(t *testing.T) {
	mirrored := func(namespace, name string) *metav1.PartialObjectMetadata {
		mirror := aPod(namespace, name, "uid-of-"+name, map[string]string{"app": "etcd"})
		mirror.Annotations = map[string]string{"kubernetes.io/config.mirror": "hash"}
		return mirror
	}
	w := newWorld(t, aNamespace("kube-system", "", nil), aNamespace("bob", "bob", nil), mirrored("kube-system", "etcd"), mirrored("bob", "forged"))
	streams, _ := w.send(line{"kube-system", "etcd", "hash", "started"})
	assert.Equal(t, "etcd", streams[0]["app"])
	assert.Equal(t, "-", streams[0]["tenant"])
	streams, _ = w.send(line{"bob", "forged", "hash", "of another pod"})
	assert.Equal(t, "-", streams[0]["tenant"])
}

func TestALineLeavesWithItsPodItsApplicationAndItsTenantAndNothingElse(t *testing.T) {
	w := newWorld(t, aNamespace("claimed", "alice", nil), aNamespace("system", "", nil),
		aPod("claimed", "api-1", "1", map[string]string{"app.kubernetes.io/name": "api", "app": "other"}),
		aPod("claimed", "web-1", "2", map[string]string{"app": "web"}),
		aPod("system", "dns-1", "3", nil))
	streams, _ := w.send(line{"claimed", "api-1", "1", "x"})
	require.Len(t, streams, 1)
	assert.Equal(t, map[string]any{
		"k8s.namespace.name": "claimed", "k8s.pod.name": "api-1", "k8s.container.name": "main", "app": "api", "tenant": "alice",
	}, streams[0], "each other attribute would split the stream")
	record := w.sent.AllLogs()[0].ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
	assert.Equal(t, map[string]any{"log.iostream": "stdout"}, record.Attributes().AsRaw())
	streams, _ = w.send(line{"claimed", "web-1", "2", "x"})
	assert.Equal(t, "web", streams[0]["app"])
	streams, _ = w.send(line{"system", "dns-1", "3", "x"})
	assert.Equal(t, []any{"", "-"}, []any{streams[0]["app"], streams[0]["tenant"]})
}

func TestAFileThatNamesNoPodIsNobodys(t *testing.T) {
	w := newWorld(t, aNamespace("alice", "alice", nil), aPod("alice", "api-1", "1", nil))
	logs := line{}.logs()
	attributes := logs.ResourceLogs().At(0).Resource().Attributes()
	attributes.Clear()
	attributes.PutStr("tenant", "alice")
	require.NoError(t, w.processor.ConsumeLogs(t.Context(), logs))
	streams, texts := w.left()
	require.Len(t, texts, 1, "it must not be lost")
	assert.Equal(t, map[string]any{
		"k8s.namespace.name": "", "k8s.pod.name": "", "k8s.container.name": "", "app": "", "tenant": "-",
	}, streams[0])
}

func TestLateLinesOfADeletedNamespaceDoNotGoToTheTenantThatTookItsName(t *testing.T) {
	w := newWorld(t, aNamespace("shared-name", "bob", nil), aPod("shared-name", "api-1", "1", nil))
	late := line{"shared-name", "api-1", "1", "bob's secret"}
	require.Equal(t, "bob", w.tenant(late))

	require.NoError(t, w.cluster.Tracker().Delete(podResource, "shared-name", "api-1"))
	w.replaceNamespace("shared-name", aNamespace("shared-name", "alice", nil))
	require.NoError(t, w.cluster.Tracker().Create(podResource, aPod("shared-name", "api-1", "2", nil), "shared-name"))
	assert.Equal(t, "bob", w.tenant(late), "the pod is known by its UID")
	assert.Equal(t, "alice", w.tenant(line{"shared-name", "api-1", "2", "alice's"}))

	w.restart(w.sent)
	assert.Equal(t, "-", w.tenant(late), "after a restart nobody knows whose it was")
}

func TestANamespaceThatIsYoungerThanThePodIsNotItsOwn(t *testing.T) {
	younger := aNamespace("shared-name", "alice", nil)
	younger.CreationTimestamp = metav1.NewTime(start)
	w := newWorld(t, younger, aPod("shared-name", "api-1", "1", nil))
	assert.Equal(t, "-", w.tenant(line{"shared-name", "api-1", "1", "bob's secret"}))
}

func TestAPodIsForgottenSomeMinutesAfterItIsDeleted(t *testing.T) {
	w := newWorld(t, aNamespace("alice", "alice", nil), aPod("alice", "api-1", "1", nil))
	gone := aPod("alice", "api-1", "1", nil)
	require.NoError(t, w.cluster.Tracker().Delete(podResource, "alice", "api-1"))
	require.NoError(t, w.processor.pods.informer.GetStore().Delete(gone))
	w.processor.pods.deleted(gone)
	w.pass(keepPods - time.Second)
	w.processor.pods.forget()
	assert.Equal(t, "alice", w.tenant(line{"alice", "api-1", "1", "late"}))
	w.pass(time.Minute)
	w.processor.pods.forget()
	assert.Empty(t, w.processor.pods.owners)
	assert.Equal(t, "-", w.tenant(line{"alice", "api-1", "1", "too late"}))
}

func TestAPodWhoseEventHasNotComeIsAskedForOnce(t *testing.T) {
	w := newWorld(t, aNamespace("alice", "alice", nil))
	require.NoError(t, w.cluster.Tracker().Create(podResource, aPod("alice", "api-1", "1", nil), "alice"))
	w.cluster.ClearActions()
	for range 3 {
		assert.Equal(t, "alice", w.tenant(line{"alice", "api-1", "1", "x"}))
	}
	assert.Len(t, w.cluster.Actions(), 2, "the pod and its namespace")

	w.cluster.ClearActions()
	for range 3 {
		assert.Equal(t, "-", w.tenant(line{"alice", "api-1", "another", "x"}), "the name of a pod is not enough")
	}
	assert.Len(t, w.cluster.Actions(), 1)
	w.pass(keepStrangers + time.Second)
	assert.Equal(t, "-", w.tenant(line{"alice", "api-1", "another", "x"}))
	assert.Len(t, w.cluster.Actions(), 2, "asked for again")
}

func TestLinesWaitForTheAPIServerAndAreNobodysAfterAWhile(t *testing.T) {
	w := newWorld(t, aNamespace("alice", "alice", nil), aPod("alice", "known", "1", nil))
	away := true
	w.cluster.PrependReactor("*", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		return away, nil, errors.New("the API server is away")
	})
	assert.Equal(t, "alice", w.tenant(line{"alice", "known", "1", "x"}), "nobody has to be asked")
	unknown := line{"alice", "new", "2", "x"}
	logs := unknown.logs()
	err := w.processor.ConsumeLogs(t.Context(), logs)
	require.ErrorContains(t, err, "pod new in alice: its tenant is not known yet")
	assert.False(t, consumererror.IsPermanent(err), "the receiver must try again")
	assert.Equal(t, unknown.logs(), logs, "and with the same")

	w.pass(patience)
	assert.Equal(t, "-", w.tenant(unknown), "the other tenants' lines wait behind this one")
	away = false
	w.pass(keepStrangers + time.Second)
	require.NoError(t, w.cluster.Tracker().Create(podResource, aPod("alice", "new", "2", nil), "alice"))
	assert.Equal(t, "alice", w.tenant(unknown))
}

func TestWhatTheQueueRefusesIsNotTriedAgain(t *testing.T) {
	w := newWorld(t, aNamespace("alice", "alice", nil), aPod("alice", "api-1", "1", nil))
	w.restart(consumertest.NewErr(errors.New("the queue is full")))
	err := w.processor.ConsumeLogs(t.Context(), line{"alice", "api-1", "1", "x"}.logs())
	require.ErrorContains(t, err, "the queue is full")
	assert.True(t, consumererror.IsPermanent(err))
}

func TestAConfigurationIsRefusedWithAllItsFaults(t *testing.T) {
	assert.EqualError(t, (&Config{}).Validate(), `node "": must be the name of the node; set NODE_NAME to spec.nodeName
platform_rate 0: must be at least 1 byte per second; set PLATFORM_RATE
platform_burst 0: must be at least 1 byte; set PLATFORM_BURST`)
}
