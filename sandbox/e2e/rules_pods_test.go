//go:build e2e

package e2e

import "strings"

// bareWorkload is a workload whose container has these fields and no security context.
func bareWorkload(kind, container string) string {
	fields := strings.TrimSuffix("name: main, image: "+exactImage+", "+container, ", ")
	template := "{metadata: {labels: {app: web}}, spec: {containers: [{" + fields + "}]}}"
	once := strings.Replace(template, "spec: {", "spec: {restartPolicy: Never, ", 1)
	switch kind {
	case "Pod":
		return manifestOf("v1", kind, "e2e-row", "spec: {containers: [{"+fields+"}]}")
	case "Job":
		return manifestOf("batch/v1", kind, "e2e-row", "spec: {suspend: true, template: "+once+"}")
	case "CronJob":
		return manifestOf("batch/v1", kind, "e2e-row", `spec: {schedule: "0 0 1 1 *", jobTemplate: {spec: {template: `+once+"}}}")
	}
	if kind == "DaemonSet" {
		return manifestOf("apps/v1", kind, "e2e-row", "spec: {selector: {matchLabels: {app: web}}, template: "+template+"}")
	}
	return manifestOf("apps/v1", kind, "e2e-row", "spec: {replicas: 0, selector: {matchLabels: {app: web}}, template: "+template+"}")
}

// podsRows are requests with pods that state no security context, or a bad one, and with workloads over the limits.
func podsRows() []row {
	const (
		large      = "above the maximum of one container; write at most 4Gi as limit and as request"
		undeclared = "resources.limits.memory: it is missing, and the default of 128Mi is below the request; write 256Mi or more"
	)
	all := []row{
		{developerBob, "create", bareWorkload("Pod", "securityContext: {privileged: true}"), "", "securityContext.privileged"},
		{admin, "create", bareWorkload("Pod", "securityContext: {privileged: true}"), "", "securityContext.privileged"},
		{developerBob, "create", bareWorkload("Pod", "securityContext: {allowPrivilegeEscalation: true}"), "", "allowPrivilegeEscalation != false"},
		{developerBob, "create", bareWorkload("Pod", "securityContext: {runAsNonRoot: false}"), "", "runAsNonRoot != true"},
		{developerBob, "create", bareWorkload("Pod", "securityContext: {runAsUser: 0}"), "", "runAsUser=0"},
		{developerBob, "create", bareWorkload("Pod", "securityContext: {seccompProfile: {type: Unconfined}}"), "", "seccompProfile"},
		{developerBob, "create", bareWorkload("Pod", "securityContext: {capabilities: {add: [SYS_ADMIN]}}"), "", "unrestricted capabilities"},
		{developerBob, "create", bareWorkload("Pod", "securityContext: {capabilities: {add: [NET_BIND_SERVICE]}}"), "", ""},
		{developerBob, "create", bareWorkload("Pod", "resources: {limits: {memory: 5Gi}}"), "", "maximum memory usage per Container is 4Gi"},
		{developerBob, "patch", "Deployment/e2e-web", `{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"` + exactImage + `","resources":{"limits":{"cpu":"3"}}}]}}}}`,
			"cpu 3: above the maximum of one container; write at most 2 as limit and as request"},
		{developerBob, "patch", "Deployment/e2e-web", `{"metadata":{"labels":{"example.com/seen":"yes"}}}`, ""},
		// The journal's own class is large.
		{journalsCarol, "create", within("journal", bareWorkload("Deployment", "")), "", ""},
	}
	for _, kind := range []string{"Pod", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"} {
		all = append(all, row{developerBob, "create", bareWorkload(kind, ""), "", ""})
		if kind != "Pod" {
			all = append(all,
				row{developerBob, "create", bareWorkload(kind, "resources: {limits: {memory: 5Gi}}"), "", large},
				row{admin, "create", bareWorkload(kind, "resources: {limits: {memory: 5Gi}}"), "", large},
				row{developerBob, "create", bareWorkload(kind, "resources: {requests: {memory: 256Mi}}"), "", undeclared})
		}
	}
	return all
}
