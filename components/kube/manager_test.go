package kube_test

import (
	"context"
	"testing"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	helmv4 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/helm/v4"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/components/kube"
	"example.com/journal/internal/graph"
	"example.com/journal/internal/graphtest"
)

const (
	configMapToken = "kubernetes:core/v1:ConfigMap"
	annotation     = `metadata.annotations["` + kube.FieldManagerAnnotation + `"]`
)

// managed registers one ConfigMap with the option of a field manager, and returns it.
func managed(t *testing.T, args *corev1.ConfigMapArgs) graph.Resource {
	t.Helper()
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		_, err := corev1.NewConfigMap(ctx, "object", args, kube.FieldManager("alice"))
		return err
	})
	require.NoError(t, err)
	object := graphtest.Find(t, g, configMapToken, "object")
	return object
}

func TestEveryFormOfMetadataGetsTheFieldManager(t *testing.T) {
	meta := metav1.ObjectMetaArgs{Name: pulumi.String("object"), Annotations: pulumi.StringMap{"a": pulumi.String("b")}}
	for form, metadata := range map[string]metav1.ObjectMetaPtrInput{
		"a value":                         meta,
		"a pointer":                       &meta,
		"a pointer of the SDK":            metav1.ObjectMetaPtr(&meta),
		"an output":                       meta.ToObjectMetaOutput().ToObjectMetaPtrOutput(),
		"annotations that are an output":  metav1.ObjectMetaArgs{Name: pulumi.String("object"), Annotations: pulumi.StringMap{"a": pulumi.String("b")}.ToStringMapOutput()},
		"an output that is not a pointer": meta.ToObjectMetaOutput(),
	} {
		t.Run(form, func(t *testing.T) {
			if _, isInput := metadata.(pulumi.Input); !isInput {
				t.Fatal("no input")
			}
			object := managed(t, &corev1.ConfigMapArgs{Metadata: metadata})
			assert.Equal(t, "alice", object.Field(annotation))
			assert.Equal(t, "b", object.Field("metadata.annotations.a"))
			assert.Equal(t, "object", object.Field("metadata.name"))
			assert.Equal(t, "ConfigMap", object.Field("kind"))
		})
	}
	assert.Len(t, meta.Annotations, 1, "what the caller has is not changed")
	assert.Equal(t, "alice", managed(t, nil).Field(annotation), "no metadata")
	assert.Equal(t, "alice", managed(t, &corev1.ConfigMapArgs{Metadata: metav1.ObjectMetaArgs{}}).Field(annotation), "no annotations")
}

func TestEveryFormOfAMapGetsTheFieldManager(t *testing.T) {
	annotations := pulumi.Map{"a": pulumi.String("b")}
	for form, props := range map[string]pulumi.Map{
		"nothing":             {},
		"a map":               {"metadata": pulumi.Map{"annotations": annotations}},
		"a map of texts":      {"metadata": pulumi.Map{"annotations": pulumi.StringMap{"a": pulumi.String("b")}}},
		"annotations, output": {"metadata": pulumi.Map{"annotations": annotations.ToMapOutput()}},
		"metadata, output":    {"metadata": pulumi.Map{"annotations": annotations}.ToMapOutput()},
	} {
		t.Run(form, func(t *testing.T) {
			g, err := graph.Run(func(ctx *pulumi.Context) error {
				var object pulumi.CustomResourceState
				return ctx.RegisterResource("kubernetes:example.com/v1:Thing", "object", props, &object, kube.FieldManager("alice"))
			})
			require.NoError(t, err)
			object := g.All()[0]
			assert.Equal(t, "alice", object.Field(annotation))
			if form != "nothing" {
				assert.Equal(t, "b", object.Field("metadata.annotations.a"))
			}
		})
	}
	assert.Len(t, annotations, 1, "what the caller has is not changed")
}

func TestMetadataThatCannotBeAnnotatedIsAnErrorThatNamesTypeAndResource(t *testing.T) {
	for _, c := range []struct {
		sentence, says string
		props          pulumi.Input
	}{
		{"inputs of another type", `field manager of kubernetes:example.com/v1:Thing "object": inputs of type pulumi.StringMap have no metadata`, pulumi.StringMap{}},
		{"metadata of another type", `field manager of kubernetes:example.com/v1:Thing "object": metadata of type string cannot be annotated`, pulumi.Map{"metadata": pulumi.String("text")}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			_, err := graph.Run(func(ctx *pulumi.Context) error {
				var object pulumi.CustomResourceState
				return ctx.RegisterResource("kubernetes:example.com/v1:Thing", "object", c.props, &object, kube.FieldManager("alice"))
			})
			assert.ErrorContains(t, err, c.says)
		})
	}
}

func TestChildrenInheritTheFieldManagerAndOthersStay(t *testing.T) {
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		var component pulumi.ResourceState
		if err := ctx.RegisterComponentResource("example:index:Component", "component", &component, kube.FieldManager("alice"), kube.ChartFieldManager("alice")); err != nil {
			return err
		}
		for _, err := range []error{
			second(corev1.NewConfigMap(ctx, "child", nil, pulumi.Parent(&component))),
			second(corev1.NewConfigMap(ctx, "other", nil)),
			second(corev1.NewConfigMapPatch(ctx, "patch", nil, pulumi.Parent(&component))),
			second(helmv4.NewChart(ctx, "chart", &helmv4.ChartArgs{Chart: pulumi.String("oci://example.com/chart")}, pulumi.Parent(&component))),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	for name, want := range map[string]any{"child": "alice", "other": nil} {
		object := graphtest.Find(t, g, configMapToken, name)
		assert.Equal(t, want, object.Field(annotation), name)
	}
	patch := graphtest.Find(t, g, configMapToken+"Patch", "patch")
	assert.Nil(t, patch.Field(annotation))
	component := graphtest.Find(t, g, "example:index:Component", "component")
	assert.Equal(t, 1, component.Transforms, "the engine calls it for all that the component contains")
}

// second drops a constructor's result.
func second[T any](_ T, err error) error { return err }

func TestTheObjectsOfAChartGetTheFieldManager(t *testing.T) {
	options, err := pulumi.NewResourceOptions(kube.ChartFieldManager("alice"))
	require.NoError(t, err)
	require.Len(t, options.Transforms, 1)
	own := options.Transforms[0]
	object := pulumi.Map{"kind": pulumi.String("Service"), "metadata": pulumi.Map{
		"name": pulumi.String("traefik"), "annotations": pulumi.Map{"a": pulumi.String("b")},
	}}
	owned := own(context.Background(), &pulumi.ResourceTransformArgs{
		Custom: true, Type: "kubernetes:core/v1:Service", Props: object, Opts: pulumi.ResourceOptions{RetainOnDelete: true},
	})
	require.NotNil(t, owned)
	assert.Equal(t, pulumi.Map{"kind": pulumi.String("Service"), "metadata": pulumi.Map{
		"name": pulumi.String("traefik"), "annotations": pulumi.Map{"a": pulumi.String("b"), kube.FieldManagerAnnotation: pulumi.String("alice")},
	}}, owned.Props)
	assert.True(t, owned.Opts.RetainOnDelete, "what others have decided stays")
	assert.Len(t, object["metadata"].(pulumi.Map)["annotations"], 1, "what the caller has is not changed")
	assert.Nil(t, own(context.Background(), &pulumi.ResourceTransformArgs{Type: "kubernetes:helm.sh/v4:Chart"}), "a chart is no object")
	assert.Nil(t, own(context.Background(), &pulumi.ResourceTransformArgs{Custom: true, Type: "pulumi:providers:kubernetes"}))
}

func TestMountsOfEveryFormComeAfterTheWritableFolder(t *testing.T) {
	mounts := corev1.VolumeMountArray{corev1.VolumeMountArgs{Name: pulumi.String("data"), MountPath: pulumi.String("/data")}}
	for form, given := range map[string]corev1.VolumeMountArrayInput{"none": nil, "an array": mounts, "an output": mounts.ToVolumeMountArrayOutput()} {
		t.Run(form, func(t *testing.T) {
			g, err := graph.Run(func(ctx *pulumi.Context) error {
				pod := kube.Pod{Part: kube.Part{App: "app"}, Container: corev1.ContainerArgs{VolumeMounts: given}}
				return second(corev1.NewPodTemplate(ctx, "pod", &corev1.PodTemplateArgs{Template: pod.Template()}))
			})
			require.NoError(t, err)
			pod := graphtest.Find(t, g, "kubernetes:core/v1:PodTemplate", "pod")
			assert.Equal(t, "/tmp", pod.Field("template.spec.containers[0].volumeMounts[0].mountPath"))
			if given != nil {
				assert.Equal(t, "/data", pod.Field("template.spec.containers[0].volumeMounts[1].mountPath"))
			}
		})
	}
}
