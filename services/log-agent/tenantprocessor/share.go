package tenantprocessor

import (
	"cmp"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// The annotations of a tenant's home namespace with its share of each node: bytes of text per second, and bytes at once.
const (
	rateAnnotation  = "journal.example.com/log-rate"
	burstAnnotation = "journal.example.com/log-burst"
)

// shares gives each tenant a bucket of bytes for all its namespaces together. What does not fit in is dropped.
type shares struct {
	namespaces  cache.Store
	rate, burst int64 // the platform's
	now         func() time.Time

	mu      sync.Mutex
	buckets map[string]*rate.Limiter // by tenant
}

// bucket returns the bucket of a tenant, with the size that the tenant's home namespace says now.
func (s *shares) bucket(tenant string) *rate.Limiter {
	perSecond, burst := s.size(tenant)
	s.mu.Lock()
	defer s.mu.Unlock()
	bucket := s.buckets[tenant]
	if bucket == nil {
		bucket = rate.NewLimiter(rate.Limit(perSecond), burst)
		s.buckets[tenant] = bucket
	}
	if bucket.Limit() != rate.Limit(perSecond) {
		bucket.SetLimitAt(s.now(), rate.Limit(perSecond))
	}
	if bucket.Burst() != burst {
		bucket.SetBurstAt(s.now(), burst)
	}
	return bucket
}

// size returns the rate and the burst of a tenant. They stand on the namespace that has the tenant's name and its label; a
// tenant without them has as much as the platform.
func (s *shares) size(tenant string) (perSecond int64, burst int) {
	object, _, _ := s.namespaces.GetByKey(tenant) // the store of an informer returns no error
	if home, found := object.(*metav1.PartialObjectMetadata); found && home.Labels[tenantLabel] == tenant {
		perSecond = positive(home.Annotations[rateAnnotation])
		burst = int(positive(home.Annotations[burstAnnotation]))
	}
	return cmp.Or(perSecond, s.rate), cmp.Or(burst, int(s.burst))
}

// positive returns a whole number above 0, and 0 for everything else.
func positive(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return max(n, 0)
}
