package kube

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"strings"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// FieldManagerAnnotation is the annotation that sets the field manager of Pulumi's Kubernetes plugin in server-side apply:
const FieldManagerAnnotation = "pulumi.com/patchFieldManager"

// FieldManager is an option of a component or of a single object that gives all its objects this field manager. Without it
// each object has its own, with a random name that only the state has. With a known field manager and known names, an update
// recovers from a killed one, whose objects are not in the state: the same manager applies the same object again. Two stacks
// that declare the same object still conflict.
//
// It is a transformation in the program's process, because a transform that the engine calls loses the option DeletedWith. It
// does not see the objects of a Helm chart: see ChartFieldManager.
func FieldManager(manager string) pulumi.ResourceOption {
	return pulumi.Transformations([]pulumi.ResourceTransformation{func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
		// A patch changes another resource's object, and has its own field manager.
		if !strings.HasPrefix(args.Type, "kubernetes:") || strings.HasSuffix(args.Type, "Patch") {
			return nil
		}
		resource := fmt.Sprintf("%s %q", args.Type, args.Name)
		props, err := managedBy(manager, resource, args.Props)
		if err != nil {
			// A transformation cannot return an error. An output that fails makes the registration fail.
			err := fmt.Errorf("field manager of %s: %w", resource, err)
			props = pulumi.Map{"metadata": pulumi.Bool(true).ToBoolOutput().ApplyT(func(bool) (any, error) { return nil, err })}
		}
		if props == nil {
			return nil
		}
		return &pulumi.ResourceTransformationResult{Props: props, Opts: args.Opts}
	}})
}

// ChartFieldManager does the same for the objects of a Helm chart, as an option of the component that contains it. Pulumi's
// Kubernetes plugin declares them in its own process, so only a transform that the engine calls sees them.
func ChartFieldManager(manager string) pulumi.ResourceOption {
	return pulumi.Transforms([]pulumi.ResourceTransform{func(_ context.Context, args *pulumi.ResourceTransformArgs) *pulumi.ResourceTransformResult {
		if !args.Custom || !strings.HasPrefix(args.Type, "kubernetes:") {
			return nil
		}
		props := managedMap(manager, fmt.Sprintf("%s %q", args.Type, args.Name), args.Props)
		return &pulumi.ResourceTransformResult{Props: props, Opts: args.Opts}
	}})
}

// managedBy returns a copy of an object's inputs with a field manager. It returns nil if there is nothing to annotate: a
// resource reference has no inputs, and a chart has no metadata.
func managedBy(manager, resource string, props pulumi.Input) (pulumi.Input, error) {
	if object, isMap := props.(pulumi.Map); isMap {
		return managedMap(manager, resource, object), nil
	}
	// The SDK's types have nothing in common but the field.
	inputs := reflect.Indirect(reflect.ValueOf(props))
	if !inputs.IsValid() {
		return nil, nil
	}
	if inputs.Kind() != reflect.Struct {
		return nil, fmt.Errorf("inputs of type %T have no metadata that could be annotated", props)
	}
	if !inputs.FieldByName("Metadata").IsValid() {
		return nil, nil
	}
	copied := reflect.New(inputs.Type())
	copied.Elem().Set(inputs)
	field := copied.Elem().FieldByName("Metadata")
	annotated, err := managedMeta(manager, field.Interface())
	if err != nil {
		return nil, err
	}
	if value := reflect.ValueOf(annotated); value.Type().AssignableTo(field.Type()) {
		field.Set(value)
		return copied.Interface().(pulumi.Input), nil
	}
	return nil, fmt.Errorf("metadata of type %s cannot be annotated", field.Type())
}

// managedMeta returns metadata with a field manager. Plain values stay plain, so that a preview shows them.
func managedMeta(manager string, metadata any) (metav1.ObjectMetaPtrInput, error) {
	switch metadata := metadata.(type) {
	case nil:
		return metav1.ObjectMetaArgs{Annotations: pulumi.StringMap{FieldManagerAnnotation: pulumi.String(manager)}}, nil
	case *metav1.ObjectMetaArgs:
		return managedMeta(manager, *metadata)
	case metav1.ObjectMetaArgs:
		switch annotations := metadata.Annotations.(type) {
		case nil:
			metadata.Annotations = pulumi.StringMap{FieldManagerAnnotation: pulumi.String(manager)}
		case pulumi.StringMap:
			annotations = with(annotations, FieldManagerAnnotation, pulumi.StringInput(pulumi.String(manager)))
			metadata.Annotations = annotations
		default:
			metadata.Annotations = annotations.ToStringMapOutput().ApplyT(func(annotations map[string]string) map[string]string {
				return with(annotations, FieldManagerAnnotation, manager)
			}).(pulumi.StringMapOutput)
		}
		return metadata, nil
	case metav1.ObjectMetaPtrInput: // a pointer, or an output
		return metadata.ToObjectMetaPtrOutput().ApplyT(func(metadata *metav1.ObjectMeta) *metav1.ObjectMeta {
			var annotated metav1.ObjectMeta
			if metadata != nil {
				annotated = *metadata
			}
			annotated.Annotations = with(annotated.Annotations, FieldManagerAnnotation, manager)
			return &annotated
		}).(metav1.ObjectMetaPtrOutput), nil
	}
	return nil, fmt.Errorf("metadata of type %T cannot be annotated", metadata)
}

// managedMap is managedBy for an object that is a map, because the SDK has no type for its kind. It annotates an output once
// its value is known, and reports an error then.
func managedMap(manager, resource string, object pulumi.Map) pulumi.Map {
	annotated := pulumi.Input(pulumi.Map{FieldManagerAnnotation: pulumi.String(manager)})
	switch metadata := object["metadata"].(type) {
	case nil:
		return with(object, "metadata", pulumi.Input(pulumi.Map{"annotations": annotated}))
	case pulumi.Map:
		switch annotations := metadata["annotations"].(type) {
		case nil:
		case pulumi.Map:
			annotated = with(annotations, FieldManagerAnnotation, pulumi.Input(pulumi.String(manager)))
		case pulumi.StringMap:
			annotated = with(annotations, FieldManagerAnnotation, pulumi.StringInput(pulumi.String(manager)))
		default:
			annotated = pulumi.ToOutput(annotations).ApplyT(func(annotations any) (any, error) {
				return withAny(annotations, manager, resource)
			})
		}
		return with(object, "metadata", pulumi.Input(with(metadata, "annotations", annotated)))
	default:
		output := pulumi.ToOutput(metadata).ApplyT(func(metadata any) (any, error) {
			fields, isMap := metadata.(map[string]any)
			if !isMap {
				return nil, fmt.Errorf("field manager of %s: metadata of type %T cannot be annotated", resource, metadata)
			}
			annotations, err := withAny(fields["annotations"], manager, resource)
			return with(fields, "annotations", annotations), err
		})
		return with(object, "metadata", pulumi.Input(output))
	}
}

// withAny returns the annotations of an output with a field manager.
func withAny(annotations any, manager, resource string) (any, error) {
	switch annotations := annotations.(type) {
	case nil:
		return map[string]any{FieldManagerAnnotation: manager}, nil
	case map[string]any:
		return with(annotations, FieldManagerAnnotation, any(manager)), nil
	case map[string]string:
		return with(annotations, FieldManagerAnnotation, manager), nil
	}
	return nil, fmt.Errorf("field manager of %s: annotations of type %T cannot be added to", resource, annotations)
}

// with returns a copy of a map with one more entry. The map may be nil.
func with[M ~map[string]V, V any](m M, key string, value V) M {
	copied := M{}
	maps.Copy(copied, m)
	copied[key] = value
	return copied
}
