// Package tenancy declares a cluster that many teams share without getting into each other's way.
//
// A Tenant is one namespace with a fence around it: quota, limits, network policies and the rights of its people. Roles
// are what those rights are, ImagePolicy refuses images that can change, and Claims lets developers ask for temporary
// namespaces, which a controller in the Platform's namespace fences by the very same objects.
//
// As in the other packages, parameters are plain Go values that are checked before anything is created, and nothing
// here reads configuration. The types of the parameters have the JSON form that a stack's configuration is written in.
package tenancy

// The types of the components, as `pulumi stack` shows them.
const (
	tenantType      = "journal:components:Tenant"
	rolesType       = "journal:components:Roles"
	imagePolicyType = "journal:components:ImagePolicy"
	platformType    = "journal:components:Platform"
	claimsType      = "journal:components:Claims"
)

// Names that the programs in the cluster, their users and the tests go by.
const (
	// Group is the API group of the claims, and the prefix of all labels and annotations.
	Group = "journal.example.com"
	// PlatformNamespace is where the controller, the directory and the ledger are.
	PlatformNamespace = "journal-platform"

	// TenantLabel is on the namespaces of a tenant, claimed ones too, and says which. It is what the image policy and
	// the fence select by.
	TenantLabel = Group + "/tenant"
	// FenceLabel is on the ConfigMap with the fence of a class, and says which.
	FenceLabel = Group + "/fence"
	// ClaimUIDLabel is on claimed namespaces alone.
	ClaimUIDLabel = Group + "/claim-uid"
	// ClaimFinalizer is on claims that have a namespace.
	ClaimFinalizer = Group + "/namespace"

	ownerAnnotation   = Group + "/owner"
	contactAnnotation = Group + "/contact"
	teamAnnotation    = Group + "/team"
	purposeAnnotation = Group + "/purpose"

	podSecurityReasonAnnotation = Group + "/pod-security-reason"
)
