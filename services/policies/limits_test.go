//go:build e2e

package policies

import (
	"fmt"
	"strings"
	"testing"
)

// resources are the fields of a container, or of a pod, with these amounts.
func resources(requests, limits string) string {
	return "resources: {requests: {" + requests + "}, limits: {" + limits + "}}"
}

// TestAWorkloadWhosePodsWouldAllBeRefusedIsRefusedItself compares the policy with the API server's answer to the same pod: what
// is refused for a workload is refused for its pod, and what is let through is let through.
func TestAWorkloadWhosePodsWouldAllBeRefusedIsRefusedItself(t *testing.T) {
	const main = "spec.template.spec.containers[main].resources"
	containers := func(kind, fields string, names ...string) string {
		var list []string
		for _, name := range names {
			list = append(list, "{name: "+name+", image: "+image+", "+fields+"}")
		}
		return kind + ": [" + strings.Join(list, ", ") + "]"
	}
	for name, test := range map[string]struct{ spec, says string }{
		"nothing":                          {spec("", ""), ""},
		"as much as one may have":          {spec(resources("", `cpu: "1", memory: 2Gi, ephemeral-storage: 4Gi`), ""), ""},
		"cpu":                              {spec(resources("", `cpu: 1100m`), ""), main + `, cpu 1100m: above the maximum of one container; write at most 1 as limit and as request`},
		"memory":                           {spec(resources("", `memory: 3Gi`), ""), main + `, memory 3Gi: above the maximum of one container; write at most 2Gi as limit`},
		"ephemeral storage":                {spec(resources("", `ephemeral-storage: 5Gi`), ""), main + `, ephemeral-storage 5Gi: above the maximum of one container; write at most 4Gi as limit`},
		"a request":                        {spec(resources(`cpu: "2"`, ""), ""), main + `, cpu 2: above the maximum of one container; write at most 1`},
		"all at once":                      {spec(resources("", `cpu: "2", memory: 3Gi`), ""), `as request; ` + main + `, memory 3Gi: above`},
		"an init container":                {spec("", containers("initContainers", resources("", "memory: 3Gi"), "first")), `spec.template.spec.initContainers[first].resources, memory 3Gi: above the maximum`},
		"a request above the default":      {spec(resources("memory: 256Mi", ""), ""), main + `.limits.memory: it is missing, and the default of 128Mi is below the request; write 256Mi or more`},
		"a request below the default":      {spec(resources("memory: 64Mi", ""), ""), ""},
		"a limit below the default":        {spec(resources("", "memory: 64Mi"), ""), ""},
		"a request above the default init": {spec("", containers("initContainers", resources("memory: 256Mi", ""), "first")), `initContainers[first].resources.limits.memory: it is missing`},
		"two that fit together":            {"{" + containers("containers", resources("", "memory: 2Gi"), "a", "b") + "}", ""},
		"three that do not":                {"{" + containers("containers", resources("", "memory: 2Gi"), "a", "b", "c") + "}", `spec.template.spec, memory: the pod's limits are 6144Mi, above the maximum of one pod; write limits that are together at most 4Gi`},
		"two and a sidecar": {"{" + containers("initContainers", "restartPolicy: Always, "+resources("", "memory: 2Gi"), "s") + ", " + containers("containers", resources("", "memory: 2Gi"), "a", "b") + "}",
			`spec.template.spec, memory: the pod's limits are 6144Mi`},
		"two and one before": {"{" + containers("initContainers", resources("", "memory: 2Gi"), "s") + ", " + containers("containers", resources("", "memory: 2Gi"), "a", "b") + "}", ""},
		"a whole pod":        {spec("", resources("memory: 1Gi", "memory: 4Gi")), ""},
		"a whole pod above":  {spec("", resources("", "memory: 5Gi")), `spec.template.spec, memory: the pod's limits are 5120Mi, above the maximum of one pod`},
		"a whole pod below the default of its container": {spec("", resources("", "memory: 64Mi")), main + `.limits.memory: it is missing, and the default of 128Mi is above the pod's limit; write 64Mi or less`},
		"a whole pod that requests less than the default": {spec("", resources("memory: 64Mi", "")),
			`spec.template.spec.resources.requests.memory 64Mi: below what its containers request together, with the default of those that state none; write 128Mi or more`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, kind := range kinds {
				_, err := kubectl(workload(kind, "alice", "sized", test.spec), "create", "--dry-run=server", "--filename", "-")
				switch {
				case test.says == "" && err != nil:
					t.Errorf("%s: %v", kind, err)
				case test.says != "" && (err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "spec.jobTemplate.spec.template.spec", "spec.template.spec"), test.says)):
					t.Errorf("%s: %v, want %q in it", kind, err, test.says)
				}
			}
			_, err := kubectl("{apiVersion: v1, kind: Pod, metadata: {name: sized, namespace: alice}, spec: "+test.spec+"}", "create", "--dry-run=server", "--filename", "-")
			if refused := err != nil; refused != (test.says != "") {
				t.Errorf("the pod itself: %v", err)
			}
		})
	}
}

func TestTheLimitsBindWhatChangesAndNotWhatIsThere(t *testing.T) {
	const large = "large"
	must(t, deployment("default", large, resources("", `cpu: "9"`), ""), "create", "--dry-run=server", "--filename", "-") // of no tenant
	must(t, "{apiVersion: v1, kind: Namespace, metadata: {name: raised, labels: {journal.example.com/tenant: raised}}}", "create", "--filename", "-")
	must(t, deployment("raised", large, resources("", `cpu: "9"`), ""), "create", "--filename", "-") // has no limits yet
	must(t, "{apiVersion: v1, kind: LimitRange, metadata: {name: tenant, namespace: raised}, spec: {limits: [{type: Container, max: {cpu: 1}}]}}", "create", "--filename", "-")
	must(t, "", "label", "deployment", large, "example.com/seen=yes", "--namespace", "raised")
	must(t, "", "scale", "deployment", large, "--replicas=3", "--namespace", "raised")
	eventually(t, func() error { // until the API server knows the new limits
		_, err := kubectl("", "set", "image", "deployment", large, "main=registry.example.com/app:1.2.4", "--namespace", "raised")
		if err != nil && strings.Contains(err.Error(), "cpu 9: above the maximum of one container; write at most 1") {
			return nil
		}
		if err == nil {
			_, err = kubectl("", "set", "image", "deployment", large, "main=registry.example.com/app:1.2.3", "--namespace", "raised")
		}
		return fmt.Errorf("it is not refused: %w", err)
	})
}

func TestAPreviewOfTheStackDoesNotSeeTheLimitsThatItRaises(t *testing.T) {
	manifest := deployment("journal", "large", resources("", `cpu: "99"`), "")
	must(t, manifest, "create", "--dry-run=server", "--filename", "-")
	if _, err := kubectl(manifest, "create", "--filename", "-"); err == nil || !strings.Contains(err.Error(), "above the maximum of one container") {
		t.Errorf("%v", err)
	}
}

// TestAQuotaCountsALimitAsTheRequestThatIsMissing reads the warning of the quota policy. No controller makes the pods of a
// StatefulSet here, so that nothing is used.
func TestAQuotaCountsALimitAsTheRequestThatIsMissing(t *testing.T) {
	must(t, "{apiVersion: v1, kind: Namespace, metadata: {name: counted, labels: {journal.example.com/tenant: counted}}}", "create", "--filename", "-")
	must(t, `{apiVersion: v1, kind: ResourceQuota, metadata: {name: tenant, namespace: counted}, spec: {hard: {requests.cpu: "1", limits.cpu: "4"}}}`, "create", "--filename", "-")
	for limits, says := range map[string]string{
		resources("", `cpu: "2"`):          "the namespace would use 2 of 1 requests.cpu;",
		resources("cpu: 500m", `cpu: "2"`): "",
		resources("cpu: 500m", `cpu: "5"`): "the namespace would use 5 of 4 limits.cpu;",
	} {
		eventually(t, func() error { // until the API server knows the quota
			name := strings.ToLower(strings.NewReplacer(" ", "", ":", "", "{", "", "}", "", ",", "", `"`, "").Replace(limits))
			_, warnings, err := kubectlWarns(workload("StatefulSet", "counted", name, spec(limits, "")), "apply", "--filename", "-")
			if _, failed := kubectl("", "delete", "statefulset", name, "--namespace", "counted"); failed != nil {
				return failed
			}
			if err != nil || says == "" && strings.Contains(warnings, "exceeded quota") || !strings.Contains(warnings, says) {
				return fmt.Errorf("%s: %w: %q, want %q in it", limits, err, warnings, says)
			}
			return nil
		})
	}
}

// TestPodsOfManyContainersAreDecided goes to the cost that the API server allows an expression.
func TestPodsOfManyContainersAreDecided(t *testing.T) {
	var containers, sized []string
	for i := range 200 {
		containers = append(containers, fmt.Sprintf("{name: c%d, image: %s}", i, image))
		sized = append(sized, fmt.Sprintf("{name: c%d, image: %s, %s}", i, image, resources("", "cpu: 10m, memory: 8Mi, ephemeral-storage: 8Mi")))
	}
	all := func(list []string) string { return "{containers: [" + strings.Join(list, ", ") + "]}" }
	must(t, workload("Deployment", "alice", "many", all(sized)), "create", "--dry-run=server", "--filename", "-")
	_, err := kubectl(workload("Deployment", "alice", "many", all(containers)), "create", "--dry-run=server", "--filename", "-")
	if err == nil || !strings.Contains(err.Error(), "above the maximum of one pod; write limits that are together at most 4Gi") {
		t.Errorf("%.300s", fmt.Sprint(err))
	}
	got := decode(t, must(t, workload("Deployment", "early", "many", all(containers)), "create", "--dry-run=server", "--output", "json", "--filename", "-")).pod("Deployment")
	same(t, "the last container", got.Containers[199].SecurityContext, filledContainer)
}
