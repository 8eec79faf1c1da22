// Package api holds the API types of the group journal.example.com: the NamespaceClaim, the Budget, and the names of the labels,
// annotations and finalizers that the controller sets on what it creates.
//
// The types mirror components/tenancy/claims/namespaceclaim.yaml and budget.yaml, which the stack applies; a test compares them.
package api

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and the version of the types of this package.
var GroupVersion = schema.GroupVersion{Group: "journal.example.com", Version: "v1alpha1"}

// The names that the stack and the controller write on namespaces, ConfigMaps and claims.
const (
	// LabelTenant says which tenant a namespace belongs to. The stack sets it on the namespaces that it declares, the
	// controller on claimed ones.
	LabelTenant = "journal.example.com/tenant"
	// LabelClaim is the name of the claim that a namespace was created for.
	LabelClaim = "journal.example.com/claim"
	// LabelClaimUID is the uid of that claim. The stack's admission policy lets the controller change no namespace without it.
	LabelClaimUID = "journal.example.com/claim-uid"
	// LabelSuspended is on the namespaces of suspended tenants. Its value is "true".
	LabelSuspended = "journal.example.com/suspended"
	// LabelClass is on a ConfigMap that describes a class, and says which class.
	LabelClass = "journal.example.com/class"

	// AnnotationOwner says who owns a namespace.
	AnnotationOwner = "journal.example.com/owner"
	// AnnotationContact says how to reach the owner.
	AnnotationContact = "journal.example.com/contact"
	// AnnotationTeam says which team a namespace belongs to.
	AnnotationTeam = "journal.example.com/team"
	// AnnotationPurpose says what a namespace is for.
	AnnotationPurpose = "journal.example.com/purpose"
	// AnnotationExpires says when a claimed namespace expires, in RFC 3339.
	AnnotationExpires = "journal.example.com/expires"
	// AnnotationHosts says which hosts the Ingresses of a namespace may use.
	AnnotationHosts = "journal.example.com/hosts"

	// NamespacePrefix begins the name of every claimed namespace, and of no tenant's.
	NamespacePrefix = "claim-"

	// Finalizer keeps a deleted claim until its namespace is deleted.
	Finalizer = "journal.example.com/namespace"
)

// Access says who has rights in a claimed namespace.
type Access string

// The values of Access.
const (
	// AccessOwner: the owner of the claim alone.
	AccessOwner Access = "Owner"
	// AccessTenant: the owner, and every member of the tenant with the role that they have there.
	AccessTenant Access = "Tenant"
)

// Phase is the state of a claim in one word.
type Phase string

// The phases of a claim.
const (
	// Pending: admitted or about to be, and the namespace is not ready yet.
	Pending Phase = "Pending"
	// Active: the namespace exists, with its policy objects.
	Active Phase = "Active"
	// Expiring: as Active, and the namespace expires soon.
	Expiring Phase = "Expiring"
	// Deleting: the namespace is being deleted.
	Deleting Phase = "Deleting"
	// Refused: the claim gets no namespace; the message says why. The controller decides again when there may be room.
	Refused Phase = "Refused"
)

// The conditions of a claim.
const (
	// ConditionReady is true when the namespace exists and its policy objects are applied.
	ConditionReady = "Ready"
	// ConditionExpiresSoon is true from the warning to the end.
	ConditionExpiresSoon = "ExpiresSoon"
)

// NamespaceClaim asks for a temporary namespace. It is in a namespace of the tenant whose share it uses.
type NamespaceClaim struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   NamespaceClaimSpec   `json:"spec"`
	Status NamespaceClaimStatus `json:"status,omitempty"`
}

// NamespaceClaimSpec is what the owner asks for.
type NamespaceClaimSpec struct {
	// Owner is the name of the user who creates the claim and owns the namespace. Only an owner of the tenant can change it, to an
	// owner or a developer of the tenant.
	Owner string `json:"owner"`
	// Access says who has rights in the namespace: its owner, or also the tenant's members. The default is AccessOwner.
	Access Access `json:"access,omitempty"`
	// Class is one of the stack's sizes. It cannot be changed.
	Class string `json:"class"`
	// TTL is the lifetime of the namespace, counted from the creation of the claim, such as "8h" or "1h30m". A change moves
	// the end, up to the stack's maximum. The default is the stack's.
	TTL string `json:"ttl,omitempty"`
	// Purpose says what the namespace is for.
	Purpose string `json:"purpose"`
}

// NamespaceClaimStatus is what the controller provides.
type NamespaceClaimStatus struct {
	// Namespace is the name of the namespace. The controller writes it before it creates the namespace; from then on the claim
	// counts against the tenant's share.
	Namespace string `json:"namespace,omitempty"`
	// NamespaceUID is the uid of the created namespace. The controller never deletes another one.
	NamespaceUID string `json:"namespaceUID,omitempty"`
	// ExpiresAt is the announced end.
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
	// Phase is the state of the claim in one word.
	Phase Phase `json:"phase,omitempty"`
	// Conditions are Ready and ExpiresSoon.
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Message describes the state of the claim in a sentence, and what to do about a problem.
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
	scheme.AddKnownTypes(GroupVersion, &NamespaceClaim{}, &NamespaceClaimList{}, &Budget{}, &BudgetList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
