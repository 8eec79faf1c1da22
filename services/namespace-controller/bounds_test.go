//go:build e2e

package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"example.com/journal/services/namespace-controller/api"
)

// claimedNamespace is one as the controller makes it.
func claimedNamespace(name, tenant string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name,
		Labels: map[string]string{api.LabelTenant: tenant, api.LabelClaim: "try", api.LabelClaimUID: "uid", "pod-security.kubernetes.io/enforce": "restricted",
			"pod-security.kubernetes.io/enforce-version": "latest", "pod-security.kubernetes.io/audit": "restricted", "pod-security.kubernetes.io/warn": "restricted"},
		Annotations: map[string]string{api.AnnotationOwner: "alice", api.AnnotationPurpose: "a try", api.AnnotationExpires: "2030-01-01T00:00:00Z",
			api.AnnotationHosts: "*." + name + ".localhost"},
	}}
}

func set(m map[string]string, key, value string) { m[key] = value }

func TestWhoeverTakesTheControllerOverMakesNoOtherNamespaces(t *testing.T) {
	controller := cluster.controller
	for name, test := range map[string]struct {
		change func(*corev1.Namespace)
		says   string // empty where it is let through
	}{
		"as it is": {func(*corev1.Namespace) {}, ""},
		"of a long name that was cut": {func(n *corev1.Namespace) {
			*n = *claimedNamespace("claim-"+strings.Repeat("a", 50)+"-abcde", strings.Repeat("a", 63))
		}, ""},
		"privileged":                {func(n *corev1.Namespace) { set(n.Labels, "pod-security.kubernetes.io/enforce", "privileged") }, "enforces the Pod Security Standard restricted"},
		"baseline":                  {func(n *corev1.Namespace) { set(n.Labels, "pod-security.kubernetes.io/enforce", "baseline") }, "enforces the Pod Security Standard restricted"},
		"without a standard":        {func(n *corev1.Namespace) { delete(n.Labels, "pod-security.kubernetes.io/enforce") }, "enforces the Pod Security Standard restricted"},
		"of an old standard":        {func(n *corev1.Namespace) { set(n.Labels, "pod-security.kubernetes.io/enforce-version", "v1.20") }, "enforces the Pod Security Standard restricted"},
		"with a label of its own":   {func(n *corev1.Namespace) { set(n.Labels, "istio-injection", "enabled") }, "and no others"},
		"with an annotation":        {func(n *corev1.Namespace) { set(n.Annotations, "scheduler.alpha.kubernetes.io/node-selector", "a=b") }, "annotations of owner, contact"},
		"without a claim's uid":     {func(n *corev1.Namespace) { delete(n.Labels, api.LabelClaimUID) }, "are set when the namespace is made"},
		"of no tenant":              {func(n *corev1.Namespace) { delete(n.Labels, api.LabelTenant) }, "the name begins with claim- and the tenant"},
		"of another tenant's name":  {func(n *corev1.Namespace) { set(n.Labels, api.LabelTenant, "team-b") }, "the name begins with claim- and the tenant"},
		"of a tenant's part":        {func(n *corev1.Namespace) { set(n.Labels, api.LabelTenant, "boun") }, "the name begins with claim- and the tenant"},
		"without the prefix":        {func(n *corev1.Namespace) { *n = *claimedNamespace("bounds-try-abcde", "bounds") }, "the name begins with claim- and the tenant"},
		"of no owner":               {func(n *corev1.Namespace) { delete(n.Annotations, api.AnnotationOwner) }, "is a user of the identity provider"},
		"of one of Kubernetes' own": {func(n *corev1.Namespace) { set(n.Annotations, api.AnnotationOwner, "system:kube-scheduler") }, "is a user of the identity provider"},
		"with hosts of another":     {func(n *corev1.Namespace) { set(n.Annotations, api.AnnotationHosts, "journal.localhost") }, "is the namespace's own name below the stack's domain"},
		"with hosts of its own beside": {func(n *corev1.Namespace) {
			set(n.Annotations, api.AnnotationHosts, "*.claim-bounds-try-abcde.localhost,journal.localhost")
		}, "is the namespace's own name"},
		"without hosts":    {func(n *corev1.Namespace) { delete(n.Annotations, api.AnnotationHosts) }, "is the namespace's own name"},
		"with a finalizer": {func(n *corev1.Namespace) { n.Finalizers = []string{"example.com/keep"} }, "adds no finalizer"},
		"of another object": {func(n *corev1.Namespace) {
			n.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "node", UID: "uid"}}
		}, "ties the namespace to no other object"},
		"with a name that is made later": {func(n *corev1.Namespace) { n.Name, n.GenerateName = "", "claim-bounds-" }, "is the namespace's own name"},
	} {
		t.Run(name, func(t *testing.T) {
			namespace := claimedNamespace("claim-bounds-try-abcde", "bounds")
			test.change(namespace)
			judge(t, controller.Create(t.Context(), namespace, client.DryRunAll), test.says)
		})
	}
}

// judge compares an answer with what it is to say.
func judge(t *testing.T, err error, says string) {
	t.Helper()
	if says == "" && err != nil {
		t.Error(err)
	}
	if says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
		t.Errorf("%v, want %q in it", err, says)
	}
}

func TestWhoeverTakesTheControllerOverChangesNoNamespaceIntoAnother(t *testing.T) {
	controller := cluster.controller
	namespace := claimedNamespace("claim-team-a-turned-abcde", "team-a")
	set(namespace.Annotations, api.AnnotationOwner, "carol") // by a group
	set(namespace.Labels, "example.com/quarantine", "yes")
	set(namespace.Annotations, "example.com/note", "of an administrator")
	apply(t, namespace)
	newTenant(t, "turned")
	for name, test := range map[string]struct {
		change func(*corev1.Namespace)
		says   string
	}{
		"another end":                   {func(n *corev1.Namespace) { set(n.Annotations, api.AnnotationExpires, "2031-01-01T00:00:00Z") }, ""},
		"privileged":                    {func(n *corev1.Namespace) { set(n.Labels, "pod-security.kubernetes.io/enforce", "privileged") }, "enforces the Pod Security Standard restricted"},
		"another tenant":                {func(n *corev1.Namespace) { set(n.Labels, api.LabelTenant, "other") }, "is set when the namespace is made and never changes"},
		"no tenant":                     {func(n *corev1.Namespace) { delete(n.Labels, api.LabelTenant) }, "is set when the namespace is made and never changes"},
		"another claim":                 {func(n *corev1.Namespace) { set(n.Labels, api.LabelClaimUID, "other") }, "are set when the namespace is made and never change"},
		"another claim's name":          {func(n *corev1.Namespace) { set(n.Labels, api.LabelClaim, "other") }, "are set when the namespace is made and never change"},
		"an owner of the tenant":        {func(n *corev1.Namespace) { set(n.Annotations, api.AnnotationOwner, "alice") }, ""},
		"a developer of the tenant":     {func(n *corev1.Namespace) { set(n.Annotations, api.AnnotationOwner, "bob") }, ""},
		"somebody else as its owner":    {func(n *corev1.Namespace) { set(n.Annotations, api.AnnotationOwner, "mallory") }, "changes only to an owner or a developer whom the stack names"},
		"a group as its owner":          {func(n *corev1.Namespace) { set(n.Annotations, api.AnnotationOwner, "platform") }, "changes only to an owner or a developer whom the stack names"},
		"no owner any more":             {func(n *corev1.Namespace) { delete(n.Annotations, api.AnnotationOwner) }, "is a user of the identity provider"},
		"another label":                 {func(n *corev1.Namespace) { set(n.Labels, "example.com/more", "yes") }, "and no others"},
		"an administrator's label":      {func(n *corev1.Namespace) { set(n.Labels, "example.com/quarantine", "no") }, "and no others"},
		"an administrator's label gone": {func(n *corev1.Namespace) { delete(n.Labels, "example.com/quarantine") }, "and no others"},
		"an administrator's annotation": {func(n *corev1.Namespace) { delete(n.Annotations, "example.com/note") }, "and no others"},
		"hosts of another":              {func(n *corev1.Namespace) { set(n.Annotations, api.AnnotationHosts, "*.localhost") }, "is the namespace's own name"},
		"a finalizer":                   {func(n *corev1.Namespace) { n.Finalizers = []string{"example.com/keep"} }, "adds no finalizer"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := namespaceOfCluster(t, namespace.Name)
			before := changed.DeepCopy()
			test.change(changed)
			judge(t, controller.Patch(t.Context(), changed, client.MergeFrom(before), client.DryRunAll), test.says)
		})
	}
	tenant := namespaceOfCluster(t, "turned")
	before := tenant.DeepCopy()
	set(tenant.Labels, api.LabelClaimUID, "uid")
	judge(t, controller.Patch(t.Context(), tenant, client.MergeFrom(before), client.DryRunAll), "touches only namespaces with the label")
	judge(t, controller.Delete(t.Context(), tenant, client.DryRunAll), "touches only namespaces with the label")
	judge(t, controller.Delete(t.Context(), namespace, client.DryRunAll), "")
}

// within returns a policy object, with the specification or what else is written below its metadata.
func within(t *testing.T, namespace, kind, name, rest string) *unstructured.Unstructured {
	t.Helper()
	version := map[string]string{"NetworkPolicy": "networking.k8s.io/v1", "RoleBinding": "rbac.authorization.k8s.io/v1"}[kind]
	if version == "" {
		version = "v1"
	}
	object := &unstructured.Unstructured{}
	text := "apiVersion: " + version + "\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: " + namespace + "}\n" + rest
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatal(err)
	}
	return object
}

func TestWhoeverTakesTheControllerOverWritesNoOtherPolicyObjects(t *testing.T) {
	controller := cluster.controller
	namespace := claimedNamespace("claim-journal-bounds-abcde", "journal")
	apply(t, namespace)
	newTenant(t, "bounds")
	objects := map[string]*unstructured.Unstructured{}
	for class, f := range classesOfTheStack(t) {
		for _, object := range f.objects {
			inside := object.DeepCopy()
			inside.SetNamespace(namespace.Name)
			objects[class+" "+object.GetKind()+" "+object.GetName()] = inside
		}
	}
	// The tenant journal has no ways out.
	var n network
	if err := json.Unmarshal([]byte(cluster.network), &n); err != nil {
		t.Fatal(err)
	}
	n.Egress["team-b"] = []string{"10.20.0.0/16"}
	for tenant, policies := range map[string][]*unstructured.Unstructured{"own": n.policies("journal"), "team-a": n.policies("team-a"), "team-b": n.policies("team-b")} {
		for _, object := range policies {
			object.SetNamespace(namespace.Name)
			objects[tenant+" "+object.GetName()] = object
		}
	}
	others := map[string]*unstructured.Unstructured{}
	for name, object := range objects {
		if strings.HasPrefix(name, "team-") {
			others[name] = object
			delete(objects, name)
		}
	}
	for name, object := range objects {
		t.Run("let through: "+name, func(t *testing.T) { judge(t, controller.Create(t.Context(), object.DeepCopy(), client.DryRunAll), "") })
	}
	changed := func(name string, value any, path ...string) *unstructured.Unstructured {
		object := objects[name].DeepCopy()
		if err := unstructured.SetNestedField(object.Object, value, path...); err != nil {
			t.Fatal(err)
		}
		return object
	}
	const quota, limits, policy = "the quota tenant of one of the stack's classes", "the limits tenant of one of the stack's classes", "the network policies that the stack declares, as they are"
	const owner = "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: journal-tenant-owner}\n"
	for name, test := range map[string]struct {
		object *unstructured.Unstructured
		says   string
	}{
		"an empty quota":                    {within(t, namespace.Name, "ResourceQuota", "tenant", "spec: {hard: {}}"), quota},
		"no quota at all":                   {within(t, namespace.Name, "ResourceQuota", "tenant", ""), quota},
		"a larger quota":                    {changed("small ResourceQuota tenant", "9", "spec", "hard", "limits.cpu"), quota},
		"the same quota, written otherwise": {changed("small ResourceQuota tenant", "8000m", "spec", "hard", "limits.cpu"), ""},
		"a second quota":                    {changed("small ResourceQuota tenant", "more", "metadata", "name"), quota},
		"a quota with a load balancer":      {changed("large ResourceQuota tenant", "1", "spec", "hard", "services.loadbalancers"), quota},
		"a quota with devices":              {changed("large ResourceQuota tenant", "1", "spec", "hard", "requests.nvidia.com/gpu"), quota},
		"a quota with claims":               {changed("small ResourceQuota tenant", "1", "spec", "hard", "count/namespaceclaims.journal.example.com"), quota},
		"empty limits":                      {within(t, namespace.Name, "LimitRange", "tenant", "spec: {limits: []}"), limits},
		"limits of one type":                {within(t, namespace.Name, "LimitRange", "tenant", `spec: {limits: [{type: PersistentVolumeClaim, max: {storage: 10Gi}}]}`), limits},
		"limits with a minimum instead": {changed("small LimitRange tenant", append(limitsOf(objects["small LimitRange tenant"])[1:],
			map[string]any{"type": "Container", "min": map[string]any{"cpu": "1"}}), "spec", "limits"), limits},
		"an allow-all policy":                     {within(t, namespace.Name, "NetworkPolicy", "allow-all", "spec: {podSelector: {}, ingress: [{}], egress: [{}], policyTypes: [Ingress, Egress]}"), policy},
		"an allow-all policy in disguise":         {within(t, namespace.Name, "NetworkPolicy", "default-deny", "spec: {podSelector: {}, ingress: [{}], policyTypes: [Ingress, Egress]}"), policy},
		"a policy with a hole":                    {changed("small NetworkPolicy allow-dns", []any{map[string]any{}}, "spec", "egress"), policy},
		"a policy for some pods":                  {changed("small NetworkPolicy default-deny", map[string]any{"a": "b"}, "spec", "podSelector", "matchLabels"), policy},
		"another tenant's namespaces":             {others["team-a allow-same-tenant"], policy},
		"another tenant's Internet":               {others["team-a allow-egress"], policy},
		"another tenant's ranges":                 {others["team-b allow-egress"], policy},
		"egress to everybody":                     {changed("own allow-egress", []any{map[string]any{}}, "spec", "egress"), policy},
		"egress to nobody, which is to everybody": {changed("own allow-egress", []any{map[string]any{"to": []any{}}}, "spec", "egress"), policy},
		"the policy of tenants":                   {within(t, namespace.Name, "NetworkPolicy", "allow-tenants", "spec: {podSelector: {}, ingress: [{}], policyTypes: [Ingress]}"), policy},
		"a tenant's quota":                        {within(t, "bounds", "ResourceQuota", "tenant", "spec: {hard: {}}"), "writes only in namespaces with the label"},
		"a tenant's binding":                      {within(t, "bounds", "RoleBinding", "owners", owner), "writes only in namespaces with the label"},
	} {
		t.Run(name, func(t *testing.T) { judge(t, controller.Create(t.Context(), test.object, client.DryRunAll), test.says) })
	}
}

// limitsOf returns a copy of the limits of a LimitRange.
func limitsOf(object *unstructured.Unstructured) []any {
	list, _, _ := unstructured.NestedSlice(object.Object, "spec", "limits")
	return list
}

// classesOfTheStack reads the classes as the controller does.
func classesOfTheStack(t *testing.T) map[string]*template {
	t.Helper()
	s := &situation{}
	if err := (&reconciler{platform: platform}).readSettings(context.Background(), cluster.Client, s); err != nil {
		t.Fatal(err)
	}
	if len(s.classes) != 3 || s.limitsFault != nil {
		t.Fatalf("%d classes, %v", len(s.classes), s.limitsFault)
	}
	return s.classes
}

func TestThePolicyObjectsStayAsLongAsTheirNamespaceWhateverRightsTheControllerHas(t *testing.T) {
	namespace := claimedNamespace("claim-stands-try-abcde", "stands")
	apply(t, namespace)
	admin := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "controller-admin"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: controllerAccount}}}
	apply(t, admin)
	t.Cleanup(func() { _ = cluster.Delete(context.Background(), admin) })
	for _, object := range []*unstructured.Unstructured{
		within(t, namespace.Name, "ResourceQuota", "tenant", ""), within(t, namespace.Name, "LimitRange", "tenant", "spec: {limits: []}"),
		within(t, namespace.Name, "NetworkPolicy", "default-deny", "spec: {podSelector: {}}"),
		within(t, namespace.Name, "RoleBinding", "owners", "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: journal-tenant-owner}"),
	} {
		apply(t, object)
		var err error
		eventually(t, "the controller has the rights of an administrator", func() bool {
			err = cluster.controller.Delete(t.Context(), object, client.DryRunAll)
			return err == nil || strings.Contains(err.Error(), "ValidatingAdmissionPolicy")
		})
		judge(t, err, "the controller deletes it with its namespace and not before")
	}
}
