package stacks

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"strings"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// fieldManagerAnnotation tells Pulumi's Kubernetes plugin as whom it owns an object's fields in server-side apply:
// https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply/
const fieldManagerAnnotation = "pulumi.com/patchFieldManager"

// FieldManager returns the field manager that owns the objects of a stack.
func FieldManager(project, stack string) string { return fmt.Sprintf("pulumi-%s-%s", project, stack) }

// ownFields makes every object of the stack belong to one field manager, instead of one with a random name that only the
// state knows. Together with names that are known beforehand it lets an update find again what a killed one has created
// and could not write down: the same manager applies the same object once more. Two stacks that declare one object stay in
// conflict, as they should.
//
// It is a transformation in this process, since one that the engine calls loses the option DeletedWith on its way.
func ownFields(ctx *pulumi.Context) error {
	manager := FieldManager(ctx.Project(), ctx.Stack())
	return ctx.RegisterStackTransformation(func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
		// A patch is of an object that is another resource's, and has a field manager of its own.
		if !strings.HasPrefix(args.Type, "kubernetes:") || strings.HasSuffix(args.Type, "Patch") {
			return nil
		}
		if object, isPlain := args.Props.(pulumi.Map); isPlain {
			return &pulumi.ResourceTransformationResult{Props: ownedBy(manager, object), Opts: args.Opts}
		}
		// The SDK's types have nothing in common but the field. What an output refers to has no inputs at all.
		inputs := reflect.Indirect(reflect.ValueOf(args.Props))
		if inputs.Kind() != reflect.Struct {
			return nil
		}
		field := inputs.FieldByName("Metadata")
		if !field.IsValid() || !field.CanSet() {
			return nil
		}
		metadata, _ := field.Interface().(metav1.ObjectMetaArgs)
		annotations, _ := metadata.Annotations.(pulumi.StringMap)
		annotations = clone(annotations)
		annotations[fieldManagerAnnotation] = pulumi.String(manager)
		metadata.Annotations = annotations
		field.Set(reflect.ValueOf(metadata))
		return &pulumi.ResourceTransformationResult{Props: args.Props, Opts: args.Opts}
	})
}

// ownChartObjects is the same for the objects of a Helm chart, as an option of what contains it. Pulumi's Kubernetes plugin
// declares them, in a process of its own, so only a transform that the engine calls sees them.
func ownChartObjects(manager string) pulumi.ResourceTransform {
	return func(_ context.Context, args *pulumi.ResourceTransformArgs) *pulumi.ResourceTransformResult {
		if !args.Custom || !strings.HasPrefix(args.Type, "kubernetes:") {
			return nil
		}
		return &pulumi.ResourceTransformResult{Props: ownedBy(manager, args.Props), Opts: args.Opts}
	}
}

// ownedBy returns a copy of an object that belongs to a field manager.
func ownedBy(manager string, object pulumi.Map) pulumi.Map {
	metadata, _ := object["metadata"].(pulumi.Map)
	annotations, _ := metadata["annotations"].(pulumi.Map)
	object, metadata, annotations = clone(object), clone(metadata), clone(annotations)
	annotations[fieldManagerAnnotation] = pulumi.String(manager)
	metadata["annotations"] = annotations
	object["metadata"] = metadata
	return object
}

// clone is a copy that can be written to, even of no map.
func clone[M ~map[string]V, V any](m M) M {
	copied := M{}
	maps.Copy(copied, m)
	return copied
}
