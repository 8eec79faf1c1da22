package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"example.com/journal/services/namespace-controller/api"
)

// The ClusterRoles of a tenant's members, and the one on Secrets.
const (
	ownerRole     = "journal-tenant-owner"
	developerRole = "journal-tenant-developer"
	viewerRole    = "journal-tenant-viewer"
	secretsRole   = "journal-tenant-secrets"
)

// The RoleBindings in a claimed namespace.
const (
	ownersBinding     = "owners"
	developersBinding = "developers"
	viewersBinding    = "viewers"
	secretsBinding    = "secrets"
)

// claimedBindings are all RoleBindings that the controller writes in a claimed namespace, with their roles.
var claimedBindings = []struct{ name, role string }{
	{ownersBinding, ownerRole}, {developersBinding, developerRole}, {viewersBinding, viewerRole}, {secretsBinding, secretsRole},
}

// members are the users and groups with a role in the namespace that a claim is in.
type members struct {
	owners, developers, viewers []rbacv1.Subject
	// lowered are those of the viewers who are owners or developers again when the tenant is resumed.
	lowered []rbacv1.Subject
}

// membersOf reads the members of a namespace from the bindings that the stack writes there. It goes by their roles, which the
// stack may lower. What an administrator binds beside them is no membership: the admission policies know the stack's members.
func (r *reconciler) membersOf(ctx context.Context, namespace string) (*members, error) {
	bindings := &rbacv1.RoleBindingList{}
	if err := r.live.List(ctx, bindings, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	m := &members{}
	roles := map[string]*[]rbacv1.Subject{ownerRole: &m.owners, developerRole: &m.developers, viewerRole: &m.viewers}
	for _, binding := range bindings.Items {
		list := roles[binding.RoleRef.Name]
		if binding.RoleRef.Kind != "ClusterRole" || list == nil || !slices.Contains([]string{ownersBinding, developersBinding, viewersBinding}, binding.Name) {
			continue
		}
		for _, subject := range binding.Subjects {
			if subject.Kind == rbacv1.UserKind || subject.Kind == rbacv1.GroupKind {
				*list = append(*list, subject)
				if list == &m.viewers && binding.Name != viewersBinding {
					m.lowered = append(m.lowered, subject)
				}
			}
		}
	}
	return m, nil
}

// names reports whether a user is by name an owner or a developer. Only the identity provider knows who is in a group.
func (m *members) names(user string) bool {
	return m != nil && slices.Contains(slices.Concat(m.owners, m.developers), userNamed(user))
}

// userNamed is a user as a binding names one.
func userNamed(name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}
}

// rights are who has rights in a claimed namespace: the subjects of its RoleBindings, by name of the binding.
type rights map[string][]rbacv1.Subject

// rightsOf returns who is to have rights in the namespace of a claim: its owner, as long as the claim's namespace names them,
// and with access Tenant the members by their roles. An owner whom the stack has lowered to a viewer is a viewer here too.
// Groups stay groups: whoever leaves one loses the claimed namespace too.
func (m *members) rightsOf(claim *api.NamespaceClaim) rights {
	given := rights{}
	if m != nil && claim.Spec.Access == api.AccessTenant {
		given = rights{ownersBinding: m.owners, developersBinding: m.developers, viewersBinding: m.viewers}
	}
	switch owner := userNamed(claim.Spec.Owner); {
	case m.names(claim.Spec.Owner):
		given[ownersBinding] = append(slices.Clone(given[ownersBinding]), owner)
		given[developersBinding] = slices.DeleteFunc(slices.Clone(given[developersBinding]), func(s rbacv1.Subject) bool { return s == owner })
	case m != nil && slices.Contains(m.lowered, owner):
		given[viewersBinding] = append(slices.Clone(given[viewersBinding]), owner)
	}
	// The namespace starts empty, so that its Secrets are those of its members.
	given[secretsBinding] = slices.Concat(given[ownersBinding], given[developersBinding])
	for name, subjects := range given {
		given[name] = sorted(subjects)
	}
	return given
}

// asViewers returns the rights in a suspended namespace: everybody reads it and does no more.
func (g rights) asViewers() rights {
	return rights{viewersBinding: sorted(slices.Concat(g[ownersBinding], g[developersBinding], g[viewersBinding]))}
}

// sorted returns the subjects in an order that is always the same, each once.
func sorted(subjects []rbacv1.Subject) []rbacv1.Subject {
	subjects = slices.Clone(subjects)
	slices.SortFunc(subjects, func(a, b rbacv1.Subject) int { return cmp.Or(cmp.Compare(b.Kind, a.Kind), cmp.Compare(a.Name, b.Name)) })
	return slices.Compact(subjects)
}

// nobody reports whether nobody has rights.
func (g rights) nobody() bool {
	for _, subjects := range g {
		if len(subjects) > 0 {
			return false
		}
	}
	return true
}

// bindingIn returns the RoleBinding that gives subjects a role in a namespace.
func bindingIn(namespace, name, role string, subjects []rbacv1.Subject) *unstructured.Unstructured {
	list := make([]any, len(subjects))
	for i, s := range subjects {
		list[i] = map[string]any{"apiGroup": s.APIGroup, "kind": s.Kind, "name": s.Name}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": rbacv1.SchemeGroupVersion.String(),
		"kind":       "RoleBinding",
		"metadata":   map[string]any{"name": name, "namespace": namespace},
		"roleRef":    map[string]any{"apiGroup": rbacv1.GroupName, "kind": "ClusterRole", "name": role},
		"subjects":   list,
	}}
}

// grant gives rights in a namespace. One binding that is refused does not keep the others from being written.
func (r *reconciler) grant(ctx context.Context, namespace string, given rights) error {
	var problems []error
	for _, binding := range claimedBindings {
		if subjects := given[binding.name]; len(subjects) > 0 {
			if err := r.apply(ctx, bindingIn(namespace, binding.name, binding.role, subjects)); err != nil {
				problems = append(problems, fmt.Errorf("apply RoleBinding %s: %w", binding.name, err))
			}
		}
	}
	return errors.Join(problems...)
}

// takeAway takes the rights in a namespace from everybody who is not to keep them. It only changes existing bindings, since
// nothing can be created in a namespace that is being deleted, and of those only its own: an administrator's has another role.
func (r *reconciler) takeAway(ctx context.Context, namespace string, keep rights) error {
	existing := &rbacv1.RoleBindingList{}
	if err := r.live.List(ctx, existing, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("list the role bindings in namespace %s: %w", namespace, err)
	}
	var problems []error
	for _, binding := range claimedBindings {
		at := slices.IndexFunc(existing.Items, func(b rbacv1.RoleBinding) bool {
			return b.Name == binding.name && b.RoleRef.Kind == "ClusterRole" && b.RoleRef.Name == binding.role
		})
		if at < 0 {
			continue
		}
		before := existing.Items[at].Subjects
		kept := slices.DeleteFunc(slices.Clone(before), func(s rbacv1.Subject) bool { return !slices.Contains(keep[binding.name], s) })
		if len(kept) == len(before) {
			continue
		}
		if err := r.apply(ctx, bindingIn(namespace, binding.name, binding.role, kept)); client.IgnoreNotFound(err) != nil {
			problems = append(problems, fmt.Errorf("take rights from RoleBinding %s in namespace %s: %w", binding.name, namespace, err))
		}
	}
	return errors.Join(problems...)
}

// apply applies an object, and takes its fields over from other managers.
func (r *reconciler) apply(ctx context.Context, object *unstructured.Unstructured) error {
	return r.writer.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(controllerName), client.ForceOwnership)
}
