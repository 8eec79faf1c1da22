package declare

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

// JSONConfigMap is a ConfigMap with a fixed name, by which programs read it, and a JSON text for each key.
type JSONConfigMap struct {
	Name      string
	Namespace pulumi.StringInput
	Labels    map[string]string
	Values    map[string]any
}

// Declare declares the ConfigMap as a resource of this name.
func (c JSONConfigMap) Declare(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) error {
	data := pulumi.StringMap{}
	for _, key := range slices.Sorted(maps.Keys(c.Values)) {
		text, err := json.Marshal(c.Values[key])
		if err != nil {
			return fmt.Errorf("config map %s: %s: %w", c.Name, key, err)
		}
		data[key] = pulumi.String(text)
	}
	labels := kube.ManagedLabels("journal")
	maps.Copy(labels, c.Labels)
	_, err := corev1.NewConfigMap(ctx, name, &corev1.ConfigMapArgs{
		Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(c.Name), Namespace: c.Namespace, Labels: pulumi.ToStringMap(labels)},
		Data:     data,
	}, opts...)
	if err != nil {
		return fmt.Errorf("config map %s: %w", c.Name, err)
	}
	return nil
}
