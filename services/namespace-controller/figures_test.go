package main

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"example.com/journal/services/namespace-controller/api"
)

func TestAClaimHasAnEndWhileItsNamespaceIsThere(t *testing.T) {
	t.Parallel()
	tenant := map[string]string{api.LabelTenant: "team-b"}
	suspended := map[string]string{api.LabelTenant: "team-b", api.LabelSuspended: "true"}
	for name, test := range map[string]struct {
		change func(*api.NamespaceClaim)
		home   *metav1.PartialObjectMetadata
		has    bool
	}{
		"one with a namespace":               {func(*api.NamespaceClaim) {}, namespaceNamed("team-b", "home", tenant), true},
		"one that ends soon":                 {func(c *api.NamespaceClaim) { c.Status.Phase = api.Expiring }, namespaceNamed("team-b", "home", tenant), true},
		"one that ends":                      {func(c *api.NamespaceClaim) { c.Status.Phase = api.Deleting }, namespaceNamed("team-b", "home", tenant), false},
		"one that is deleted":                {func(c *api.NamespaceClaim) { c.DeletionTimestamp = &metav1.Time{Time: created} }, namespaceNamed("team-b", "home", tenant), false},
		"one without a namespace yet":        {func(c *api.NamespaceClaim) { c.Status.NamespaceUID = "" }, namespaceNamed("team-b", "home", tenant), false},
		"one that was refused":               {func(c *api.NamespaceClaim) { c.Status = api.NamespaceClaimStatus{Phase: api.Refused} }, namespaceNamed("team-b", "home", tenant), false},
		"one of a suspended tenant":          {func(*api.NamespaceClaim) {}, namespaceNamed("team-b", "home", suspended), false},
		"one in a namespace that is unknown": {func(*api.NamespaceClaim) {}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claim := &api.NamespaceClaim{ObjectMeta: metav1.ObjectMeta{Name: "try", Namespace: "team-b"}, Status: api.NamespaceClaimStatus{
				Namespace: "claim-team-b-try-abcde", NamespaceUID: "uid", ExpiresAt: &metav1.Time{Time: created.Add(time.Hour)}, Phase: api.Active,
			}}
			test.change(claim)
			if got := hasEnd(claim, test.home); got != test.has {
				t.Errorf("%t, want %t", got, test.has)
			}
		})
	}
}
