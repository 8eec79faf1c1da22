package tenancy

// SuspendedQuota is what the quota of a suspended namespace has in place of its class's: no pod is made, and no Job, so that
// the Jobs of a CronJob do not pile up and start all at once when the tenant is resumed. Whatever exists stays.
func SuspendedQuota() map[string]string {
	return map[string]string{"pods": "0", "count/pods": "0", "count/jobs.batch": "0"}
}

// roles returns the members by the role that they have. In a suspended tenant everybody is a viewer.
func (args TenantArgs) roles() []memberList {
	lists := args.Members.lists()
	if args.Suspended {
		for i := range lists {
			lists[i].role, lists[i].clusterRole = "viewer", ViewerRole
		}
	}
	return lists
}
