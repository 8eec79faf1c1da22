// Package graphtest helps tests to read the graph of what a program declares.
package graphtest

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/internal/graph"
)

// The types of resources, as the engine names them.
const (
	Namespace        = "kubernetes:core/v1:Namespace"
	ResourceQuota    = "kubernetes:core/v1:ResourceQuota"
	LimitRange       = "kubernetes:core/v1:LimitRange"
	ConfigMap        = "kubernetes:core/v1:ConfigMap"
	Secret           = "kubernetes:core/v1:Secret"
	ServiceAccount   = "kubernetes:core/v1:ServiceAccount"
	NetworkPolicy    = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
	Role             = "kubernetes:rbac.authorization.k8s.io/v1:Role"
	RoleBinding      = "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding"
	ClusterRole      = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
	ClusterBinding   = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
	AdmissionPolicy  = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
	AdmissionBinding = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding"
	Deployment       = "kubernetes:apps/v1:Deployment"
	CRD              = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
	PriorityClass    = "kubernetes:scheduling.k8s.io/v1:PriorityClass"
)

// Run runs a program and returns its graph.
func Run(t *testing.T, program pulumi.RunFunc, options ...graph.Option) *graph.Graph {
	t.Helper()
	g, err := graph.Run(program, options...)
	require.NoError(t, err)
	return g
}

// Find returns the one registration with this type and name.
func Find(t *testing.T, g *graph.Graph, token, name string) graph.Resource {
	t.Helper()
	r, err := g.Find(token, name)
	require.NoError(t, err)
	return r
}

// Example tests a program that shows one component: it declares the component, in a preview as well, and an update has this output.
func Example(t *testing.T, program pulumi.RunFunc, token, name, output string, value any, options ...graph.Option) {
	t.Helper()
	t.Run("an update", func(t *testing.T) {
		g := Run(t, program, options...)
		Find(t, g, token, name)
		assert.Equal(t, value, g.Outputs()[output])
	})
	t.Run("a preview", func(t *testing.T) {
		Find(t, Run(t, program, append(options, graph.Preview())...), token, name)
	})
}

// Decode decodes the JSON under one key of a ConfigMap.
func Decode(t *testing.T, configMap graph.Resource, key string, into any) {
	t.Helper()
	data, _ := configMap.Field("data").(map[string]any)
	text, ok := data[key].(string)
	require.True(t, ok, "%s has no key %s", configMap.Name, key)
	require.NoError(t, json.Unmarshal([]byte(text), into))
}

// Grants returns every rule of a role as group/resource:verb.
func Grants(role graph.Resource) []string {
	var all []string
	list, _ := role.Field("rules").([]any)
	for _, entry := range list {
		rule := entry.(map[string]any)
		for _, group := range rule["apiGroups"].([]any) {
			for _, resource := range rule["resources"].([]any) {
				for _, verb := range rule["verbs"].([]any) {
					all = append(all, fmt.Sprint(group, "/", resource, ":", verb))
				}
			}
		}
	}
	return all
}
