package tenancy

// The names that the programs in the cluster, their users and the tests rely on.
const (
	// Group is the API group of the claims, and the prefix of all labels and annotations.
	Group = "journal.example.com"
	// PlatformNamespace is the namespace of the controller of claims and of the list of users.
	PlatformNamespace = "journal-platform"

	// TenantLabel is on every namespace of a tenant, including claimed ones. Its value is the name of the tenant. The
	// admission policies and the NetworkPolicies select namespaces by it.
	TenantLabel = Group + "/tenant"
	// SuspendedLabel is on the namespaces of suspended tenants, with the value "true". The controller of claims deletes the pods
	// of a namespace that has it.
	SuspendedLabel = Group + "/suspended"
	// ClassLabel is on the ConfigMap that describes a class to the controller of claims. Its value is the name of the class.
	ClassLabel = Group + "/class"
	// ClaimUIDLabel is on claimed namespaces only. Its value is the UID of the claim.
	ClaimUIDLabel = Group + "/claim-uid"
	// ClaimLabel is on claimed namespaces only. Its value is the name of the claim.
	ClaimLabel = Group + "/claim"
	// ClaimFinalizer is on claims that have a namespace.
	ClaimFinalizer = Group + "/namespace"
	// ClaimPrefix begins the name of every claimed namespace. No tenant's name may begin with it.
	ClaimPrefix = "claim-"

	// OwnerAnnotation is on namespaces. Its value is the name of the owner.
	OwnerAnnotation = Group + "/owner"
	// ContactAnnotation says how to reach the owner.
	ContactAnnotation = Group + "/contact"
	// TeamAnnotation says which team the namespace belongs to.
	TeamAnnotation = Group + "/team"
	// PurposeAnnotation says what the namespace is for.
	PurposeAnnotation = Group + "/purpose"
	// ExpiresAnnotation is on claimed namespaces. Its value is the time at which the namespace is deleted.
	ExpiresAnnotation = Group + "/expires"
	// HostsAnnotation lists the hosts that the namespace's Ingresses and routes may use, with commas between them. A host that
	// begins with `*.` stands for every name below. A namespace without the annotation may use none.
	HostsAnnotation = Group + "/hosts"

	// LogRateAnnotation and LogBurstAnnotation are on the tenants' own namespaces in a stack that keeps logs. Their values are
	// the tenant's share, in bytes a second and in bytes.
	LogRateAnnotation  = Group + "/log-rate"
	LogBurstAnnotation = Group + "/log-burst"

	podSecurityReasonAnnotation = Group + "/pod-security-reason"

	// These annotations say what a namespace is allowed beyond the admission policies.
	certificatesAnnotation  = Group + "/certificates"
	tolerationsAnnotation   = Group + "/tolerations"
	priorityClassAnnotation = Group + "/priority-class"
)

// The labels of the ClusterRoles that the tenants' roles aggregate. Kubernetes' own labels would not do: the author of a CRD
// uses them to say who may read and write it, and a vendor's "edit" role can include Secrets or NetworkPolicies.
const (
	AggregateToViewer    = Group + "/aggregate-to-viewer"
	AggregateToDeveloper = Group + "/aggregate-to-developer"
	AggregateToOwner     = Group + "/aggregate-to-owner"
)
