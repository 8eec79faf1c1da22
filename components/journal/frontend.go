package journal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// FrontendArgs are the parameters of the static page.
type FrontendArgs struct {
	// App is the name of the Service and the value of the label `app`. The default is the component's name.
	App string `json:"-"`
	// Namespace is the namespace of the page's pods. Required.
	Namespace pulumi.StringInput `json:"-"`
	// PriorityClass is the name of the pods' PriorityClass. The default is the cluster's.
	PriorityClass pulumi.StringInput `json:"-"`
	// Image is the journal-web image, tagged v<semver>-<git sha>. Required.
	Image pulumi.StringInput `json:"image" required:"true"`
	// Replicas is the number of pods. With less than 2 an update or a lost node is an outage.
	Replicas int `json:"replicas" default:"2" minimum:"2"`
	// Autoscaling adds pods by their load, and never has fewer than the replicas. By default there are always as many as the
	// replicas.
	Autoscaling *kube.Autoscaling `json:"autoscaling"`
	// Resources are those of each pod.
	Resources kube.Resources `json:"resources" default:"cpu=50m memory=32Mi"`
	// Title is the page's title.
	Title string `json:"title" default:"Journal"`
	// PageSize is how many entries the page shows at a time. The API returns at most 100.
	PageSize int `json:"pageSize" default:"20" minimum:"1" maximum:"100"`
	// ReadOnly makes the page offer no changes. Whether the API refuses them is the API's own setting. The default is false.
	ReadOnly *bool `json:"readOnly"`
	// RolloutTimeout is how long, in seconds, an update of the pods may make no progress before it fails.
	RolloutTimeout int `json:"rolloutTimeout" default:"180" minimum:"30"`
	// ConfigVersions is how many versions of the configuration are kept, including the current one.
	ConfigVersions int `json:"configVersions" default:"3" minimum:"2" maximum:"20"`
	// IngressNamespace is the namespace of the Ingress controller, the only one that may connect. By default pods of every
	// namespace may connect.
	IngressNamespace string `json:"-"`
	// Fenced says that the NetworkPolicies of the namespace fence the pods, so that the part declares none. Off by default.
	Fenced bool `json:"-"`
}

// Frontend is the journal's page, served by NGINX: a Deployment behind a Service. Its pods connect to nothing, since the
// browser sends the requests to the API.
type Frontend struct {
	pulumi.ResourceState

	// ServiceName is the name of the Service. Its port is kube.ServicePort.
	ServiceName pulumi.StringOutput `pulumi:"serviceName"`

	configs configs
	rollout pulumi.CustomResource // it is there when all pods are as declared
}

// Backend returns the page as the target of routes.
func (f *Frontend) Backend() Backend { return Backend{Service: f.ServiceName, Port: kube.ServicePort} }

// frontendConfigDir is where NGINX finds the page's settings.
const frontendConfigDir = "/etc/journal-web"

// config is the page's settings as the browser reads them.
func (args FrontendArgs) config() (map[string]string, error) {
	text, err := json.Marshal(map[string]any{"title": args.Title, "pageSize": args.PageSize, "readOnly": args.ReadOnly != nil && *args.ReadOnly})
	return map[string]string{"config.json": string(text)}, err
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *FrontendArgs) withDefaults(name string) FrontendArgs {
	var a FrontendArgs
	if args != nil {
		a = *args
	}
	a.App = cmp.Or(a.App, name)
	rules.SetDefaults(&a)
	a.Resources = a.Resources.WithLimits()
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *FrontendArgs) Check(name string) rules.Faults {
	a := args.withDefaults(name)
	return append(rules.CheckTags(a), a.check()...)
}

// check returns the broken rules, except those of the tags.
func (args FrontendArgs) check() rules.Faults {
	return append(checkServer(args.App, args.Image, args.Resources, args.IngressNamespace), args.Autoscaling.Check(args.Replicas).In("autoscaling")...)
}

// Demand returns the most that the page takes of its namespace's quota.
func (args *FrontendArgs) Demand(name string) kube.Demand {
	a := args.withDefaults(name)
	return kube.ServerDemand(a.App, a.Replicas, a.Autoscaling, a.Resources)
}

// NewFrontend declares the static page. The error names every argument that breaks a rule.
func NewFrontend(ctx *pulumi.Context, name string, args *FrontendArgs, opts ...pulumi.ResourceOption) (*Frontend, error) {
	last, err := kube.LastOutput[configs](ctx, historyOutput(name))
	if err != nil {
		return nil, fmt.Errorf("frontend %q: %w", name, err)
	}
	frontend, err := newFrontend(ctx, name, args, last, opts...)
	if err != nil {
		return nil, err
	}
	return frontend, kube.KeepOutput(ctx, historyOutput(name), frontend.configs, frontend.rollout)
}

// newFrontend declares the static page. The parameter last is the configurations that the last update kept.
func newFrontend(ctx *pulumi.Context, name string, args *FrontendArgs, last configs, opts ...pulumi.ResourceOption) (*Frontend, error) {
	a := args.withDefaults(name)
	if err := slices.Concat(checkNamespace(a.Namespace), rules.CheckTags(a), a.check()).Err(); err != nil {
		return nil, fmt.Errorf("frontend %q: %w", name, err)
	}
	a.Image = kube.CheckedImage(fmt.Sprintf("frontend %q", name), a.Image, rules.OwnImage)
	frontend := &Frontend{}
	if err := ctx.RegisterComponentResourceV2(frontendType, name, pulumi.Map{
		"image":    a.Image,
		"replicas": pulumi.Int(a.Replicas),
	}, frontend, opts...); err != nil {
		return nil, err
	}

	part := kube.Part{App: a.App, PartOf: partOf, Component: "frontend", Instance: name, Image: a.Image}
	data, err := a.config()
	if err != nil {
		return nil, fmt.Errorf("frontend %q: %w", name, err)
	}
	config, err := kube.NewConfig(ctx, name, kube.ConfigArgs{
		Part: part, Namespace: a.Namespace, Data: data, History: last, Keep: a.ConfigVersions,
	}, frontend)
	if err != nil {
		return nil, fmt.Errorf("frontend %q: %w", name, err)
	}
	frontend.configs = config.Versions
	server, err := kube.NewServer(ctx, name, kube.ServerArgs{
		Part:           part,
		Namespace:      a.Namespace,
		Replicas:       a.Replicas,
		Autoscaling:    a.Autoscaling,
		Resources:      a.Resources,
		RolloutTimeout: a.RolloutTimeout,
		Volumes: corev1.VolumeArray{corev1.VolumeArgs{
			Name:      pulumi.String("config"),
			ConfigMap: corev1.ConfigMapVolumeSourceArgs{Name: config.Name, DefaultMode: pulumi.Int(0o444)},
		}},
		Mounts: corev1.VolumeMountArray{corev1.VolumeMountArgs{
			Name: pulumi.String("config"), MountPath: pulumi.String(frontendConfigDir), ReadOnly: pulumi.Bool(true),
		}},
		ReadyPath:        "/",
		LivePath:         "/healthz",
		IngressNamespace: a.IngressNamespace,
		Fenced:           a.Fenced,
		PriorityClass:    a.PriorityClass,
	}, frontend)
	if err != nil {
		return nil, fmt.Errorf("frontend %q: %w", name, err)
	}
	frontend.rollout = server.Deployment
	frontend.ServiceName = server.Service.Metadata.Name().Elem()
	return frontend, ctx.RegisterResourceOutputs(frontend, pulumi.Map{"serviceName": frontend.ServiceName})
}
