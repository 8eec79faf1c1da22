//go:build e2e

package main

import (
	"context"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

const (
	// audience is that of the API server, one of those that the stack's policy knows.
	audience = "https://kubernetes.default.svc.cluster.local"
	// deployed is the namespace of a tenant with a deployer.
	deployed = "deployed"
	deployer = "system:serviceaccount:" + deployed + ":deployer"
	// collector is one of Kubernetes' controllers.
	collector = "system:serviceaccount:kube-system:generic-garbage-collector"
)

// as returns a client of a user.
func as(t *testing.T, user string, groups ...string) client.Client {
	t.Helper()
	config := rest.CopyConfig(cluster.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	c, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tenantWithDeployer declares the stack's rules about tokens, and a tenant with a deployer: alice issues its tokens, bob develops.
func tenantWithDeployer(t *testing.T) {
	t.Helper()
	old := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: deployed, Name: "old", Annotations: map[string]string{corev1.ServiceAccountNameKey: "default"}},
		Type: corev1.SecretTypeServiceAccountToken}
	apply(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: deployed}})
	for _, account := range []string{"default", "deployer"} {
		apply(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: deployed, Name: account}})
	}
	apply(t, old) // older than the rules
	for _, name := range []string{"journal-tenant-tokens", "journal-tenant-token-secrets", "journal-tenant-pods", "journal-tenant-finalizers"} {
		for _, kind := range []string{"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"} {
			object := declared(t, kind)[name]
			apply(t, object)
			t.Cleanup(func() { _ = cluster.Delete(context.Background(), object) })
		}
	}
	for role, subjects := range map[string][]rbacv1.Subject{
		"journal-tenant-deployer-tokens": {{APIGroup: rbacv1.GroupName, Kind: "User", Name: "alice"}},
		"journal-tenant-developer-base": {{APIGroup: rbacv1.GroupName, Kind: "User", Name: "bob"}, {Kind: "ServiceAccount", Namespace: deployed, Name: "deployer"},
			{APIGroup: rbacv1.GroupName, Kind: "User", Name: collector}},
		"kubelets": {{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "system:nodes"}, {APIGroup: rbacv1.GroupName, Kind: "User", Name: "mallory"}},
	} {
		if object := declared(t, "ClusterRole")[role]; object != nil {
			apply(t, object)
		} else {
			apply(t, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: role}, Rules: []rbacv1.PolicyRule{
				{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, Verbs: []string{"create"}}}})
		}
		apply(t, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: deployed, Name: role}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}})
	}
	apply(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: deployed, Name: "run-1"}})
	apply(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}})
	apply(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: deployed, Name: "web"}, Spec: podSpec("default")})
	namespace := namespaceOfCluster(t, deployed)
	namespace.Labels = map[string]string{"journal.example.com/tenant": deployed}
	if err := cluster.Update(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	for _, probe := range []client.Object{
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: deployed, Name: "probe", Annotations: map[string]string{corev1.ServiceAccountNameKey: "default"}},
			Type: corev1.SecretTypeServiceAccountToken},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: deployed, Name: "probe"}, Spec: podSpec("deployer")},
	} {
		eventually(t, "the rules hold", func() bool {
			err := cluster.Create(t.Context(), probe.DeepCopyObject().(client.Object), client.DryRunAll)
			return err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy")
		})
	}
	eventually(t, "the rule about tokens and the one about finalizers hold", func() bool {
		token := request(nil)
		err := cluster.SubResource("token").Create(t.Context(), account("default"), token)
		finalizing := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: deployed, Name: "probe", Finalizers: []string{"example.com/never"}}}
		return err != nil && as(t, "bob").Create(t.Context(), finalizing, client.DryRunAll) != nil
	})
}

func podSpec(account string) corev1.PodSpec {
	return corev1.PodSpec{ServiceAccountName: account, Containers: []corev1.Container{{Name: "main", Image: "registry.example.com/app:1.2.3"}}}
}

func account(name string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: deployed, Name: name}}
}

func request(change func(*authenticationv1.TokenRequestSpec)) *authenticationv1.TokenRequest {
	r := &authenticationv1.TokenRequest{}
	if change != nil {
		change(&r.Spec)
	}
	return r
}

func TestTheTokensOfADeployer(t *testing.T) {
	tenantWithDeployer(t)
	t.Run("are for an hour, for this API server, and nobody else's", tokensAreBounded)
	t.Run("are not to be had from Secrets", secretsHoldNoTokens)
	t.Run("are not to be had from pods", podsAreNoDeployers)
	t.Run("give the rights of a developer and not those of a controller", deployersAreDevelopers)
	t.Run("end with the account", tokensEndWithTheAccount)
}

func tokensAreBounded(t *testing.T) {
	type spec = authenticationv1.TokenRequestSpec
	seconds := func(n int64) func(*spec) { return func(s *spec) { s.ExpirationSeconds = &n } }
	audiences := func(list ...string) func(*spec) { return func(s *spec) { s.Audiences = list } }
	bound := func(kind, name string) func(*spec) {
		return func(s *spec) {
			s.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: kind, Name: name}
		}
	}
	podOfNode := func(s *spec) {
		bound("Pod", "web")(s)
		audiences("https://vault.example.com")(s)
		seconds(86400)(s)
	}
	const rbac = "cannot create resource \"serviceaccounts/token\""
	admin, alice, kubelet := cluster.Client, as(t, "alice"), as(t, "system:node:node", "system:nodes")
	for name, test := range map[string]struct {
		who     client.Client
		account string
		change  func(*spec)
		says    string // empty where it is let through
	}{
		"an owner":                            {alice, "deployer", nil, ""},
		"an owner, for ten minutes":           {alice, "deployer", seconds(600), ""},
		"an owner, for an hour":               {alice, "deployer", seconds(3600), ""},
		"an owner, for this API server":       {alice, "deployer", audiences(audience), ""},
		"an owner, as long as a Secret is":    {alice, "deployer", bound("Secret", "run-1"), ""},
		"an owner, for longer":                {alice, "deployer", seconds(3601), "spec.expirationSeconds 3601: nobody can take a token back"},
		"an owner, for ever":                  {alice, "deployer", seconds(1 << 32), "spec.expirationSeconds 4294967296"},
		"an owner, for another service":       {alice, "deployer", audiences("https://vault.example.com"), `spec.audiences "https://vault.example.com": not known as this API server's`},
		"an owner, for another service too":   {alice, "deployer", audiences(audience, "https://vault.example.com"), "leave the audience out"},
		"an owner, as if on a node":           {alice, "deployer", bound("Node", "node"), `spec.boundObjectRef.kind "Node": the deployer runs in no pod`},
		"an owner, as if in a pod":            {alice, "deployer", bound("Pod", "web"), `spec.boundObjectRef.kind "Pod"`},
		"an owner, another account":           {alice, "default", nil, rbac},
		"an administrator":                    {admin, "deployer", nil, ""},
		"an administrator, for a day":         {admin, "deployer", seconds(86400), "spec.expirationSeconds 86400"},
		"an administrator, another account":   {admin, "default", nil, `account "default": tokens are issued for the account deployer only`},
		"a developer":                         {as(t, "bob"), "deployer", nil, rbac},
		"the deployer":                        {as(t, deployer, "system:serviceaccounts"), "deployer", nil, rbac},
		"a kubelet, of a pod":                 {kubelet, "default", podOfNode, ""},
		"a kubelet, of no pod":                {kubelet, "default", seconds(86400), `account "default"`},
		"a kubelet, of no pod, the deployer":  {kubelet, "deployer", seconds(86400), "spec.expirationSeconds 86400"},
		"somebody who is no kubelet, a pod's": {as(t, "mallory"), "default", podOfNode, `account "default"`},
		"somebody in a group of another name": {as(t, "mallory", "nodes"), "default", podOfNode, `account "default"`},
	} {
		t.Run(name, func(t *testing.T) {
			issued := request(test.change)
			err := test.who.SubResource("token").Create(t.Context(), account(test.account), issued)
			judge(t, err, test.says)
			if left := time.Until(issued.Status.ExpirationTimestamp.Time); err == nil && test.account == "deployer" && (issued.Status.Token == "" || left > time.Hour) {
				t.Errorf("the token is %d characters long and valid for %v", len(issued.Status.Token), left)
			}
		})
	}
}

func secretsHoldNoTokens(t *testing.T) {
	annotated := map[string]string{corev1.ServiceAccountNameKey: "deployer"}
	for name, test := range map[string]struct {
		kind corev1.SecretType
		says string
	}{
		"a password": {corev1.SecretTypeOpaque, ""},
		"a token":    {corev1.SecretTypeServiceAccountToken, `type "kubernetes.io/service-account-token": Kubernetes fills it with a token that never ends`},
	} {
		t.Run(name, func(t *testing.T) {
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: deployed, Name: "new", Annotations: annotated}, Type: test.kind}
			judge(t, cluster.Create(t.Context(), secret, client.DryRunAll), test.says)
		})
	}
	old := &corev1.Secret{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: deployed, Name: "old"}, old); err != nil {
		t.Fatal(err)
	}
	kept := old.DeepCopy()
	kept.Data, kept.Labels = map[string][]byte{"token": []byte("t")}, map[string]string{"kubernetes.io/legacy-token-last-used": "2030-01-01"}
	judge(t, cluster.Update(t.Context(), kept, client.DryRunAll), "")
	turned := old.DeepCopy()
	turned.Annotations = annotated
	judge(t, cluster.Update(t.Context(), turned, client.DryRunAll), "Kubernetes fills it with a token")
	judge(t, cluster.Delete(t.Context(), old, client.DryRunAll), "")
}

func podsAreNoDeployers(t *testing.T) {
	template := func(field, account string) string {
		return "{metadata: {labels: {app: web}}, spec: {" + field + ": " + account + ", restartPolicy: RESTART, containers: [{name: main, image: 'registry.example.com/app:1.2.3'}]}}"
	}
	for kind, test := range map[string]struct{ text, path string }{
		"Pod":                   {"apiVersion: v1\nSPEC", "spec"},
		"Deployment":            {"apiVersion: apps/v1\nspec: {selector: {matchLabels: {app: web}}, template: TEMPLATE}", "spec.template.spec"},
		"StatefulSet":           {"apiVersion: apps/v1\nspec: {serviceName: web, selector: {matchLabels: {app: web}}, template: TEMPLATE}", "spec.template.spec"},
		"DaemonSet":             {"apiVersion: apps/v1\nspec: {selector: {matchLabels: {app: web}}, template: TEMPLATE}", "spec.template.spec"},
		"ReplicaSet":            {"apiVersion: apps/v1\nspec: {selector: {matchLabels: {app: web}}, template: TEMPLATE}", "spec.template.spec"},
		"ReplicationController": {"apiVersion: v1\nspec: {selector: {app: web}, template: TEMPLATE}", "spec.template.spec"},
		"Job":                   {"apiVersion: batch/v1\nspec: {template: TEMPLATE}", "spec.template.spec"},
		"CronJob":               {"apiVersion: batch/v1\nspec: {schedule: '0 0 1 1 *', jobTemplate: {spec: {template: TEMPLATE}}}", "spec.jobTemplate.spec.template.spec"},
	} {
		for _, field := range []string{"serviceAccountName", "serviceAccount"} {
			for account, says := range map[string]string{"deployer": test.path + `.serviceAccountName "deployer": that account is for a CI`, "default": ""} {
				t.Run(kind+" "+field+" "+account, func(t *testing.T) {
					restart := "Always"
					if kind == "Job" || kind == "CronJob" {
						restart = "Never"
					}
					pod := strings.ReplaceAll(template(field, account), "RESTART", restart)
					text := strings.ReplaceAll(test.text, "TEMPLATE", pod)
					text = strings.ReplaceAll(text, "SPEC", pod[strings.Index(pod, "spec:"):len(pod)-1])
					object := &unstructured.Unstructured{}
					if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
						t.Fatal(err)
					}
					object.SetKind(kind)
					object.SetNamespace(deployed)
					object.SetName("run")
					judge(t, cluster.Create(t.Context(), object, client.DryRunAll), says)
				})
			}
		}
	}
}

func deployersAreDevelopers(t *testing.T) {
	ci := as(t, deployer, "system:serviceaccounts", "system:serviceaccounts:"+deployed)
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: deployed, Name: "settings"}}
	judge(t, ci.Create(t.Context(), config.DeepCopy(), client.DryRunAll), "")
	config.Finalizers = []string{"example.com/never"}
	judge(t, ci.Create(t.Context(), config.DeepCopy(), client.DryRunAll), `metadata.finalizers "example.com/never": the namespace could not end`)
	judge(t, as(t, collector).Create(t.Context(), config.DeepCopy(), client.DryRunAll), "")
}

func tokensEndWithTheAccount(t *testing.T) {
	issued := request(nil)
	if err := as(t, "alice").SubResource("token").Create(t.Context(), account("deployer"), issued); err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(cluster.config)
	config.BearerToken = issued.Status.Token
	ci, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	maps := ci.CoreV1().ConfigMaps(deployed)
	if _, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "deployed"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// Somebody deletes the account and makes it again: what was issued before is worth nothing.
	if err := cluster.Delete(t.Context(), account("deployer")); err != nil {
		t.Fatal(err)
	}
	apply(t, account("deployer"))
	eventually(t, "the token is refused", func() bool {
		return apierrors.IsUnauthorized(maps.Delete(t.Context(), "deployed", metav1.DeleteOptions{}))
	})
}
