package kube

import (
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Part identifies one part of an application. All of its objects carry the same labels.
type Part struct {
	// App is the value of the label `app`, which finds every object of the part and selects its pods.
	App string
	// Component is the part's role in the application, such as database or api: app.kubernetes.io/component.
	Component string
	// Instance tells two installations of the same part in one program apart: app.kubernetes.io/instance.
	Instance string
	// Image is the part's main image; its tag is app.kubernetes.io/version.
	Image string
}

// Selector returns the labels that find the part's pods. They never change: a workload's selector is immutable.
func (p Part) Selector() pulumi.StringMap {
	return pulumi.StringMap{"app": pulumi.String(p.App)}
}

// Labels returns the labels of every object of the part, by the names that Kubernetes recommends:
// https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
func (p Part) Labels() pulumi.StringMap {
	labels := p.Selector()
	labels["app.kubernetes.io/name"] = pulumi.String(p.App)
	labels["app.kubernetes.io/instance"] = pulumi.String(p.Instance)
	labels["app.kubernetes.io/component"] = pulumi.String(p.Component)
	labels["app.kubernetes.io/part-of"] = pulumi.String("journal")
	labels["app.kubernetes.io/managed-by"] = pulumi.String("pulumi")
	return labels
}

// WorkloadLabels returns the labels of the part's workload and of its pods: those of every object, and the version. The
// other objects do not carry it, so that a new version changes the workload and nothing else.
func (p Part) WorkloadLabels() pulumi.StringMap {
	labels := p.Labels()
	if version := imageVersion(p.Image); version != "" {
		labels["app.kubernetes.io/version"] = pulumi.String(version)
	}
	return labels
}

// Meta returns the metadata of an object of the part. Every object is called by the part's App, and none by a name that the
// engine makes: so an update finds it again whatever became of the state.
func (p Part) Meta(namespace pulumi.StringInput) metav1.ObjectMetaArgs {
	return metav1.ObjectMetaArgs{Name: pulumi.String(p.App), Namespace: namespace, Labels: p.Labels()}
}

// WorkloadMeta returns the metadata of the part's workload.
func (p Part) WorkloadMeta(namespace pulumi.StringInput) metav1.ObjectMetaArgs {
	return metav1.ObjectMetaArgs{Name: pulumi.String(p.App), Namespace: namespace, Labels: p.WorkloadLabels()}
}

// ManagedLabels returns the labels of objects that belong to no part of an application.
func ManagedLabels() map[string]string {
	return map[string]string{"app.kubernetes.io/part-of": "journal", "app.kubernetes.io/managed-by": "pulumi"}
}

// RestrictedPods is the strictest of the Pod Security Standards:
// https://kubernetes.io/docs/concepts/security/pod-security-standards/
const RestrictedPods = "restricted"

// PodSecurityLabels returns the labels that enforce a Pod Security Standard in a namespace. Whatever is enforced, what breaks
// the restricted one is warned about.
func PodSecurityLabels(standard string) map[string]string {
	const prefix = "pod-security.kubernetes.io/"
	return map[string]string{
		prefix + "enforce":         standard,
		prefix + "enforce-version": "latest",
		prefix + "audit":           RestrictedPods,
		prefix + "warn":            RestrictedPods,
	}
}
