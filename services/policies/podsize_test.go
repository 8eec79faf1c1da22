//go:build e2e

package policies

import (
	"fmt"
	"strings"
	"testing"
)

// The metric store keeps each port of each pod with all labels and annotations of the pod.
func TestAPodHasFewPortsLabelsAndAnnotations(t *testing.T) {
	ports := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("{containerPort: %d}", 1000+i))
		}
		return "ports: [" + strings.Join(all, ", ") + "]"
	}
	metadata := func(field string, n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("a%d: b", i))
		}
		return "metadata: {" + field + ": {" + strings.Join(all, ", ") + "}, "
	}
	for name, test := range map[string]struct{ pod, says string }{
		"49 ports of a container":  {pod("team-a", "size", ports(49), ""), ""},
		"50 ports of a container":  {pod("team-a", "size", ports(50), ""), "spec.containers: 51 containers and ports"},
		"ports of init containers": {pod("team-a", "size", ports(25), "initContainers: [{name: first, image: "+image+", "+ports(25)+"}]"), "52 containers and ports"},
		"90 annotations":           {strings.Replace(pod("team-a", "size", "", ""), "metadata: {", metadata("annotations", 90), 1), ""},
		"101 annotations":          {strings.Replace(pod("team-a", "size", "", ""), "metadata: {", metadata("annotations", 101), 1), "labels and annotations, all of which"},
		"101 labels":               {strings.Replace(pod("team-a", "size", "", ""), "metadata: {", metadata("labels", 101), 1), "labels and annotations, all of which"},
	} {
		_, err := kubectl(test.pod, "create", "--dry-run=server", "--filename", "-")
		if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
	}

	must(t, pod("team-a", "grows", "", ""), "create", "--filename", "-")
	t.Cleanup(func() {
		_, _ = kubectl("", "delete", "pod", "grows", "--namespace", "team-a", "--grace-period=0", "--force")
	})
	more := `{"metadata":{"annotations":{`
	for i := range 101 {
		more += fmt.Sprintf(`"a%d":"b",`, i)
	}
	_, err := kubectl("", "patch", "pod", "grows", "--namespace", "team-a", "--patch", strings.TrimSuffix(more, ",")+"}}}")
	if err == nil || !strings.Contains(err.Error(), "labels and annotations, all of which") {
		t.Errorf("a pod that is annotated later: %v", err)
	}
}
