package tenancy

import (
	"strconv"

	"example.com/journal/components/kube"
)

// withOwn returns the policy objects with room in the quota for what the stack itself adds to the namespace. The tenant keeps
// all that its class says, and what the stack adds always fits.
func (args TenantArgs) withOwn(objects []kube.Object) []kube.Object {
	own := map[string]bool{"count/serviceaccounts": args.Deployer, "count/secrets": args.PullSecret != nil}
	for _, object := range objects {
		if object["kind"] != "ResourceQuota" {
			continue
		}
		hard := object["spec"].(map[string]any)["hard"].(map[string]string)
		for count, adds := range own {
			if number, err := strconv.Atoi(hard[count]); err == nil && adds {
				hard[count] = strconv.Itoa(number + 1)
			}
		}
	}
	return objects
}
