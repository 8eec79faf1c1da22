package claims

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	admissionv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/admissionregistration/v1"

	"example.com/journal/components/internal/admission"
	"example.com/journal/components/kube"
	"example.com/journal/components/tenancy"
)

// claimUID is the CEL expression for the label that only claimed namespaces have, or the empty text.
func claimUID(namespace string) string {
	return admission.Metadata(namespace, "labels", tenancy.ClaimUIDLabel)
}

// refuse is the CEL expression of a message about the object of the request. The object may not have its name yet.
func refuse(kind, rule string) string {
	return fmt.Sprintf(`%q + request.name + %q`, kind+` "`, `": `+rule)
}

// controllerBounds are the policies that limit what the controller writes, in case somebody else takes over its account. They
// know the contents of every object, since the stack that declares them also writes the settings that the controller applies.
func controllerBounds(a Args) ([]admission.Policy, error) {
	values, err := boundsOf(a)
	if err != nil {
		return nil, err
	}
	return []admission.Policy{namespaceBounds(values, a.Tenants), policyObjectBounds(values), bindingBounds(a.Tenants), podBounds()}, nil
}

// bounds are the values that the policies compare with, as literals in CEL.
type bounds struct {
	podSecurity string   // labels of every claimed namespace
	classes     string   // quota and limits of each class; see addBounds
	policies    string   // specifications of the network policies that are the same for all tenants, by name
	internet    string   // the public addresses
	egress      []string // the ways out by tenant; see network.egressLiterals
	domain      string
	suspended   string // the names of the suspended tenants
	stopped     string // what the quota of a suspended namespace has in place of its class's
}

// boundsOf returns the values for the arguments.
func boundsOf(a Args) (b bounds, err error) {
	var classes []any
	policies := map[string]any{}
	for _, name := range a.Classes.Names() {
		class := map[string]any{}
		for _, object := range a.policyObjects(a.Classes[name]) {
			if err := addBounds(object, class, policies); err != nil {
				return b, fmt.Errorf("class %q: %s %s: %w", name, object["kind"], object.Name(), err)
			}
		}
		classes = append(classes, class)
	}
	n := a.network()
	if b.egress, err = n.egressLiterals(); err != nil {
		return b, err
	}
	for _, literal := range []struct {
		text  *string
		value any
	}{
		{&b.podSecurity, kube.PodSecurityLabels(kube.RestrictedPods)}, {&b.classes, classes}, {&b.policies, policies}, {&b.domain, a.Domain},
		{&b.internet, n.Internet}, {&b.suspended, a.suspended()}, {&b.stopped, tenancy.SuspendedQuota()},
	} {
		if *literal.text, err = admission.Literal(literal.value); err != nil {
			return b, err
		}
	}
	return b, nil
}

// addBounds adds what a policy object of a class says. A class has its quota as hard, and its limits by type and field, such as
// Container.max. The specifications of network policies are the same for all classes.
func addBounds(object kube.Object, class, policies map[string]any) error {
	spec, is := object["spec"].(map[string]any)
	if !is {
		return fmt.Errorf("spec must be an object, and is of type %T", object["spec"])
	}
	switch object["kind"] {
	case "ResourceQuota":
		class["hard"] = spec["hard"]
	case "LimitRange":
		limits, is := spec["limits"].([]any)
		if !is {
			return fmt.Errorf("spec.limits must be a list, and is of type %T", spec["limits"])
		}
		for i, entry := range limits {
			limit, is := entry.(map[string]any)
			if !is {
				return fmt.Errorf("spec.limits[%d] must be an object, and is of type %T", i, entry)
			}
			for field, quantities := range limit {
				if field != "type" {
					class[fmt.Sprint(limit["type"], ".", field)] = quantities
				}
			}
		}
	case "NetworkPolicy":
		policies[object.Name()] = spec
	default:
		return errors.New("no admission policy holds the controller to it")
	}
	return nil
}

// namespaceBounds limits the namespaces that the controller creates. It may not change labels and annotations that others have
// written on one.
func namespaceBounds(b bounds, tenants []tenancy.TenantArgs) admission.Policy {
	labels := slices.Concat([]string{tenancy.TenantLabel, tenancy.ClaimLabel, tenancy.ClaimUIDLabel, tenancy.SuspendedLabel, kube.NamespaceNameLabel}, slices.Sorted(maps.Keys(kube.PodSecurityLabels(kube.RestrictedPods))))
	annotations := []string{tenancy.OwnerAnnotation, tenancy.ContactAnnotation, tenancy.TeamAnnotation, tenancy.PurposeAnnotation, tenancy.ExpiresAnnotation, tenancy.HostsAnnotation}
	// others is the CEL expression that holds when labels or annotations that are not ours are unchanged.
	others := func(field string, ours []string) string {
		return fmt.Sprintf(`variables.%[1]s.all(k, k in %[2]s || k in variables.%[3]s && variables.%[3]s[k] == variables.%[1]s[k]) && variables.%[3]s.all(k, k in %[2]s || k in variables.%[1]s)`,
			field, `["`+strings.Join(ours, `", "`)+`"]`, "before"+strings.ToUpper(field[:1])+field[1:])
	}
	// kept is the CEL expression that holds when a value is unchanged, if there was one.
	kept := func(field, key string) string {
		return fmt.Sprintf(`(request.operation == "CREATE" || %s == %s)`, admission.Metadata("object", field, key), admission.Metadata("oldObject", field, key))
	}
	owner := admission.Metadata("object", "annotations", tenancy.OwnerAnnotation)
	unlessDeleted := func(expression string) string { return `request.operation == "DELETE" || ` + expression }
	return admission.Policy{
		Name:       "journal-controller-namespaces",
		Conditions: []admission.Expression{admission.By(controllerUser)},
		Requests:   admissionv1.NamedRuleWithOperationsArray{admission.Requests("", "v1", admission.CreateUpdateDelete, "namespaces")},
		Variables: append(memberVariables(tenants, `(object == null ? "" : `+admission.Metadata("object", "labels", tenancy.TenantLabel)+`)`), []admission.Expression{
			{Name: "annotations", CEL: `object == null ? {} : object.metadata.?annotations.orValue({})`},
			{Name: "before", CEL: `oldObject == null ? "" : ` + claimUID("oldObject")},
			{Name: "beforeAnnotations", CEL: `oldObject == null ? {} : oldObject.metadata.?annotations.orValue({})`},
			{Name: "beforeLabels", CEL: `oldObject == null ? {} : oldObject.metadata.?labels.orValue({})`},
			{Name: "labels", CEL: `object == null ? {} : object.metadata.?labels.orValue({})`},
			{Name: "later", CEL: `object == null ? "" : ` + claimUID("object")},
			{Name: "podSecurity", CEL: b.podSecurity},
			b.isSuspended(fmt.Sprintf(`variables.labels[?%q].orValue("")`, tenancy.TenantLabel)),
			{Name: "stem", CEL: fmt.Sprintf(`%q + variables.labels[?%q].orValue("") + "-"`, tenancy.ClaimPrefix, tenancy.TenantLabel)},
		}...),
		Validations: admissionv1.ValidationArray{
			admission.Validation(`variables.before != "" || request.operation == "CREATE"`,
				refuse("namespace", "the controller touches only namespaces with the label "+tenancy.ClaimUIDLabel+", which it made itself")),
			admission.Validation(unlessDeleted(`variables.later != "" && `+kept("labels", tenancy.ClaimUIDLabel)+` && `+kept("labels", tenancy.ClaimLabel)),
				refuse("namespace", "the labels "+tenancy.ClaimUIDLabel+" and "+tenancy.ClaimLabel+" are set when the namespace is made and never change")),
			// A name that would be too long is cut.
			admission.Validation(unlessDeleted(admission.Metadata("object", "labels", tenancy.TenantLabel)+` != "" && `+kept("labels", tenancy.TenantLabel)+
				` && object.metadata.name.startsWith(size(variables.stem) > 40 ? variables.stem.substring(0, 40) : variables.stem)`),
				refuse("namespace", "the label "+tenancy.TenantLabel+" is set when the namespace is made and never changes, and the name begins with "+tenancy.ClaimPrefix+" and the tenant")),
			admission.Validation(unlessDeleted(`variables.podSecurity.all(k, k in variables.labels && variables.labels[k] == variables.podSecurity[k])`),
				refuse("namespace", "a claimed namespace enforces the Pod Security Standard "+kube.RestrictedPods)),
			admission.Validation(unlessDeleted(others("labels", labels)),
				refuse("namespace", "the controller sets the labels of tenant, claim, suspension and Pod Security and no others")),
			admission.Validation(unlessDeleted(fmt.Sprintf(`variables.labels[?%[1]q] == variables.beforeLabels[?%[1]q] && request.operation == "UPDATE" || `+
				`variables.labels[?%[1]q].orValue("") == (variables.suspended ? "true" : "")`, tenancy.SuspendedLabel)),
				refuse("namespace", "the label "+tenancy.SuspendedLabel+" is on the namespaces of tenants that the stack declares suspended, and on no others")),
			admission.Validation(unlessDeleted(others("annotations", annotations)),
				refuse("namespace", "the controller sets the annotations of owner, contact, team, purpose, expiry and hosts and no others")),
			admission.Validation(unlessDeleted(owner+` != "" && !`+owner+`.startsWith("system:") && (`+kept("annotations", tenancy.OwnerAnnotation)+
				` || "User " + `+owner+` in variables.owners + variables.developers)`),
				refuse("namespace", "the annotation "+tenancy.OwnerAnnotation+" is a user of the identity provider, and changes only to an owner or a developer whom the stack names in the tenant")),
			admission.Validation(unlessDeleted(admission.Metadata("object", "annotations", tenancy.HostsAnnotation)+` == "*." + object.metadata.name + "." + `+b.domain),
				refuse("namespace", "the annotation "+tenancy.HostsAnnotation+" is the namespace's own name below the stack's domain")),
			admission.Validation(unlessDeleted(`object.metadata.?ownerReferences.orValue([]) == (oldObject == null ? [] : oldObject.metadata.?ownerReferences.orValue([])) && `+
				`object.metadata.?finalizers.orValue([]) == (oldObject == null ? [] : oldObject.metadata.?finalizers.orValue([]))`),
				refuse("namespace", "the controller ties the namespace to no other object and adds no finalizer")),
		},
	}
}

// withinClaims checks that the namespace of the request was created for a claim, and that nothing is deleted from it.
func withinClaims(kind string) admissionv1.ValidationArray {
	return admissionv1.ValidationArray{
		admission.Validation(claimUID("namespaceObject")+` != ""`,
			fmt.Sprintf(`"namespace \"" + request.namespace + "\": the controller writes only in namespaces with the label %s, which it made itself"`, tenancy.ClaimUIDLabel)),
		admission.Validation(`request.operation != "DELETE"`, refuse(kind, "the controller deletes it with its namespace and not before")),
	}
}

// policyObjectBounds limits the policy objects: each must be the one that the stack declares for a class, and there may be no
// others. This refuses, for example, an empty quota or a NetworkPolicy that allows every connection.
func policyObjectBounds(b bounds) admission.Policy {
	// equal is the CEL expression that holds when two maps have the same quantities, in whatever form they are written. The
	// parameter want is the expression for the quantity of b under the key k.
	equal := func(a, b, want string) string {
		return fmt.Sprintf(`size(%[1]s) == size(%[2]s) && %[2]s.all(k, k in %[1]s && quantity(%[1]s[k]).compareTo(quantity(%[3]s)) == 0)`, a, b, want)
	}
	onlyFor := func(kind, expression string) string {
		return fmt.Sprintf(`request.kind.kind != %q || request.operation == "DELETE" || `, kind) + expression
	}
	return admission.Policy{
		Name:       "journal-controller-policy-objects",
		Conditions: []admission.Expression{admission.By(controllerUser)},
		Requests: admissionv1.NamedRuleWithOperationsArray{
			admission.Requests("", "v1", admission.CreateUpdateDelete, "resourcequotas", "limitranges"),
			admission.Requests("networking.k8s.io", "v1", admission.CreateUpdateDelete, "networkpolicies"),
		},
		Variables: append(networkVariables(b),
			admission.Expression{Name: "classes", CEL: b.classes},
			admission.Expression{Name: "policies", CEL: b.policies},
			b.isSuspended("variables.tenant"),
			admission.Expression{Name: "stopped", CEL: fmt.Sprintf(`variables.suspended ? %s : {}`, b.stopped)},
			admission.Expression{Name: "spec", CEL: `object == null ? {} : dyn(object).?spec.orValue({})`},
		),
		Validations: append(withinClaims("policy object"),
			admission.Validation(onlyFor("ResourceQuota", fmt.Sprintf(`object.metadata.name == %q && variables.classes.exists(c, %s)`,
				tenancy.PolicyObjectName, equal(`variables.spec.?hard.orValue({})`, `c["hard"]`, `variables.stopped[?k].orValue(c["hard"][k])`))),
				refuse("quota", "the controller writes the quota "+tenancy.PolicyObjectName+" of one of the stack's classes and no other; that of a suspended tenant has no pods")),
			// Every limit of the class must be there, and no other: the API accepts one entry of each type.
			admission.Validation(onlyFor("LimitRange", fmt.Sprintf(`object.metadata.name == %q && variables.classes.exists(c, `+
				`c.all(path, path == "hard" || variables.spec.limits.exists(l, l.all(f, f == "type" || l.type + "." + f in c) && `+
				`l.exists(f, l.type + "." + f == path && %s))))`,
				tenancy.PolicyObjectName, equal(`l[f]`, `c[path]`, `c[path][k]`))),
				refuse("limits", "the controller writes the limits "+tenancy.PolicyObjectName+" of one of the stack's classes and no others")),
			admission.Validation(onlyFor("NetworkPolicy", `(object.metadata.name in variables.policies ? variables.spec == variables.policies[object.metadata.name] :`+
				` object.metadata.name in variables.tenantPolicies && variables.spec == variables.tenantPolicies[object.metadata.name])`),
				refuse("network policy", "the controller writes the network policies that the stack declares, as they are, and no others")),
		),
	}
}

// bindingBounds limits to whom the controller gives rights in a claimed namespace: the members that the stack declares for its
// tenant, by role. In a suspended tenant all of them are viewers.
func bindingBounds(tenants []tenancy.TenantArgs) admission.Policy {
	var names, roles, given []string
	for _, binding := range claimedBindings {
		names = append(names, binding.name)
		roles = append(roles, fmt.Sprintf("%q: %q", binding.name, binding.role))
		given = append(given, fmt.Sprintf("%q: variables.%ss", binding.name, strings.Join(binding.given, "s + variables.")))
	}
	return admission.Policy{
		Name:       "journal-controller-bindings",
		Conditions: []admission.Expression{admission.By(controllerUser)},
		Requests:   admissionv1.NamedRuleWithOperationsArray{admission.Requests(kube.RBACGroup, "v1", admission.CreateUpdateDelete, "rolebindings")},
		Variables: append(memberVariables(tenants, admission.Metadata("namespaceObject", "labels", tenancy.TenantLabel)), []admission.Expression{
			{Name: "given", CEL: fmt.Sprintf(`{%s}[?request.name].orValue([])`, strings.Join(given, ", "))},
			{Name: "subjects", CEL: `object == null ? [] : dyn(object).?subjects.orValue([])`},
			// A service account is in no list: its kind is none of theirs.
			{Name: "others", CEL: `variables.subjects.map(s, s.kind + " " + s.name).filter(s, !(s in variables.given))`},
		}...),
		Validations: append(withinClaims("role binding"),
			admission.Validation(fmt.Sprintf(`request.operation == "DELETE" || dyn(object).roleRef.kind == "ClusterRole" && {%s}[?object.metadata.name].orValue("") == dyn(object).roleRef.name`, strings.Join(roles, ", ")),
				refuse("role binding", "the controller writes the bindings "+strings.Join(names, ", ")+", each of its own role, and no other")),
			// Who owns the claim may be a developer, and is one user.
			admission.Validation(fmt.Sprintf(`variables.others.size() == 0 || request.name == %q && variables.others.size() == 1 && `+
				`variables.others[0].startsWith("User ") && variables.others[0] in variables.developers`, claimedBindings[0].name),
				`"role binding \"" + request.name + "\": the controller gives rights to members of the tenant by their roles in the stack; take away, or add to the stack\'s tenant: " + variables.others.join(", ")`),
		),
	}
}
