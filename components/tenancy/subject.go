package tenancy

import (
	"errors"
	"strings"

	"example.com/journal/components/kube"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const rbacGroup = "rbac.authorization.k8s.io"

// Subject is somebody who may have rights: user:alice, or a group of an identity provider such as group:oidc:team-a.
type Subject string

// Kind returns User or Group, or nothing when the subject is neither.
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

// Check refuses what is neither a user nor a group, and what Kubernetes itself gives names to: a group such as
// system:authenticated is everybody.
func (s Subject) Check() error {
	name := s.Name()
	switch {
	case s.Kind() == "" || name == "" || strings.ContainsAny(name, " \t\r\n,"):
		return errors.New("neither a user nor a group; write user:<name> or group:<name>, such as user:alice")
	case strings.HasPrefix(name, "system:"):
		return errors.New("names that begin with system: belong to Kubernetes; write a user or a group of your own")
	case len(name) > 253:
		return errors.New("longer than 253 characters; write the name that the identity provider gives")
	}
	return nil
}

// rbac returns the subject in the form that a binding takes.
func (s Subject) rbac() rbacv1.SubjectArgs {
	return rbacv1.SubjectArgs{ApiGroup: pulumi.String(rbacGroup), Kind: pulumi.String(s.Kind()), Name: pulumi.String(s.Name())}
}

// rbacSubjects returns subjects in the form that a binding takes.
func rbacSubjects(subjects []Subject) rbacv1.SubjectArray {
	array := make(rbacv1.SubjectArray, len(subjects))
	for i, subject := range subjects {
		array[i] = subject.rbac()
	}
	return array
}

// roleRef refers to a ClusterRole.
func roleRef(clusterRole string) rbacv1.RoleRefArgs {
	return rbacv1.RoleRefArgs{ApiGroup: pulumi.String(rbacGroup), Kind: pulumi.String("ClusterRole"), Name: pulumi.String(clusterRole)}
}

// Members are the people of a tenant, by what they may do.
type Members struct {
	// Owners may do what developers may, see who has access, and manage the claims of others.
	Owners []Subject `json:"owners,omitempty"`
	// Developers run workloads.
	Developers []Subject `json:"developers,omitempty"`
	// Viewers read everything but Secrets.
	Viewers []Subject `json:"viewers,omitempty"`
}

// memberList is one of the lists of Members.
type memberList struct {
	field, role, clusterRole string
	subjects                 []Subject
}

// lists returns the members by role, the most powerful first.
func (m Members) lists() []memberList {
	return []memberList{
		{"owners", "owner", OwnerRole, m.Owners},
		{"developers", "developer", DeveloperRole, m.Developers},
		{"viewers", "viewer", ViewerRole, m.Viewers},
	}
}

// check returns every rule that the members break.
func (m Members) check() kube.Faults {
	var f kube.Faults
	roles := map[Subject]string{}
	for _, list := range m.lists() {
		for _, subject := range list.subjects {
			f.Check(list.field, subject, subject.Check())
			if role, listed := roles[subject]; listed {
				f.Refuse(list.field, subject, "already in the list of the %ss, and each role holds what the lower ones may; remove one of the two", role)
			}
			roles[subject] = list.role
		}
	}
	return f
}
