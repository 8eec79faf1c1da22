package tenancy

import (
	"fmt"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/internal/admission"
	"example.com/journal/components/rules"
)

// AdmissionPoliciesArgs are the parameters of the admission policies.
type AdmissionPoliciesArgs struct {
	// TenantPriority is the highest priority that a tenant's pod may have: that of a pod without a PriorityClass. The default
	// is 0. In a cluster with a globalDefault PriorityClass, write the value of that class. It must be below the priority of
	// the journal's pods.
	TenantPriority int `json:"tenantPriority" minimum:"-2147483648" maximum:"899999"`
	// TokenAudiences are the audiences of the API server, as its flag --api-audiences or else --service-account-issuer says, if
	// they are others than the usual https://kubernetes.default.svc.cluster.local and https://kubernetes.default.svc. Tokens of
	// deployers are for these alone.
	TokenAudiences []string `json:"tokenAudiences"`
	// PodDefaults fills in the security context that the "restricted" Pod Security Standard asks for, where a tenant's pod or
	// workload states none, and keeps tokens of service accounts out of pods that do not ask for one. The default is true. Write
	// false for a cluster older than Kubernetes 1.36.
	PodDefaults *bool `json:"podDefaults"`
}

// AdmissionPolicies are the ValidatingAdmissionPolicies that restrict the content of tenants' objects, and the
// MutatingAdmissionPolicies that fill in defaults. RBAC says who may create an Ingress, but not with which hosts. The policies
// hold in the namespaces of all tenants, including claimed ones, and for everybody, including administrators, who are free only
// in NetworkPolicies. Annotations of a namespace say what its tenant is allowed beyond them.
// docs/security.md explains each policy.
type AdmissionPolicies struct {
	pulumi.ResourceState

	// Bindings are the policies' bindings. A policy takes effect once its binding exists.
	Bindings []pulumi.Resource
}

// Check returns every rule that the arguments break, or nothing.
func (args *AdmissionPoliciesArgs) Check() rules.Faults {
	f := rules.CheckTags(args)
	if args != nil {
		for i, audience := range args.TokenAudiences {
			if audience == "" || rules.CheckVisible(audience) != nil {
				f.Refuse(fmt.Sprintf("tokenAudiences[%d]", i), audience, "not an audience; write it as the API server's flag says, such as https://kubernetes.example.com")
			}
		}
	}
	return f
}

// FillsIn returns whether PodDefaults is on.
func (args *AdmissionPoliciesArgs) FillsIn() bool {
	return args.PodDefaults == nil || *args.PodDefaults
}

// NewAdmissionPolicies declares the admission policies. There is one set of them in a cluster.
func NewAdmissionPolicies(ctx *pulumi.Context, name string, args *AdmissionPoliciesArgs, opts ...pulumi.ResourceOption) (*AdmissionPolicies, error) {
	if err := args.Check().Err(); err != nil {
		return nil, fmt.Errorf("admission policies %q: %w", name, err)
	}
	var a AdmissionPoliciesArgs
	if args != nil {
		a = *args
	}
	r := &AdmissionPolicies{}
	if err := ctx.RegisterComponentResourceV2(admissionPoliciesType, name, pulumi.Map{"tenantPriority": pulumi.Int(a.TenantPriority)}, r, opts...); err != nil {
		return nil, err
	}
	for _, policy := range []admission.Policy{
		ingressPolicy(), routePolicy(), gatewayPolicy(), servicePolicy(), podPolicy(a.TenantPriority), podEndPolicy(), podSizePolicy(), volumePolicy(), finalizerPolicy(),
		networkPolicyPolicy(), tokenPolicy(a.TokenAudiences), tokenSecretPolicy(),
	} {
		policy.Namespaces = tenantNamespaces()
		policy.Bindings = []admission.Binding{{Actions: []string{"Deny", "Audit"}}}
		bindings, err := admission.Declare(ctx, policy, r)
		if err != nil {
			return nil, fmt.Errorf("admission policies %q: %w", name, err)
		}
		r.Bindings = append(r.Bindings, bindings...)
	}
	if a.FillsIn() {
		for _, mutation := range []admission.Mutation{podDefaults(), accountDefaults()} {
			binding, err := admission.DeclareMutation(ctx, mutation, r)
			if err != nil {
				return nil, fmt.Errorf("admission policies %q: %w", name, err)
			}
			r.Bindings = append(r.Bindings, binding)
		}
	}
	return r, ctx.RegisterResourceOutputs(r, pulumi.Map{})
}

// tenantNamespaces selects the namespaces of all tenants, including claimed ones.
func tenantNamespaces() metav1.LabelSelectorArgs {
	return metav1.LabelSelectorArgs{MatchExpressions: metav1.LabelSelectorRequirementArray{metav1.LabelSelectorRequirementArgs{
		Key: pulumi.String(TenantLabel), Operator: pulumi.String("Exists"),
	}}}
}

// namespaceAnnotation is the CEL expression for an annotation of the request's namespace, or the empty text. Annotations hold
// what one tenant is allowed, because tenants cannot write their namespaces.
func namespaceAnnotation(name string) string {
	return admission.Metadata("namespaceObject", "annotations", name)
}

// namespaceList is the CEL expression for the list in such an annotation.
func namespaceList(name string) string {
	return namespaceAnnotation(name) + `.split(",").filter(e, e != "")`
}

// sameSpec is the CEL expression that holds when an update changes neither the specification nor the annotations.
const sameSpec = `object.spec == oldObject.spec && object.metadata.?annotations.orValue({}) == oldObject.metadata.?annotations.orValue({})`

// podSpec is the CEL expression for the specification of a pod, or of the pods of a workload. It uses dyn because the API
// server checks the types of expressions and no single kind has all these fields.
func podSpec(object string) string {
	return fmt.Sprintf(`(dyn(%[1]s).kind == "Pod" ? dyn(%[1]s).spec : dyn(%[1]s).kind == "CronJob" ? dyn(%[1]s).spec.jobTemplate.spec.template.spec : dyn(%[1]s).spec.template.spec)`, object)
}

// podRequests are the requests that create or update pods and the workloads that make pods.
func podRequests(subresources ...string) admissionv1.NamedRuleWithOperationsArray {
	return admissionv1.NamedRuleWithOperationsArray{
		admission.Requests("", "v1", admission.CreateUpdate, append([]string{"pods", "replicationcontrollers"}, subresources...)...),
		admission.Requests("apps", "v1", admission.CreateUpdate, "deployments", "statefulsets", "daemonsets", "replicasets"),
		admission.Requests("batch", "v1", admission.CreateUpdate, "jobs", "cronjobs"),
	}
}
