package tenantprocessor

import (
	"context"
	"errors"
	"maps"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// space identifies one namespace for all time. Its UID is empty if nobody knows which namespace of the name it is.
type space struct{ name, uid string }

// amount is how much was dropped.
type amount struct{ lines, bytes int64 }

// drops serves what was dropped of each namespace that exists. Figures know a namespace by its name alone, and are read by whoever
// has the name now. So a namespace that is gone takes its count with it, and a new one of its name begins at 0.
type drops struct {
	namespaces cache.Store

	mu      sync.Mutex
	amounts map[space]amount // the empty one has what belongs to no namespace that exists
}

// serve makes the counters, and returns what ends them.
func (d *drops) serve(meter metric.Meter) (metric.Registration, error) {
	lines, failedLines := meter.Int64ObservableCounter("journal_log_dropped_lines",
		metric.WithDescription("Lines of a namespace that were over the share of its tenant on this node."))
	bytes, failedBytes := meter.Int64ObservableCounter("journal_log_dropped_bytes",
		metric.WithDescription("Bytes of text of a namespace that were over the share of its tenant on this node."))
	if err := errors.Join(failedLines, failedBytes); err != nil {
		return nil, err
	}
	return meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		for of, sum := range d.current() {
			label := metric.WithAttributes(attribute.String("namespace", of.name))
			to.ObserveInt64(lines, sum.lines, label)
			to.ObserveInt64(bytes, sum.bytes, label)
		}
		return nil
	}, lines, bytes)
}

// add counts what was dropped of a namespace. Late lines of one that is gone are nobody's.
func (d *drops) add(of space, more amount) {
	if !d.exists(of) {
		of = space{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	sum := d.amounts[of]
	d.amounts[of] = amount{sum.lines + more.lines, sum.bytes + more.bytes}
}

// current forgets the namespaces that are gone, and returns what was dropped of the others.
func (d *drops) current() map[space]amount {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.amounts, func(of space, _ amount) bool { return of != space{} && !d.exists(of) })
	return maps.Clone(d.amounts)
}

// exists says whether the namespace is the one that has its name now.
func (d *drops) exists(of space) bool {
	object, _, _ := d.namespaces.GetByKey(of.name) // the store of an informer returns no error
	now, found := object.(*metav1.PartialObjectMetadata)
	return found && of.uid != "" && string(now.UID) == of.uid
}
