// Package tenancy declares a cluster that many teams share without affecting each other.
//
// A Tenant is a person or a team with one namespace. The namespace has:
//
//   - labels and annotations that say whose it is, which Pod Security Standard it enforces, and what it is allowed beyond
//     the rules for all (names.go);
//   - the policy objects of its Class: a ResourceQuota, a LimitRange and NetworkPolicies (policyobjects.go). Kubernetes
//     calls them so: https://kubernetes.io/docs/concepts/policy/;
//   - the NetworkPolicies of its Egress, the ways out;
//   - RoleBindings that give its Members one of the Roles.
//
// The rest exists once in a cluster:
//
//   - Roles are the ClusterRoles that tenants bind: viewer, developer, owner.
//   - AdmissionPolicies, ImagePolicy and QuotaPolicy are ValidatingAdmissionPolicies. RBAC says who may create an Ingress;
//     they say what may stand in it.
//   - PullSecretPolicy is a MutatingAdmissionPolicy that adds the pull secret to pods.
//   - Platform is the namespace of what serves all tenants, with the list of all users.
//   - Package claims lets developers ask for temporary namespaces. Its controller gives such a namespace the same policy
//     objects as a Tenant of the same class has.
//
// A new rule about the objects of tenants goes into one of the files policy_*.go, a new size of namespace into class.go,
// and a new right of developers into roles.go.
//
// As in the other packages, arguments are plain Go values that are checked before anything is created, and nothing here reads
// configuration. A field that a stack's configuration may set says its name and its bounds in its tags; see package rules.
package tenancy

// The types of the components, as `pulumi stack` shows them.
const (
	tenantType            = "journal:components:Tenant"
	rolesType             = "journal:components:Roles"
	imagePolicyType       = "journal:components:ImagePolicy"
	quotaPolicyType       = "journal:components:QuotaPolicy"
	platformType          = "journal:components:Platform"
	admissionPoliciesType = "journal:components:AdmissionPolicies"
	pullSecretPolicyType  = "journal:components:PullSecretPolicy"
)
