package api

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// DeepCopyInto writes a copy of the claim that shares nothing with it.
func (c *NamespaceClaim) DeepCopyInto(out *NamespaceClaim) {
	*out = *c
	c.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Status = *c.Status.DeepCopy()
}

// DeepCopy returns a copy of the claim that shares nothing with it.
func (c *NamespaceClaim) DeepCopy() *NamespaceClaim {
	out := &NamespaceClaim{}
	c.DeepCopyInto(out)
	return out
}

// DeepCopyObject returns a copy as runtime.Object wants it.
func (c *NamespaceClaim) DeepCopyObject() runtime.Object { return c.DeepCopy() }

// DeepCopy returns a copy of the status that shares nothing with it.
func (s *NamespaceClaimStatus) DeepCopy() *NamespaceClaimStatus {
	out := *s
	out.ExpiresAt = s.ExpiresAt.DeepCopy()
	if s.Conditions != nil {
		out.Conditions = make([]metav1.Condition, len(s.Conditions))
		for i := range s.Conditions {
			s.Conditions[i].DeepCopyInto(&out.Conditions[i])
		}
	}
	return &out
}

// DeepCopyInto writes a copy of the list that shares nothing with it.
func (l *NamespaceClaimList) DeepCopyInto(out *NamespaceClaimList) {
	*out = *l
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	if l.Items != nil {
		out.Items = make([]NamespaceClaim, len(l.Items))
		for i := range l.Items {
			l.Items[i].DeepCopyInto(&out.Items[i])
		}
	}
}

// DeepCopyObject returns a copy as runtime.Object wants it.
func (l *NamespaceClaimList) DeepCopyObject() runtime.Object {
	out := &NamespaceClaimList{}
	l.DeepCopyInto(out)
	return out
}
