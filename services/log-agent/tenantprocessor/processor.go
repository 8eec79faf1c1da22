package tenantprocessor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
	"k8s.io/client-go/metadata"
)

// The attributes of a resource that leave the processor. The store makes a stream of each set of them.
const (
	namespaceAttribute = "k8s.namespace.name"
	podAttribute       = "k8s.pod.name"
	containerAttribute = "k8s.container.name"
	appAttribute       = "app"
	tenantAttribute    = "tenant"

	// uidAttribute identifies the pod, and does not leave the processor: each restart of an application would be a new stream.
	uidAttribute = "k8s.pod.uid"
	// streamAttribute says whether a line came from standard output or from standard error. It is the only attribute of a line.
	streamAttribute = "log.iostream"
)

// lineCost is what a line takes of a share beside its text, in bytes, as it does in the queue and in the store. Without it, empty lines
// would be free.
const lineCost = 64

// noteEvery is how often a namespace is told that lines of it were dropped.
const noteEvery = 10 * time.Second

// tenants is the processor.
type tenants struct {
	next   consumer.Logs
	log    *zap.Logger
	now    func() time.Time
	pods   *pods
	shares *shares
	drops  *drops

	mu   sync.Mutex
	cuts map[space]*cut // since the last note

	figures metric.Registration
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// cut is what was dropped of one namespace.
type cut struct {
	amount
	tenant string
	bucket *rate.Limiter
	stream pcommon.Map // that of the pod that was cut last
}

func newProcessor(
	set component.TelemetrySettings, c *Config, client metadata.Interface, next consumer.Logs, now func() time.Time,
) (*tenants, error) {
	pods, err := newPods(client, c.Node, now, set.Logger)
	if err != nil {
		return nil, err
	}
	t := &tenants{
		next: next, log: set.Logger, now: now, pods: pods, cuts: map[space]*cut{},
		shares: &shares{
			namespaces: pods.namespaces.GetStore(), rate: c.PlatformRate, burst: c.PlatformBurst, now: now,
			buckets: map[string]*rate.Limiter{},
		},
		drops: &drops{namespaces: pods.namespaces.GetStore(), amounts: map[space]amount{}},
	}
	t.figures, err = t.drops.serve(set.MeterProvider.Meter("example.com/journal/services/log-agent/tenantprocessor"))
	return t, err
}

// Capabilities says that the processor changes what it gets.
func (*tenants) Capabilities() consumer.Capabilities { return consumer.Capabilities{MutatesData: true} }

// Start returns when the owners of all pods on the node are known. Until then no file is read.
func (t *tenants) Start(ctx context.Context, _ component.Host) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	t.stop = stop
	t.done.Go(func() { t.pods.run(running) })
	if err := t.pods.wait(ctx); err != nil {
		stop()
		return err
	}
	t.done.Go(func() {
		for ticker := time.NewTicker(noteEvery); ; {
			select {
			case <-running.Done():
				ticker.Stop()
				return
			case <-ticker.C:
				t.pods.forget()
				t.drops.current() // it forgets, also while nobody reads the figures
				t.note(running)
			}
		}
	})
	return nil
}

// Shutdown writes the notes that are due, and ends the watches.
func (t *tenants) Shutdown(ctx context.Context) error {
	if t.stop != nil {
		t.stop()
	}
	t.done.Wait()
	t.note(ctx)
	return t.figures.Unregister()
}

// ConsumeLogs marks the lines with their owners, drops those that are over a share, and sends the others. An error that is not
// permanent means that nothing was changed or sent, and that the caller should try again.
func (t *tenants) ConsumeLogs(ctx context.Context, logs plog.Logs) error {
	resources := logs.ResourceLogs()
	owners := make([]owner, resources.Len())
	for i := range owners {
		var err error
		if owners[i], err = t.pods.owner(ctx, podOf(resources.At(i).Resource().Attributes())); err != nil {
			return err
		}
	}
	next := 0
	resources.RemoveIf(func(lines plog.ResourceLogs) bool {
		o := owners[next]
		next++
		mark(lines.Resource().Attributes(), o)
		return t.fit(lines, o) == 0
	})
	if resources.Len() == 0 {
		return nil
	}
	if err := t.next.ConsumeLogs(ctx, logs); err != nil {
		// The queue is full, and counts what it does not take. To wait for it would only move the loss to the files, which nobody
		// counts, and would hold up all tenants.
		return consumererror.NewPermanent(err)
	}
	return nil
}

// podOf returns the pod that the path of a log file has named.
func podOf(attributes pcommon.Map) pod {
	return pod{text(attributes, namespaceAttribute), text(attributes, podAttribute), text(attributes, uidAttribute)}
}

func text(attributes pcommon.Map, name string) string {
	if value, found := attributes.Get(name); found {
		return value.AsString()
	}
	return ""
}

// mark leaves exactly the attributes of a stream.
func mark(attributes pcommon.Map, o owner) {
	attributes.RemoveIf(func(name string, _ pcommon.Value) bool {
		return name != namespaceAttribute && name != podAttribute && name != containerAttribute
	})
	for _, name := range []string{namespaceAttribute, podAttribute, containerAttribute} {
		if _, found := attributes.Get(name); !found {
			attributes.PutStr(name, "")
		}
	}
	attributes.PutStr(appAttribute, o.app)
	attributes.PutStr(tenantAttribute, o.tenant)
}

// fit removes the lines that are over the share of the tenant, and returns the number of those that stay.
func (t *tenants) fit(lines plog.ResourceLogs, o owner) (kept int) {
	bucket, now := t.shares.bucket(o.tenant), t.now()
	var dropped amount
	lines.ScopeLogs().RemoveIf(func(scope plog.ScopeLogs) bool {
		pcommon.NewInstrumentationScope().CopyTo(scope.Scope()) // the receiver's name would be stored with each line
		scope.LogRecords().RemoveIf(func(line plog.LogRecord) bool {
			size := len(line.Body().AsString())
			if !bucket.AllowN(now, size+lineCost) {
				dropped.lines++
				dropped.bytes += int64(size)
				return true
			}
			kept++
			if size == 0 {
				line.Body().SetStr(" ") // the store takes an empty text for a missing one
			}
			line.Attributes().RemoveIf(func(name string, _ pcommon.Value) bool { return name != streamAttribute })
			return false
		})
		return scope.LogRecords().Len() == 0
	})
	if dropped.lines > 0 {
		stream := lines.Resource().Attributes()
		t.count(space{text(stream, namespaceAttribute), o.namespace}, stream, cut{amount: dropped, tenant: o.tenant, bucket: bucket})
	}
	return kept
}

// count adds to the figures and to the next note of the namespace.
func (t *tenants) count(of space, stream pcommon.Map, c cut) {
	t.drops.add(of, c.amount)
	t.mu.Lock()
	defer t.mu.Unlock()
	if before := t.cuts[of]; before != nil {
		c.lines += before.lines
		c.bytes += before.bytes
	}
	c.stream = pcommon.NewMap()
	stream.CopyTo(c.stream)
	t.cuts[of] = &c
}

// note tells each namespace how many lines of it were dropped since the last note, as a line of the pod that was cut last.
func (t *tenants) note(ctx context.Context) {
	t.mu.Lock()
	cuts := t.cuts
	t.cuts = map[space]*cut{}
	t.mu.Unlock()
	if len(cuts) == 0 {
		return
	}
	logs, now := plog.NewLogs(), pcommon.NewTimestampFromTime(t.now())
	for of, c := range cuts {
		resource := logs.ResourceLogs().AppendEmpty()
		c.stream.CopyTo(resource.Resource().Attributes())
		line := resource.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		line.SetTimestamp(now)
		line.SetObservedTimestamp(now)
		line.Body().SetStr(fmt.Sprintf("log-agent: dropped %d lines (%d bytes) of namespace %s: "+
			"tenant %s may log %.0f bytes per second on a node, and %d at once",
			c.lines, c.bytes, of.name, c.tenant, float64(c.bucket.Limit()), c.bucket.Burst()))
	}
	if err := t.next.ConsumeLogs(ctx, logs); err != nil {
		t.log.Warn("a note on dropped lines was not sent", zap.Error(err))
	}
}
