package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"example.com/journal/sandbox/objects"
	"example.com/journal/stacks"
)

// identity tells objects of a cluster apart.
func identity(o unstructured.Unstructured) string { return o.GetNamespace() + " " + nameOf(o) }

// nameOf is how kubectl names an object.
func nameOf(o unstructured.Unstructured) string {
	return strings.ToLower(o.GroupVersionKind().GroupKind().String()) + "/" + o.GetName()
}

// deleteOrphans deletes the objects of the stack that its state does not have: a run that was killed has made them, and they
// are not declared any more. The field manager, which no other stack has, says that they are the stack's. A namespace with
// pods in it is somebody's by now, so it is left to a person.
func (s *Stack) deleteOrphans(ctx context.Context) error {
	checkpoint, err := readCheckpoint(s.work.checkpoint(s.config.Stack))
	if err != nil {
		return err
	}
	cluster, err := objects.Open(s.config.Kubeconfig)
	if err != nil {
		return err
	}
	all, err := cluster.All(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, orphan := range orphans(all, checkpoint.Resources, stacks.FieldManager(s.work.name(), s.config.Stack)) {
		name := nameOf(orphan.Unstructured)
		if orphan.GetKind() == "Namespace" && slices.ContainsFunc(all, func(o objects.Object) bool {
			return o.GetKind() == "Pod" && o.GetNamespace() == orphan.GetName()
		}) {
			s.report("an earlier run, which was killed, made %s, and it is not declared any more, but has pods: delete it with kubectl when nobody needs it", name)
			continue
		}
		background := metav1.DeletePropagationBackground
		err := cluster.Resource(orphan.Resource).Namespace(orphan.GetNamespace()).Delete(ctx, orphan.GetName(), metav1.DeleteOptions{PropagationPolicy: &background})
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("delete %s: %w", name, err))
			continue
		}
		s.report("deleted %s, which an earlier run that was killed had made", name)
	}
	return errors.Join(errs...)
}

// orphans returns the objects that a field manager has applied and a state does not have, without those that go with their
// namespace.
func orphans(all []objects.Object, state []apitype.ResourceV3, manager string) []objects.Object {
	known := map[string]bool{}
	for _, r := range state {
		var o unstructured.Unstructured
		// Only inputs of the Kubernetes plugin are an object.
		if text, err := json.Marshal(r.Inputs); err == nil && o.UnmarshalJSON(text) == nil {
			known[identity(o)] = true
		}
	}
	gone := map[string]bool{} // namespaces
	var found []objects.Object
	for _, o := range all {
		if !known[identity(o.Unstructured)] && slices.ContainsFunc(o.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool {
			return f.Manager == manager && f.Operation == metav1.ManagedFieldsOperationApply
		}) {
			found = append(found, o)
			gone[o.GetName()] = gone[o.GetName()] || o.GetKind() == "Namespace"
		}
	}
	return slices.DeleteFunc(found, func(o objects.Object) bool { return gone[o.GetNamespace()] })
}
