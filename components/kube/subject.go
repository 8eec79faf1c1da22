package kube

import (
	"errors"
	"strings"
	"unicode"

	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/rules"
)

// Subject is a user or a group of an identity provider, such as user:alice or group:oidc:team-a.
type Subject string

// Kind returns User or Group, or the empty text when the subject is neither.
func (s Subject) Kind() string {
	switch kind, _, _ := strings.Cut(string(s), ":"); kind {
	case "user":
		return "User"
	case "group":
		return "Group"
	}
	return ""
}

// Name returns the name of the user or the group, as the API server knows it.
func (s Subject) Name() string {
	_, name, _ := strings.Cut(string(s), ":")
	return name
}

// Check refuses what is neither a user nor a group, and names that Kubernetes reserves: the group system:authenticated is
// everybody.
func (s Subject) Check() error {
	name := s.Name()
	switch {
	case s == "":
		return errors.New("it is empty; write user:<name> or group:<name>, such as user:alice")
	case rules.CheckVisible(string(s)) != nil:
		return rules.CheckVisible(string(s))
	case s.Kind() == "" || name == "":
		return errors.New("neither a user nor a group; write user:<name> or group:<name>, such as user:alice")
	case strings.ContainsFunc(name, unicode.IsSpace):
		return errors.New("it has a space; write the name as the identity provider gives it, such as group:my-team")
	case strings.Contains(name, ","):
		return errors.New("it has a comma; write each name by itself, such as user:alice")
	case strings.HasPrefix(name, "system:"):
		return errors.New("names that begin with system: belong to Kubernetes; write a user or a group of your own")
	case len(name) > 253:
		return errors.New("longer than 253 characters; write the name that the identity provider gives")
	}
	return nil
}

// RBACSubjects returns subjects in the form that a binding takes.
func RBACSubjects(subjects []Subject) rbacv1.SubjectArray {
	array := make(rbacv1.SubjectArray, len(subjects))
	for i, s := range subjects {
		array[i] = rbacv1.SubjectArgs{ApiGroup: pulumi.String(RBACGroup), Kind: pulumi.String(s.Kind()), Name: pulumi.String(s.Name())}
	}
	return array
}
