// Package graph runs a Pulumi program without an engine and records what it registers, so that tests assert on the whole graph
// after the run and render writes its objects. Tests assert nothing during the run, because a function on an unknown value never
// runs.
package graph

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/urn"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

const (
	kubernetesPrefix = "kubernetes:"
	readStackOutputs = "pulumi:pulumi:readStackOutputs"
)

// Resource is one registration.
type Resource struct {
	// Type is the type token, such as kubernetes:apps/v1:Deployment or journal:components:Redis.
	Type string
	// Name is the logical name.
	Name string
	// Parent is the URN of the parent; empty for the stack.
	Parent string
	// Inputs are what the resource was registered with. Mocks leave out what a preview cannot know.
	Inputs resource.PropertyMap
	// DependsOn are the URNs that it waits for.
	DependsOn []string
	// Timeouts are how long the engine waits for its operations.
	Timeouts *pulumirpc.RegisterResourceRequest_CustomTimeouts
	// Transforms is the number of functions that the engine calls for it and for its children.
	Transforms int
	// IgnoreChanges are the paths of inputs whose changes the engine ignores.
	IgnoreChanges []string
	// Protected says whether the engine refuses to delete it.
	Protected bool
}

// Graph is everything that one run registered.
type Graph struct {
	mu        sync.Mutex
	preview   bool
	project   string
	stack     string
	resources []Resource
	outputs   map[string]any
	last      map[string]any // outputs of the update before
}

// Option changes the context of the run.
type Option func(*pulumi.RunInfo)

// Preview runs the program as `pulumi preview` does: names that the engine generates are not known.
func Preview() Option { return func(info *pulumi.RunInfo) { info.DryRun = true } }

// Config sets configuration values, by their keys with namespace.
func Config(values map[string]string) Option {
	return func(info *pulumi.RunInfo) { info.Config = maps.Clone(values) }
}

// Root sets the folder of the project and the stack that runs.
func Root(dir, stack string) Option {
	return func(info *pulumi.RunInfo) { info.RootDirectory, info.Stack = dir, stack }
}

// LastOutputs sets the outputs of the stack's last update, for example those of another graph.
func LastOutputs(outputs map[string]any) Option {
	return func(info *pulumi.RunInfo) { info.Mocks.(*Graph).last = outputs }
}

// Run runs the program against mocks. The graph holds what was registered until the program failed, if it did.
func Run(program pulumi.RunFunc, options ...Option) (*Graph, error) {
	g := &Graph{outputs: map[string]any{}}
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		g.preview, g.project, g.stack = ctx.DryRun(), ctx.Project(), ctx.Stack()
		if err := program(ctx); err != nil {
			return err
		}
		if g.preview {
			return nil // unknown outputs would never come
		}
		var exports sync.WaitGroup
		for name, value := range ctx.GetCurrentExportMap() {
			exports.Add(1)
			pulumi.ToOutput(value).ApplyT(func(v any) any {
				defer exports.Done()
				g.mu.Lock()
				defer g.mu.Unlock()
				g.outputs[name] = v
				return nil
			})
		}
		exports.Wait()
		return nil
	}, func(info *pulumi.RunInfo) {
		pulumi.WithMocks("journal", "test", g)(info)
		for _, option := range options {
			option(info)
		}
	})
	return g, err
}

// NewResource records a registration and answers as a provider would: with the inputs, and with a name if none was given.
func (g *Graph) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	rpc := args.RegisterRPC
	g.mu.Lock()
	g.resources = append(g.resources, Resource{
		Type:          args.TypeToken,
		Name:          args.Name,
		Parent:        rpc.GetParent(),
		Inputs:        args.Inputs,
		DependsOn:     rpc.GetDependencies(),
		Timeouts:      rpc.GetCustomTimeouts(),
		Transforms:    len(rpc.GetTransforms()),
		IgnoreChanges: rpc.GetIgnoreChanges(),
		Protected:     rpc.GetProtect(),
	})
	g.mu.Unlock()

	state := args.Inputs.Copy()
	if args.TypeToken == "random:index/randomPassword:RandomPassword" {
		state["result"] = resource.MakeSecret(resource.NewStringProperty("the-generated-password"))
	}
	if strings.HasPrefix(args.TypeToken, kubernetesPrefix) {
		metadata := resource.PropertyMap{}
		if state["metadata"].IsObject() {
			metadata = state["metadata"].ObjectValue().Copy()
		}
		_, named := metadata["name"]
		switch {
		case !named && g.preview:
			state["metadata"] = resource.MakeComputed(resource.NewObjectProperty(metadata))
		case !named:
			metadata["name"] = resource.NewStringProperty(autoName(args.Name))
			state["metadata"] = resource.NewObjectProperty(metadata)
		}
	}
	return args.Name + "-id", state, nil
}

// autoName is the name of an object that was given none; the engine's end differs each time.
func autoName(logicalName string) string { return logicalName + "-1a2b3c4d" }

// Call answers the only function that programs call: the engine's, for the outputs of a stack.
func (g *Graph) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	if args.Token != readStackOutputs {
		return nil, fmt.Errorf("unexpected call of %s", args.Token)
	}
	if name := args.Args["name"]; !name.IsString() || name.StringValue() != "organization/"+g.project+"/"+g.stack {
		return nil, fmt.Errorf("unexpected outputs of stack %v", name)
	}
	last := resource.PropertyMap{}
	for name, value := range g.last {
		last[resource.PropertyKey(name)] = resource.MakeSecret(resource.NewPropertyValue(value))
	}
	return resource.PropertyMap{"outputs": resource.NewObjectProperty(last)}, nil
}

// Outputs returns the stack outputs of an update; a preview has none.
func (g *Graph) Outputs() map[string]any { return maps.Clone(g.outputs) }

// All returns every registration, ordered by parent, type and name, without the stack itself.
func (g *Graph) All() []Resource {
	var all []Resource
	for _, r := range g.resources {
		if r.Type != "pulumi:pulumi:Stack" {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b Resource) int {
		return strings.Compare(a.Parent+" "+a.Type+" "+a.Name, b.Parent+" "+b.Type+" "+b.Name)
	})
	return all
}

// OfType returns the registrations of one type.
func (g *Graph) OfType(token string) []Resource {
	return slices.DeleteFunc(g.All(), func(r Resource) bool { return r.Type != token })
}

// Find returns the registration with this type and name, or an error that lists what there is.
func (g *Graph) Find(token, name string) (Resource, error) {
	var names []string
	for _, r := range g.OfType(token) {
		if r.Name == name {
			return r, nil
		}
		names = append(names, r.Name)
	}
	return Resource{}, fmt.Errorf("no %s named %q; there are %q", token, name, names)
}

// IsObject says whether the resource is a Kubernetes object of its own: neither a component nor a patch of another one.
func (r Resource) IsObject() bool {
	return strings.HasPrefix(r.Type, kubernetesPrefix) && !strings.HasSuffix(r.Type, "Patch")
}

// Object returns the object as plain values, in the form of its JSON, without secret marks.
func (r Resource) Object() (map[string]any, error) {
	object, isMap := plain(resource.NewObjectProperty(r.Inputs)).(map[string]any)
	if !isMap {
		return nil, fmt.Errorf("%s %s has no inputs", r.Type, r.Name)
	}
	return object, nil
}

// HasSecret says whether any value of the inputs is marked secret.
func (r Resource) HasSecret() bool { return resource.NewObjectProperty(r.Inputs).ContainsSecrets() }

// Field returns the input at a dotted path such as spec.template.spec.containers[0].image, without its secret mark, or
// nil where there is none.
func (r Resource) Field(path string) any {
	property, err := resource.ParsePropertyPath(path)
	if err != nil {
		return fmt.Sprintf("bad path: %v", err)
	}
	value := plain(resource.NewObjectProperty(r.Inputs))
	for _, step := range property {
		switch container := value.(type) {
		case map[string]any:
			key, _ := step.(string)
			value = container[key]
		case []any:
			index, ok := step.(int)
			if !ok || index >= len(container) {
				return nil
			}
			value = container[index]
		default:
			return nil
		}
	}
	return value
}

// IsSecret says whether the input at a dotted path, or something that contains it, is marked secret.
func (r Resource) IsSecret(path string) bool {
	property, err := resource.ParsePropertyPath(path)
	if err != nil {
		return false
	}
	for length := 1; length <= len(property); length++ {
		if value, found := property[:length].Get(resource.NewObjectProperty(r.Inputs)); found && value.IsSecret() {
			return true
		}
	}
	return false
}

// ParentName returns the type and the name of the parent, or "the stack".
func (r Resource) ParentName() string {
	if parent := urn.URN(r.Parent); parent.IsValid() && parent.Type() != "pulumi:pulumi:Stack" {
		return string(parent.Type()) + " " + parent.Name()
	}
	return "the stack"
}

// Manifests returns every Kubernetes object as a YAML document, and every other registration as a comment, each with its
// type, name and parent. Secret values are hidden. It is what a golden file holds and what linters of manifests read.
func (g *Graph) Manifests() (string, error) {
	var text strings.Builder
	for _, r := range g.All() {
		fmt.Fprintf(&text, "# %s %s, of %s\n", r.Type, r.Name, r.ParentName())
		if !r.IsObject() {
			continue
		}
		object, ok := plain(hideSecrets(resource.NewObjectProperty(r.Inputs))).(map[string]any)
		if !ok {
			return "", fmt.Errorf("%s %s has no inputs", r.Type, r.Name)
		}
		if metadata, ok := object["metadata"].(map[string]any); ok && metadata["name"] == nil {
			metadata["name"] = autoName(r.Name)
		}
		document, err := encoding.YAML.Marshal(object)
		if err != nil {
			return "", err
		}
		text.Write(document)
		text.WriteString("---\n")
	}
	return text.String(), nil
}

// hideSecrets replaces every secret value.
func hideSecrets(value resource.PropertyValue) resource.PropertyValue {
	switch {
	case value.IsSecret():
		return resource.NewStringProperty("[secret]")
	case value.IsObject():
		object := resource.PropertyMap{}
		for key, inner := range value.ObjectValue() {
			object[key] = hideSecrets(inner)
		}
		return resource.NewObjectProperty(object)
	case value.IsArray():
		array := make([]resource.PropertyValue, len(value.ArrayValue()))
		for i, inner := range value.ArrayValue() {
			array[i] = hideSecrets(inner)
		}
		return resource.NewArrayProperty(array)
	case value.IsOutput():
		if value.OutputValue().Secret {
			return resource.NewStringProperty("[secret]")
		}
		return hideSecrets(value.OutputValue().Element)
	}
	return value
}

// plain converts a property into ordinary Go values. Whole numbers become int, so that YAML shows them as such.
func plain(value resource.PropertyValue) any {
	return value.MapRepl(nil, func(v resource.PropertyValue) (any, bool) {
		switch {
		case v.IsSecret():
			return plain(v.SecretValue().Element), true
		case v.IsOutput():
			return plain(v.OutputValue().Element), true
		case v.IsNumber() && v.NumberValue() == float64(int(v.NumberValue())):
			return int(v.NumberValue()), true
		}
		return nil, false
	})
}
