//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	authorization "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	client "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// The roles that a user can have in a namespace of the stack.
const (
	owner     = "owner"
	developer = "developer"
	// claimOwner is an owner in a claimed namespace, who has its Secrets as well.
	claimOwner = "owner of a claim"
)

const (
	reading = "get list watch"
	writing = "create update patch delete"
	all     = reading + " " + writing
)

// rights are what the stack declares: the verbs of each role in a namespace. Nobody has rights that are not listed.
var rights = []struct{ group, resource, developer, owner string }{
	{"", "pods", all, all},
	{"", "pods/exec", "get create", "get create"},
	{"", "pods/log", reading, reading},
	{"apps", "deployments", all, all},
	{"batch", "jobs", all, all},
	{"", "configmaps", all, all},
	{"", "services", all, all},
	{"networking.k8s.io", "ingresses", all, all},
	{"", "persistentvolumeclaims", all, all},
	{"", "serviceaccounts", all, all},
	{"", "serviceaccounts/token", "", ""},
	{"", "secrets", "", ""},
	{"networking.k8s.io", "networkpolicies", reading, all},
	{"", "resourcequotas", reading, reading},
	{"", "limitranges", reading, reading},
	{"rbac.authorization.k8s.io", "roles", "", reading},
	{"rbac.authorization.k8s.io", "rolebindings", "", reading},
	{"journal.example.com", "namespaceclaims", all, all},
	{"journal.example.com", "namespaceclaims/status", "", ""},
	{"journal.example.com", "budgets", reading, reading},
	{"journal.example.com", "budgets/status", "", ""},
	{logsGroup, "logs", "list watch", "list watch"},
	{logsGroup, "logs/proxy", "get create", "get create"},
}

// clusterRights are the verbs of every user whom the stack declares, on resources without a namespace.
var clusterRights = []struct{ group, resource, verbs string }{
	{"", "nodes", reading},
	{"", "nodes/proxy", ""},
	{"", "namespaces", reading},
	{"", "persistentvolumes", ""},
	{"rbac.authorization.k8s.io", "clusterroles", ""},
	{"rbac.authorization.k8s.io", "clusterrolebindings", ""},
	{"certificates.k8s.io", "certificatesigningrequests", ""},
	{"admissionregistration.k8s.io", "validatingadmissionpolicies", ""},
	{"apiextensions.k8s.io", "customresourcedefinitions", ""},
}

// persona is a user who sends requests, with what the stack declares of them.
type persona struct {
	name       string
	kubeconfig string            // their own, or the administrator's if the request impersonates
	as         []string          // the user and the groups to impersonate
	roles      map[string]string // by namespace
	declared   bool              // whether the stack names them
	logs       bool              // whether they read the lines of all namespaces
	admin      bool              // whether they have all rights
}

// may says whether the stack allows a request of the persona.
func (p persona) may(ask authorization.ResourceAttributes, granted func(role string) string) bool {
	if p.admin {
		return true
	}
	role := p.roles[ask.Namespace]
	if p.logs && ask.Group == logsGroup {
		role = owner
	}
	if ask.Namespace == "" && p.declared {
		role = "declared"
	}
	return role != "" && slices.Contains(strings.Fields(granted(role)), ask.Verb)
}

func matrix(t *testing.T) {
	compare(t, []persona{
		{name: "alice", kubeconfig: tenancy.config["alice"], roles: map[string]string{"team-a": owner, "alice": owner}, declared: true},
		{name: "bob", kubeconfig: tenancy.config["bob"], roles: map[string]string{"team-a": developer, "bob": owner}, declared: true},
		// The journal's owners are a group of an identity provider.
		{name: "a member of platform", kubeconfig: world.cluster.Kubeconfig(), as: []string{"carol", "platform"}, roles: map[string]string{world.outputs.Namespace: owner}, declared: true, logs: true},
		{name: "somebody undeclared", kubeconfig: world.cluster.Kubeconfig(), as: []string{"mallory"}},
		{name: "admin", kubeconfig: world.cluster.Kubeconfig(), admin: true},
	}, []string{"team-a", "alice", "bob", world.outputs.Namespace, "default", "kube-system", "journal-platform"})
}

// compare asks the API server about every request that the personas could send, in the namespaces and outside, and compares its
// answers with the tables.
func compare(t *testing.T, personas []persona, namespaces []string) {
	t.Helper()
	start := time.Now()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(32)
	var mu sync.Mutex
	count, allowed := 0, 0
	for _, p := range personas {
		config, err := clientcmd.BuildConfigFromFlags("", p.kubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		config.QPS = -1 // no rate limit: the number of questions is bounded, and at most 32 run at once
		if len(p.as) > 0 {
			config.Impersonate = rest.ImpersonationConfig{UserName: p.as[0], Groups: append(p.as[1:], "system:authenticated")}
		}
		clients, err := client.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		ask := func(question authorization.ResourceAttributes, granted func(role string) string) {
			question.Resource, question.Subresource, _ = strings.Cut(question.Resource, "/")
			for verb := range strings.FieldsSeq(all) {
				question := question
				question.Verb = verb
				group.Go(func() error {
					answer, err := mayI(ctx, clients, question)
					if err != nil {
						return err
					}
					mu.Lock()
					defer mu.Unlock()
					count++
					if answer {
						allowed++
					}
					if declared := p.may(question, granted); declared != answer {
						t.Errorf("%s, %s %s/%s in %q: the apiserver says %t, the stack %t", p.name, verb, question.Resource, question.Subresource,
							question.Namespace, answer, declared)
					}
					return nil
				})
			}
		}
		for _, row := range rights {
			for _, namespace := range namespaces {
				ask(authorization.ResourceAttributes{Namespace: namespace, Group: row.group, Resource: row.resource}, func(role string) string {
					if role == claimOwner && row.resource == "secrets" {
						return all
					}
					return map[string]string{owner: row.owner, claimOwner: row.owner, developer: row.developer}[role]
				})
			}
		}
		for _, row := range clusterRights {
			ask(authorization.ResourceAttributes{Group: row.group, Resource: row.resource}, func(string) string { return row.verbs })
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d questions (%d personas, %d verbs, %d resources, %d namespaces), %d allowed, in %s", count, len(personas), len(strings.Fields(all)),
		len(rights)+len(clusterRights), len(namespaces), allowed, time.Since(start).Round(100*time.Millisecond))
	if want := len(personas) * len(strings.Fields(all)) * (len(rights)*len(namespaces) + len(clusterRights)); count != want || allowed == 0 {
		t.Errorf("%d questions were asked, and not %d", count, want)
	}
}

func mayI(ctx context.Context, clients client.AuthorizationV1Interface, question authorization.ResourceAttributes) (bool, error) {
	answer, err := clients.SelfSubjectAccessReviews().Create(ctx, &authorization.SelfSubjectAccessReview{
		Spec: authorization.SelfSubjectAccessReviewSpec{ResourceAttributes: &question},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("%+v: %w", question, err)
	}
	return answer.Status.Allowed, nil
}
