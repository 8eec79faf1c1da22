package tenancy

import (
	"fmt"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// Subject is a user or a group, as all components know them.
type Subject = kube.Subject

// Members are the people of a tenant, by role.
type Members struct {
	// Owners may do what developers may, see who has access, and manage the claims of others.
	Owners []Subject `json:"owners"`
	// Developers run workloads.
	Developers []Subject `json:"developers"`
	// Viewers read everything but Secrets.
	Viewers []Subject `json:"viewers"`
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

// check returns every rule that the members break, such as a member who is listed twice or is the owner already.
func (m Members) check(owner Subject) rules.Faults {
	var f rules.Faults
	roles := map[Subject]string{}
	for _, list := range m.lists() {
		for i, subject := range list.subjects {
			path := fmt.Sprintf("%s[%d]", list.field, i)
			role, listed := roles[subject]
			switch err := subject.Check(); {
			case err != nil:
				f.Check(path, subject, err)
			case listed:
				f.Refuse(path, subject, "already one of the %ss, and each role has the rights of the lower ones; remove one of the two", role)
			case subject == owner && list.role != "owner":
				f.Refuse(path, subject, "already one of the owners, and each role has the rights of the lower ones; remove it")
			}
			roles[subject] = list.role
		}
	}
	return f
}
