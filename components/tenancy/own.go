package tenancy

import (
	"fmt"
	"maps"
	"strconv"

	"example.com/journal/components/kube"
)

// adjustQuota makes the quota of the class, which is among the objects, the tenant's: it adds room for what the stack itself adds
// to the namespace, so that the tenant keeps all that its class says and what the stack adds always fits. In a suspended tenant
// nothing starts.
func (args TenantArgs) adjustQuota(objects []kube.Object) error {
	own := map[string]bool{"count/serviceaccounts": args.Deployer, "count/secrets": args.PullSecret != nil}
	for _, object := range objects {
		if object["kind"] != "ResourceQuota" {
			continue
		}
		spec, _ := object["spec"].(map[string]any)
		hard, ok := spec["hard"].(map[string]string)
		if !ok {
			return fmt.Errorf("ResourceQuota %s: spec.hard has the type %T; must be map[string]string", object.Name(), spec["hard"])
		}
		for count, adds := range own {
			if number, err := strconv.Atoi(hard[count]); err == nil && adds {
				hard[count] = strconv.Itoa(number + 1)
			}
		}
		if args.Suspended {
			maps.Copy(hard, SuspendedQuota())
		}
	}
	return nil
}
