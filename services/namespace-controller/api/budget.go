package api

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// BudgetName is the name of every Budget: a tenant has one, in its own namespace.
const BudgetName = "tenant"

// Budget says how much a tenant and its claims use and may use together. Only the controller writes it.
type Budget struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Status BudgetStatus `json:"status,omitempty"`
}

// Amounts are what one or more namespaces use and may use. Each is written used/hard, such as 1500m/4.
type Amounts struct {
	CPU          string `json:"cpu,omitempty"`
	Memory       string `json:"memory,omitempty"`
	Storage      string `json:"storage,omitempty"`
	Pods         string `json:"pods,omitempty"`
	Services     string `json:"services,omitempty"`
	VolumeClaims string `json:"volumeClaims,omitempty"`
}

// BudgetStatus is what a tenant and its claims use together, of the quota of the tenant's namespace and the share of its claims.
type BudgetStatus struct {
	Amounts `json:",inline"`
	// Claims is the number of claims that have a namespace, and of those that the tenant may have, such as 1/4.
	Claims string `json:"claims,omitempty"`
	// Suspended says whether the tenant is suspended.
	Suspended bool `json:"suspended,omitempty"`
	// Namespaces are the parts of the namespaces, the tenant's own first.
	Namespaces []NamespaceAmounts `json:"namespaces,omitempty"`
}

// NamespaceAmounts are what one namespace uses, of its own quota.
type NamespaceAmounts struct {
	Name    string `json:"name"`
	Amounts `json:",inline"`
}

// BudgetList is a list of budgets.
type BudgetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Budget `json:"items"`
}

// DeepCopyInto writes a copy of the budget that shares nothing with it.
func (b *Budget) DeepCopyInto(out *Budget) {
	*out = *b
	b.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Status.Namespaces = slices.Clone(b.Status.Namespaces)
}

// DeepCopyObject returns a copy as runtime.Object wants it.
func (b *Budget) DeepCopyObject() runtime.Object {
	out := &Budget{}
	b.DeepCopyInto(out)
	return out
}

// DeepCopyInto writes a copy of the list that shares nothing with it.
func (l *BudgetList) DeepCopyInto(out *BudgetList) {
	*out = *l
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	if l.Items != nil {
		out.Items = make([]Budget, len(l.Items))
		for i := range l.Items {
			l.Items[i].DeepCopyInto(&out.Items[i])
		}
	}
}

// DeepCopyObject returns a copy as runtime.Object wants it.
func (l *BudgetList) DeepCopyObject() runtime.Object {
	out := &BudgetList{}
	l.DeepCopyInto(out)
	return out
}
