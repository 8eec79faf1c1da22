package stacks

import (
	"cmp"

	"example.com/journal/components/ingress"
	"example.com/journal/components/journal"
	"example.com/journal/components/kube"
	"example.com/journal/components/tenancy"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Ingress is what a stack decides about an Ingress controller of its own. Each field is one key of Pulumi.yaml.
type Ingress struct {
	// Enabled says whether the stack installs one.
	Enabled bool
	// Controller are its parameters.
	Controller ingress.ControllerArgs
}

// ingressPart is what the keys of the Ingress controller begin with.
const ingressPart = "ingressController"

// keys are the keys that set the fields.
func (i *Ingress) keys() []key {
	a := &i.Controller
	return []key{
		boolean(ingressPart, &i.Enabled),
		text(ingressPart+"Namespace", &a.Namespace),
		text(ingressPart+"Chart", &a.Chart),
		text(ingressPart+"Version", &a.Version),
		boolean(ingressPart+"SkipCRDs", &a.SkipCRDs),
		text(ingressPart+"Class", &a.Class),
		count(ingressPart+"Replicas", &a.Replicas),
		text(ingressPart+"ServiceType", &a.ServiceType),
	}
}

// complete fits the controller and the journal to each other: the controller serves what exposes the journal, and pods let
// its namespace in.
func (i *Ingress) complete(j *journal.Args) {
	if !i.Enabled {
		return
	}
	a := &i.Controller
	a.Namespace = cmp.Or(a.Namespace, ingress.DefaultNamespace)
	a.Class = cmp.Or(a.Class, j.Exposure.Class)
	a.Gateway = j.Exposure.Kind == journal.KindGateway
	j.IngressNamespace = cmp.Or(j.IngressNamespace, a.Namespace)
}

// check returns every rule that the completed controller breaks within the whole configuration.
func (i *Ingress) check(whole Config) (f kube.Faults) {
	if !i.Enabled {
		return nil
	}
	for _, fault := range i.Controller.Check() {
		f = append(f, fault.Within(ingressPart))
	}
	namespace := i.Controller.Namespace
	taken := namespace == tenancy.PlatformNamespace
	for _, tenant := range whole.Cluster.all() {
		taken = taken || tenant.Name == namespace
	}
	if taken {
		f.Refuse(ingressPart+"Namespace", namespace, "another namespace of the stack has this name; write another one, such as %s", ingress.DefaultNamespace)
	}
	return f
}

// deploy declares the controller, where there is to be one.
func (i *Ingress) deploy(ctx *pulumi.Context) error {
	if !i.Enabled {
		return nil
	}
	own := ownChartObjects(FieldManager(ctx.Project(), ctx.Stack()))
	_, err := ingress.NewController(ctx, "ingress-controller", &i.Controller, pulumi.Transforms([]pulumi.ResourceTransform{own}))
	return err
}
