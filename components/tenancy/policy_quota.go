package tenancy

import (
	"fmt"
	"strconv"
	"strings"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/internal/admission"
	"example.com/journal/components/kube"
)

// QuotaPolicyArgs are the parameters of the quota policy.
type QuotaPolicyArgs struct {
	// Namespaces are the stack's own, in which the policy refuses a workload that exceeds the quota. In other tenants' namespaces
	// it only warns, and the workload waits until the quota has room, as Kubernetes does without the policy.
	Namespaces []string `json:"-"`
}

// QuotaPolicy checks that a new or growing Deployment or StatefulSet fits into what its tenant's quota has left, and that no
// workload's pods exceed the limits of its namespace.
//
// Without it the API server accepts the workload and then refuses its pods, which only an event of the ReplicaSet shows. The
// rollout times out minutes later. The ReplicaSet retries ever less often, up to 15 minutes after there is room. A workload
// that is refused as a whole changes nothing, and the next update that fits starts at once.
type QuotaPolicy struct {
	pulumi.ResourceState
}

// The variables of the policy. Old pods count as long as they run, so their resources count as the workload's own.
var quotaVariables = []admission.Expression{
	{Name: "changed", CEL: `oldObject == null || object.spec.template != oldObject.spec.template`},
	// The API server sets omitted fields. A surge in percent counts as one pod.
	{Name: "surge", CEL: `oldObject == null || !variables.changed ? 0 :
		dyn(object.spec).?strategy.?rollingUpdate.?maxSurge.optMap(s, type(s) == int ? int(s) : 1).orValue(0)`},
	{Name: "pods", CEL: `double(object.spec.replicas + variables.surge)`},
	{Name: "oldPods", CEL: `oldObject == null ? 0.0 : double(oldObject.?status.?replicas.orValue(0) + oldObject.?status.?terminatingReplicas.orValue(0))`},
	{Name: "takes", CEL: takes("object", "variables.pods")},
	{Name: "took", CEL: `oldObject == null ? variables.takes.map(t, 0.0) : ` + takes("oldObject", "variables.oldPods")},
	{Name: "grows", CEL: `variables.changed || object.spec.replicas > oldObject.spec.replicas`},
	// What the whole namespace would use. The tolerance of a thousandth is for the rounding of numbers.
	{Name: "sums", CEL: fmt.Sprintf(`%s.map(i, %s - variables.took[i] + variables.takes[i])`, indices(), numberOf(`params.?status.?used[?`+quotaList()+`[i]]`))},
	{Name: "exceeded", CEL: fmt.Sprintf(`!variables.grows ? [] : %s.filter(i, %s[i] in params.spec.hard && variables.takes[i] > variables.took[i] - 0.0005 &&
		variables.sums[i] > quantity(string(params.spec.hard[%s[i]])).asApproximateFloat() + 0.0005)`, indices(), quotaList(), quotaList())},
}

// quotaResources are the fields of a quota that pods take.
var quotaResources = []string{"pods", "limits.cpu", "requests.cpu", "limits.memory", "requests.memory"}

// quotaList is the CEL list of quotaResources. The function indices returns the CEL list of their indices.
func quotaList() string { return `["` + strings.Join(quotaResources, `","`) + `"]` }

func indices() string {
	numbers := make([]string, len(quotaResources))
	for i := range numbers {
		numbers[i] = fmt.Sprint(i)
	}
	return "[" + strings.Join(numbers, ",") + "]"
}

// takes is the CEL list of what this many pods of a workload take of each resource.
func takes(workload, pods string) string {
	var each []string
	for _, resource := range quotaResources {
		side, name, of := strings.Cut(resource, ".")
		if !of {
			each = append(each, pods)
			continue
		}
		ofContainer := limitOf
		if side == "requests" {
			ofContainer = requestOf
		}
		each = append(each, fmt.Sprintf(`%s * %s.spec.template.spec.containers.map(c, %s).sum()`,
			pods, workload, numberOf(ofContainer("c", strconv.Quote(name)))))
	}
	return "[" + strings.Join(each, ", ") + "]"
}

// amount is the CEL expression for a quantity of a resource as text.
func amount(index, number string) string {
	return fmt.Sprintf(`(%s.endsWith("memory") ? string(int(%s / 1048576.0)) + "Mi" : string(double(int(%s * 1000.0 + 0.5)) / 1000.0))`,
		quotaList()+"["+index+"]", number, number)
}

// NewQuotaPolicy declares the quota policy. There is one in a cluster.
func NewQuotaPolicy(ctx *pulumi.Context, name string, args *QuotaPolicyArgs, opts ...pulumi.ResourceOption) (*QuotaPolicy, error) {
	var a QuotaPolicyArgs
	if args != nil {
		a = *args
	}
	p := &QuotaPolicy{}
	if err := ctx.RegisterComponentResourceV2(quotaPolicyType, name, pulumi.Map{}, p, opts...); err != nil {
		return nil, err
	}
	for _, policy := range []admission.Policy{quotaPolicy(a.Namespaces), limitPolicy(a.Namespaces)} {
		if _, err := admission.Declare(ctx, policy, p); err != nil {
			return nil, fmt.Errorf("quota policy %q: %w", name, err)
		}
	}
	return p, ctx.RegisterResourceOutputs(p, pulumi.Map{})
}

// quotaPolicy refuses workloads in some namespaces of tenants, and warns in the others.
func quotaPolicy(namespaces []string) admission.Policy {
	binding := func(suffix, operator, action string) admission.Binding {
		return admission.Binding{
			Suffix: suffix, Params: PolicyObjectName, Actions: []string{action, "Audit"},
			Namespaces: metav1.LabelSelectorArgs{MatchExpressions: metav1.LabelSelectorRequirementArray{metav1.LabelSelectorRequirementArgs{
				Key: pulumi.String(kube.NamespaceNameLabel), Operator: pulumi.String(operator), Values: pulumi.ToStringArray(namespaces),
			}}},
		}
	}
	return admission.Policy{
		Name:       "journal-quota-policy",
		Requests:   admissionv1.NamedRuleWithOperationsArray{admission.Requests("apps", "v1", admission.CreateUpdate, "deployments", "statefulsets")},
		Namespaces: tenantNamespaces(),
		// A preview's dry run does not see a quota that the same update raises.
		Conditions: []admission.Expression{{Name: "for-real", CEL: `!request.?dryRun.orValue(false)`}},
		Params:     &admissionv1.ParamKindArgs{ApiVersion: pulumi.String("v1"), Kind: pulumi.String("ResourceQuota")},
		Variables:  quotaVariables,
		Validations: admissionv1.ValidationArray{admission.Validation(`size(variables.exceeded) == 0`, fmt.Sprintf(
			`"exceeded quota " + params.metadata.name + ": with the pods of " + object.metadata.name + ", one more in an update, the namespace would use " + `+
				`variables.exceeded.map(i, %s + " of " + string(params.spec.hard[%s[i]]) + " " + %s[i]).join(", ") + "; let something go, ask for less, or raise the quota"`,
			amount("i", "variables.sums[i]"), quotaList(), quotaList()))},
		Bindings: []admission.Binding{binding("", "In", "Deny"), binding("-warning", "NotIn", "Warn")},
	}
}
