// Package api holds the API types of the group journal.example.com: the NamespaceClaim, and the names of the labels,
// annotations and finalizers that the controller puts on what it makes.
//
// The types mirror components/tenancy/namespaceclaim.yaml, which the stack applies; a test compares the two.
package api

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and the version of the types of this package.
var GroupVersion = schema.GroupVersion{Group: "journal.example.com", Version: "v1alpha1"}

// What the stack and the controller write on namespaces, ConfigMaps and claims.
const (
	// LabelTenant says which tenant a namespace belongs to. The stack writes it on the namespaces that it makes, the
	// controller on those it makes for a claim.
	LabelTenant = "journal.example.com/tenant"
	// LabelClaim says the name of the claim that a namespace was made for.
	LabelClaim = "journal.example.com/claim"
	// LabelClaimUID says the uid of that claim. The stack's admission policy lets the controller touch no namespace
	// without it.
	LabelClaimUID = "journal.example.com/claim-uid"
	// LabelFence marks a ConfigMap that holds the fence of a class; its value is the class.
	LabelFence = "journal.example.com/fence"

	// AnnotationOwner says who owns a namespace.
	AnnotationOwner = "journal.example.com/owner"
	// AnnotationContact says how to reach the owner.
	AnnotationContact = "journal.example.com/contact"
	// AnnotationTeam says which team a namespace belongs to.
	AnnotationTeam = "journal.example.com/team"
	// AnnotationPurpose says what a namespace is for.
	AnnotationPurpose = "journal.example.com/purpose"
	// AnnotationExpires says when a claimed namespace ends, in RFC 3339.
	AnnotationExpires = "journal.example.com/expires"

	// Finalizer keeps a deleted claim until its namespace is gone.
	Finalizer = "journal.example.com/namespace"
)

// Phase says in one word where a claim stands.
type Phase string

// The phases of a claim.
const (
	// Pending: admitted or about to be, and the namespace is not ready yet.
	Pending Phase = "Pending"
	// Active: the namespace is there, behind its fence.
	Active Phase = "Active"
	// Expiring: as Active, and the end is near.
	Expiring Phase = "Expiring"
	// Deleting: the namespace is being deleted.
	Deleting Phase = "Deleting"
	// Refused: no namespace is given; the message says why. The claim is looked at again when there may be room.
	Refused Phase = "Refused"
)

// The conditions of a claim.
const (
	// ConditionReady is true when the namespace is there and its fence is applied.
	ConditionReady = "Ready"
	// ConditionExpiresSoon is true from the warning to the end.
	ConditionExpiresSoon = "ExpiresSoon"
)

// NamespaceClaim asks for a temporary namespace. It lives in a namespace of the tenant whose share it uses.
type NamespaceClaim struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   NamespaceClaimSpec   `json:"spec"`
	Status NamespaceClaimStatus `json:"status,omitempty"`
}

// NamespaceClaimSpec is what the owner asks for.
type NamespaceClaimSpec struct {
	// Owner is the user name of whoever asks, who becomes the owner of the namespace. It cannot be changed.
	Owner string `json:"owner"`
	// Class is one of the stack's sizes. It cannot be changed.
	Class string `json:"class"`
	// TTL is how long the namespace lives, counted from the creation of the claim, such as "8h" or "1h30m". It may be
	// changed: that moves the end, up to the stack's maximum. Empty means the stack's default.
	TTL string `json:"ttl,omitempty"`
	// Purpose says what the namespace is for.
	Purpose string `json:"purpose"`
}

// NamespaceClaimStatus is what the controller gave.
type NamespaceClaimStatus struct {
	// Namespace is the name of the namespace; it is written before the namespace is made, and from then on the claim
	// counts against the tenant's share.
	Namespace string `json:"namespace,omitempty"`
	// NamespaceUID is the uid of the namespace that was made: no other one is ever deleted.
	NamespaceUID string `json:"namespaceUID,omitempty"`
	// ExpiresAt is the end that was announced.
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
	// Phase says in one word where the claim stands.
	Phase Phase `json:"phase,omitempty"`
	// Conditions are Ready and ExpiresSoon.
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Message says in a sentence where the claim stands, and what to do when it stands badly.
	Message string `json:"message,omitempty"`
	// ObservedGeneration is the generation of the claim that this status is about.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// NamespaceClaimList is a list of claims.
type NamespaceClaimList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []NamespaceClaim `json:"items"`
}

// AddToScheme registers the types of this package.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &NamespaceClaim{}, &NamespaceClaimList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
