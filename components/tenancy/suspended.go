package tenancy

import (
	"maps"

	"example.com/journal/components/kube"
)

// SuspendedQuota is what the quota of a suspended namespace has in place of its class's: no pod is made, and no Job, so that
// the Jobs of a CronJob do not pile up and start all at once when the tenant is resumed. Whatever exists stays.
func SuspendedQuota() map[string]string {
	return map[string]string{"pods": "0", "count/pods": "0", "count/jobs.batch": "0"}
}

// suspend returns the policy objects of a suspended namespace: the same ones, with a quota in which nothing starts.
func suspend(objects []kube.Object) []kube.Object {
	for _, object := range objects {
		if object["kind"] == "ResourceQuota" {
			maps.Copy(object["spec"].(map[string]any)["hard"].(map[string]string), SuspendedQuota())
		}
	}
	return objects
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
