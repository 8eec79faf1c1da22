package journal

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// serviceHost is the DNS name of a Service within any cluster, whatever the cluster's domain.
func serviceHost(service *corev1.Service) pulumi.StringOutput {
	return pulumi.Sprintf("%s.%s.svc", service.Metadata.Name().Elem(), service.Metadata.Namespace().Elem())
}

// env is one environment variable.
func env(name string, value pulumi.StringInput) corev1.EnvVarArgs {
	return corev1.EnvVarArgs{Name: pulumi.String(name), Value: value.ToStringOutput().ToStringPtrOutput()}
}
