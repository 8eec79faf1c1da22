package tenancy

import (
	"encoding/json"
	"fmt"
	"slices"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"

	"example.com/journal/components/internal/admission"
)

// maxTokenSeconds is the longest validity of a deployer's token: one job of a CI. It is also what `kubectl create token`
// requests by default.
const maxTokenSeconds = 3600

// commonAudiences are the names that most API servers expect in tokens.
var commonAudiences = []string{"https://kubernetes.default.svc.cluster.local", "https://kubernetes.default.svc"}

// tokenPolicy bounds the tokens that are issued in namespaces of tenants. Kubelets issue those of pods: they are the only ones
// in the group system:nodes, the API server lets each do so only for the pods of its own node, and the token ends with the pod.
// The policy sees the API server's own audience even where the request has none.
func tokenPolicy(audiences []string) admission.Policy {
	known, _ := json.Marshal(slices.Concat(audiences, commonAudiences)) // of texts: it does not fail
	return admission.Policy{
		Name:     "journal-tenant-tokens",
		Requests: admissionv1.NamedRuleWithOperationsArray{admission.Requests("", "v1", []string{"CREATE"}, "serviceaccounts/token")},
		Variables: []admission.Expression{
			{Name: "kubelet", CEL: `"system:nodes" in request.userInfo.?groups.orValue([]) && object.spec.?boundObjectRef.?kind.orValue("") == "Pod"`},
			{Name: "seconds", CEL: fmt.Sprintf(`object.spec.?expirationSeconds.orValue(%d)`, maxTokenSeconds)},
			{Name: "foreign", CEL: fmt.Sprintf(`object.spec.?audiences.orValue([]).filter(a, !(a in %s))`, known)},
			{Name: "bound", CEL: `object.spec.?boundObjectRef.?kind.orValue("Secret")`},
		},
		Validations: admissionv1.ValidationArray{
			admission.Validation(fmt.Sprintf(`variables.kubelet || request.name == %q`, DeployerName),
				fmt.Sprintf(`"account \"" + request.name + "\": tokens are issued for the account %[1]s only, and pods get their own; write kubectl create token %[1]s"`, DeployerName)),
			admission.Validation(fmt.Sprintf(`variables.kubelet || variables.seconds <= %d`, maxTokenSeconds),
				fmt.Sprintf(`"spec.expirationSeconds " + string(variables.seconds) + ": nobody can take a token back from a job that has it; write %d or less, as in --duration 30m"`, maxTokenSeconds)),
			admission.Validation(`variables.kubelet || size(variables.foreign) == 0`,
				`"spec.audiences \"" + variables.foreign[0] + "\": not known as this API server's, and a token is for no other service; leave the audience out, or have the API server's own listed in cluster.tokenAudiences"`),
			// A token that is bound to a pod or a node says that its holder runs there.
			admission.Validation(`variables.kubelet || variables.bound == "Secret"`,
				`"spec.boundObjectRef.kind \"" + variables.bound + "\": the deployer runs in no pod and on no node; leave it out, or bind the token to a Secret, whose deletion ends it"`),
		},
	}
}

// tokenSecretPolicy refuses the Secrets that Kubernetes fills with a token which never ends. The type of a Secret cannot be
// changed; the account in an older one could.
func tokenSecretPolicy() admission.Policy {
	const tokens, account = "kubernetes.io/service-account-token", "kubernetes.io/service-account.name"
	same := admission.Metadata("object", "annotations", account) + ` == ` + admission.Metadata("oldObject", "annotations", account)
	return admission.Policy{
		Name:       "journal-tenant-token-secrets",
		Requests:   admissionv1.NamedRuleWithOperationsArray{admission.Requests("", "v1", admission.CreateUpdate, "secrets")},
		Conditions: []admission.Expression{admission.Unless(same)},
		Validations: admissionv1.ValidationArray{admission.Validation(fmt.Sprintf(`object.?type.orValue("") != %q`, tokens),
			fmt.Sprintf(`"type \"%s\": Kubernetes fills it with a token that never ends; leave it out: a pod gets a token of its own, and a CI one of the account %s"`, tokens, DeployerName))},
	}
}

// runsAsDeployer refuses pods of the account deployer: a pod's token is renewed as long as the pod lives, whoever has left
// meanwhile. The name is reserved in every namespace, so that no pod is there when a tenant gets a deployer.
func runsAsDeployer() admissionv1.ValidationArgs {
	return admission.Validation(fmt.Sprintf(`variables.pod.?serviceAccountName.orValue("") != %q`, DeployerName),
		fmt.Sprintf(`variables.path + ".serviceAccountName \"%s\": that account is for a CI outside of the cluster, with tokens that end; write another account"`, DeployerName))
}
