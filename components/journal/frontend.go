package journal

import (
	"cmp"
	"encoding/json"
	"fmt"

	"example.com/journal/components/kube"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// maxPageSize is how many entries the API gives at a time.
const maxPageSize = 100

// FrontendArgs are the parameters of the static page.
type FrontendArgs struct {
	// App is the name of the Service and the value of the label `app`. The default is the component's name.
	App string
	// Namespace is where the page is served. The default is the provider's namespace.
	Namespace pulumi.StringInput
	// Image is the journal-web image, tagged v<semver>-<git sha>. Required.
	Image string
	// Replicas is the number of pods, at least 2, so that an update or a lost node takes nothing away. The default is 2.
	Replicas int
	// Resources are those of each pod. The default is 50m CPU and 32Mi of memory.
	Resources kube.Resources
	// Title is the page's title. The default is Journal.
	Title string
	// PageSize is how many entries the page shows at a time, 1 to 100. The default is 20.
	PageSize int
	// ReadOnly makes the page offer no changes. The API decides by itself what it refuses. Off by default.
	ReadOnly bool
	// RolloutTimeout is how long, in seconds, an update of the pods may go on without progress before it fails. The default
	// is kube.DefaultRolloutTimeout.
	RolloutTimeout int
	// Versions is how many versions of the configuration are kept. The default is kube.DefaultVersions. History are the
	// configurations of earlier updates, the last first.
	Versions int
	History  []map[string]string
	// IngressNamespace is the namespace of the Ingress controller, the only one that may connect. By default pods of
	// every namespace may.
	IngressNamespace string
}

// Frontend is the journal's page, served by NGINX: a Deployment behind a Service. Its pods connect to nothing: the
// browser asks the API.
type Frontend struct {
	pulumi.ResourceState

	// ServiceName is the name of the Service, whose port is kube.ServicePort.
	ServiceName pulumi.StringOutput `pulumi:"serviceName"`
	// Versions are the configurations that are kept, the current one first.
	Versions []map[string]string
}

// frontendConfigDir is where NGINX finds the page's settings.
const frontendConfigDir = "/etc/journal-web"

// config is the page's settings as the browser reads them.
func (args FrontendArgs) config() (map[string]string, error) {
	text, err := json.Marshal(map[string]any{"title": args.Title, "pageSize": args.PageSize, "readOnly": args.ReadOnly})
	return map[string]string{"config.json": string(text)}, err
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *FrontendArgs) withDefaults(name string) FrontendArgs {
	var a FrontendArgs
	if args != nil {
		a = *args
	}
	a.App = cmp.Or(a.App, name)
	a.Replicas = cmp.Or(a.Replicas, 2)
	a.Title = cmp.Or(a.Title, "Journal")
	a.PageSize = cmp.Or(a.PageSize, 20)
	a.Resources = a.Resources.WithDefaults(kube.Resources{CPU: "50m", Memory: "32Mi"})
	return a
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *FrontendArgs) Check(name string) kube.Faults {
	a := args.withDefaults(name)
	f := checkServer(a.App, a.Image, a.Replicas, a.Resources, a.IngressNamespace)
	if a.PageSize < 1 || a.PageSize > maxPageSize {
		f.Refuse("pageSize", a.PageSize, "it must be 1 to %d, the most that the API gives at a time; write for example 20", maxPageSize)
	}
	return f
}

// NewFrontend declares the static page. The error names every argument that breaks a rule.
func NewFrontend(ctx *pulumi.Context, name string, args *FrontendArgs, opts ...pulumi.ResourceOption) (*Frontend, error) {
	if err := args.Check(name).Err(); err != nil {
		return nil, fmt.Errorf("frontend %q: %w", name, err)
	}
	a := args.withDefaults(name)
	frontend := &Frontend{}
	if err := ctx.RegisterComponentResourceV2(frontendType, name, pulumi.Map{
		"image":    pulumi.String(a.Image),
		"replicas": pulumi.Int(a.Replicas),
	}, frontend, opts...); err != nil {
		return nil, err
	}

	part := kube.Part{App: a.App, Component: "frontend", Instance: name, Image: a.Image}
	data, err := a.config()
	if err != nil {
		return nil, fmt.Errorf("frontend %q: %w", name, err)
	}
	config, err := kube.NewConfig(ctx, name, kube.ConfigArgs{
		Part: part, Namespace: a.Namespace, Data: data, History: a.History, Keep: a.Versions,
	}, frontend)
	if err != nil {
		return nil, fmt.Errorf("frontend %q: %w", name, err)
	}
	frontend.Versions = config.Versions
	server, err := kube.NewServer(ctx, name, kube.ServerArgs{
		Part:           part,
		Namespace:      a.Namespace,
		Replicas:       a.Replicas,
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
	}, frontend)
	if err != nil {
		return nil, fmt.Errorf("frontend %q: %w", name, err)
	}
	frontend.ServiceName = server.Service.Metadata.Name().Elem()
	return frontend, ctx.RegisterResourceOutputs(frontend, pulumi.Map{"serviceName": frontend.ServiceName})
}
