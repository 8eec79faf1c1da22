package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/internal/graph"
	"example.com/journal/stacks"
)

const (
	chartType = "kubernetes:helm.sh/v4:Chart"
	// enginePrefix begins the annotations that only Pulumi's plugin reads.
	enginePrefix = "pulumi.com/"
	// clusterFolder is the folder of objects without a namespace. No namespace can have this name.
	clusterFolder = "_cluster"
	// historySuffix ends the names of the outputs that one update keeps for the next.
	historySuffix = "-history"
)

// rendered is a stack without its state.
type rendered struct {
	// objects are in the order in which kubectl applies them.
	objects []object
	// outputs are what the next run takes from this one, by name: the kept versions of configurations, and what an update must not
	// change.
	outputs map[string]any
	// secrets are the Secrets that the objects name and do not declare, as <namespace>/<name>.
	secrets []string
}

// object is one object, in a file of its own.
type object struct {
	// path is that of the file in the folder, with slashes.
	path string
	// value is the object in the form of its JSON.
	value map[string]any
}

func (o object) field(path ...string) string {
	value := any(o.value)
	for _, key := range path {
		inner, _ := value.(map[string]any)
		value = inner[key]
	}
	text, _ := value.(string)
	return text
}

// rank orders objects of different kinds: what others cannot be created without comes first, and what makes pods comes late, so that
// it finds its quota, its policies and its account; then what pods serve, since no namespace can be deleted while nobody answers for
// an API group.
func (o object) rank() int {
	switch o.field("kind") {
	case "Namespace":
		return 0
	case "CustomResourceDefinition":
		return 1
	case "DaemonSet", "Deployment", "StatefulSet":
		return 3
	case "APIService":
		return 4
	}
	return 2
}

// render runs a stack after one with these outputs.
func render(project, stack string, last map[string]any) (rendered, error) {
	var refused error
	g, err := graph.Run(func(ctx *pulumi.Context) error {
		refused = stacks.Render(ctx)
		return refused
	}, graph.Root(project, stack), graph.LastOutputs(last))
	if err := cmp.Or(refused, err); err != nil { // the program's own error is shown without what Pulumi puts around it
		return rendered{}, err
	}
	return fromGraph(g)
}

// fromGraph returns the objects of a graph. It refuses what only an engine can make, and every secret.
func fromGraph(g *graph.Graph) (rendered, error) {
	r := rendered{outputs: map[string]any{}}
	taken := map[string]bool{}
	for _, registered := range g.All() {
		if err := check(registered); err != nil {
			return rendered{}, err
		}
		if !registered.IsObject() {
			continue // a component, or a patch of what the cluster itself makes
		}
		value, err := registered.Object()
		if err != nil {
			return rendered{}, err
		}
		if slices.Contains(registered.IgnoreChanges, "spec.replicas") { // an autoscaler decides, and each apply would set them back
			if spec, isMap := value["spec"].(map[string]any); isMap {
				delete(spec, "replicas")
			}
		}
		o := newObject(value)
		if taken[o.path] {
			return rendered{}, fmt.Errorf("%s %s: another object is in %s; give one of them another name", registered.Type, registered.Name, o.path)
		}
		taken[o.path] = true
		r.objects = append(r.objects, o)
	}
	slices.SortFunc(r.objects, func(a, b object) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), strings.Compare(a.path, b.path))
	})
	for name, value := range g.Outputs() {
		if strings.HasSuffix(name, historySuffix) {
			r.outputs[name] = value
		}
	}
	r.secrets = missingSecrets(r.objects)
	return r, nil
}

// check refuses a resource that is no object as it stands.
func check(r graph.Resource) error {
	switch {
	case r.Type == chartType:
		chart, _ := r.Field("values").(map[string]any)
		chart = maps.Clone(chart)
		if chart != nil {
			chart["rbac"] = map[string]any{"enabled": true} // the rights that the component declares go with the key
		}
		values, err := encoding.YAML.Marshal(chart)
		if err != nil {
			return err
		}
		return fmt.Errorf("chart %s: only Pulumi's plugin expands a Helm chart; remove the key ingressController, set "+
			"cluster.ingressNamespace to %[2]v, and install %[3]v in version %[4]v there with `helm install --create-namespace` and these values:\n%[5]s",
			r.Name, r.Field("namespace"), r.Field("chart"), r.Field("version"), values)
	case strings.HasPrefix(r.Type, "random:"):
		return fmt.Errorf("%s %s: a random value that only Pulumi's state would have; remove the key that brings it, or deploy the stack with pulumi up",
			r.Type, r.Name)
	case r.IsObject() && (r.HasSecret() || strings.HasSuffix(r.Type, ":Secret")):
		return fmt.Errorf("%s %s: it holds a secret, and files for everybody to read must not; "+
			"remove the key that brings it, or deploy the stack with pulumi up", r.Type, r.Name)
	}
	return nil
}

// newObject takes the engine's annotations from an object, and finds its place.
func newObject(value map[string]any) object {
	o := object{value: value}
	if metadata, isMap := value["metadata"].(map[string]any); isMap {
		if annotations, isMap := metadata["annotations"].(map[string]any); isMap {
			maps.DeleteFunc(annotations, func(name string, _ any) bool { return strings.HasPrefix(name, enginePrefix) })
			if len(annotations) == 0 {
				delete(metadata, "annotations")
			}
		}
	}
	name := strings.ReplaceAll(o.field("metadata", "name"), ":", "_") // which the names of roles may have, and files on Windows may not
	o.path = cmp.Or(o.field("metadata", "namespace"), clusterFolder) + "/" + strings.ToLower(o.field("kind")) + "-" + name + ".yaml"
	return o
}

// missingSecrets returns the Secrets that objects name, without those that cert-manager makes for them.
func missingSecrets(objects []object) []string {
	named := map[string]bool{}
	for _, o := range objects {
		namedSecrets(o.value, func(name string) { named[o.field("metadata", "namespace")+"/"+name] = true })
	}
	for _, o := range objects {
		if o.field("kind") == "Certificate" {
			delete(named, o.field("metadata", "namespace")+"/"+o.field("spec", "secretName"))
		}
	}
	return slices.Sorted(maps.Keys(named))
}

// namedSecrets calls found with the name of every Secret in a part of an object: of a volume, a projected one too, of a variable,
// and of the certificate of an Ingress or a Gateway.
func namedSecrets(value any, found func(name string)) {
	switch value := value.(type) {
	case []any:
		for _, inner := range value {
			namedSecrets(inner, found)
		}
	case map[string]any:
		for key, inner := range value {
			reference, _ := inner.(map[string]any)
			if name, isText := reference["name"].(string); isText && (key == "secret" || key == "secretKeyRef" || key == "secretRef") {
				found(name)
			}
			if name, isText := inner.(string); isText && (key == "secretName" || key == "name" && value["kind"] == "Secret") {
				found(name)
			}
			namedSecrets(inner, found)
		}
	}
}

// files returns the text of each file of the folder by its path, without the history.
func (r rendered) files() (map[string][]byte, error) {
	files := map[string][]byte{}
	list := kustomization{APIVersion: "kustomize.config.k8s.io/v1beta1", Kind: "Kustomization"}
	list.SortOptions.Order = "fifo"
	var errs []error
	for _, o := range r.objects {
		text, err := encoding.YAML.Marshal(o.value)
		errs = append(errs, err)
		files[o.path] = text
		list.Resources = append(list.Resources, o.path)
	}
	text, err := encoding.YAML.Marshal(list)
	errs = append(errs, err)
	files[kustomizationName] = append([]byte(firstLine+"\n"), text...)
	return files, errors.Join(errs...)
}
