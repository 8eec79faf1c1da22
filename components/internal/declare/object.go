package declare

import "example.com/journal/components/kube"

// Object is a plain object without a namespace, with the labels of what the stack manages.
func Object(apiVersion, kind, name string, spec map[string]any) kube.Object {
	metadata := map[string]any{"name": name, "labels": kube.ManagedLabels("journal")}
	return kube.Object{"apiVersion": apiVersion, "kind": kind, "metadata": metadata, "spec": spec}
}
