package observe

import (
	"fmt"
	"math/big"
	"slices"

	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// metricsRolloutSeconds is how long, in seconds, the rollout of the store or of kube-state-metrics may take.
const metricsRolloutSeconds = 600

// MetricsServiceArgs are the parameters of the figures.
type MetricsServiceArgs struct {
	// Store are the parameters of the store, which reads the figures and keeps them.
	Store MetricsStoreArgs `json:"store"`
	// Objects are the parameters of kube-state-metrics, which turns the state of objects, such as quotas, into figures.
	Objects MetricsObjectsArgs `json:"objects"`
	// Alerts are the parameters of the alerts.
	Alerts MetricsAlertsArgs `json:"alerts"`

	// Readers are the pods that may query the store. ReaderArgs.Peers returns those of a Reader. By default there are none.
	Readers networkingv1.NetworkPolicyPeerArray `json:"-"`
	// Platform are the namespaces of the cluster's own services, whose pods may say of which namespace a figure is. No tenant may
	// run pods there. The service's own namespace is one in any case.
	Platform []string `json:"-"`
	// Namespace is the namespace that is created for the pods.
	Namespace string `json:"-" default:"journal-metrics"`
	// PriorityClass is the name of the PriorityClass of the pods. The default is the cluster's.
	PriorityClass pulumi.StringInput `json:"-"`
	// APIServerPorts are the ports on which the pods connect to the API server: its Service's and its own. The default is 443
	// and 6443.
	APIServerPorts []int `json:"-" minimum:"1" maximum:"65535"`
	// DNS are address ranges of the cluster's DNS, besides its pods in kube-system.
	DNS kube.DNS `json:"-"`
}

// MetricsStoreArgs are the parameters of the store of the figures.
type MetricsStoreArgs struct {
	// Image is the image of VictoriaMetrics, with an exact version. Required.
	Image pulumi.StringInput `json:"image" required:"true" example:"docker.io/victoriametrics/victoria-metrics:v1.148.8"`
	// Resources are those of the container. A third of its memory limit is for caches. The limit bounds the series too: one for
	// each 2Ki of it in an hour, and twice as many in a day. Further ones are dropped.
	Resources kube.Resources `json:"resources" default:"cpu=25m cpuLimit=1 memory=128Mi memoryLimit=512Mi"`
	// Storage are the parameters of the volume. A figure takes about a byte.
	Storage kube.Storage `json:"storage" default:"size=10Gi"`
	// Retention is how many days figures are kept.
	Retention int `json:"retention" default:"14" minimum:"1" maximum:"400"`
	// Interval is how often figures are read, in seconds. The reader of a namespace whose name was used before waits for the last of
	// the former figures, and counts on a minute at most.
	Interval int `json:"interval" default:"30" minimum:"10" maximum:"60"`
	// Samples is how many figures one pod may serve at once. A pod that serves more has none of them kept.
	Samples int `json:"samples" default:"1000" minimum:"100" maximum:"100000"`
	// Series is how many different series one pod may serve in a day. Further ones are dropped.
	Series int `json:"series" default:"2000" minimum:"100" maximum:"200000"`
}

// MetricsObjectsArgs are the parameters of kube-state-metrics.
type MetricsObjectsArgs struct {
	// Image is the image of kube-state-metrics, with an exact version. Required.
	Image pulumi.StringInput `json:"image" required:"true" example:"registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.15.0"`
	// Resources are those of the pod. It needs about 10Ki of memory for each pod of the cluster.
	Resources kube.Resources `json:"resources" default:"cpu=10m cpuLimit=100m memory=64Mi memoryLimit=256Mi"`
}

// MetricsAlertsArgs are the parameters of the alerts.
type MetricsAlertsArgs struct {
	// Image is the image of vmalert, with an exact version. Required.
	Image pulumi.StringInput `json:"image" required:"true" example:"docker.io/victoriametrics/vmalert:v1.148.8"`
	// Resources are those of the container.
	Resources kube.Resources `json:"resources" default:"cpu=10m cpuLimit=100m memory=32Mi memoryLimit=128Mi"`
	// Quota is how much of a quota may be used, in percent, before an alert.
	Quota int `json:"quota" default:"90" minimum:"1" maximum:"99"`
	// Volume is how much of a volume may be used, in percent, before an alert.
	Volume int `json:"volume" default:"90" minimum:"1" maximum:"99"`
	// Restarts is how often a container may restart within ten minutes before an alert.
	Restarts int `json:"restarts" default:"3" minimum:"1" maximum:"100"`
	// For is how long, in seconds, something must be so before an alert.
	For int `json:"for" default:"60" minimum:"1" maximum:"3600"`
	// Claim is how long, in seconds, before the end of a claimed namespace there is an alert.
	Claim int `json:"claim" default:"3600" minimum:"60" maximum:"86400"`
	// Webhook is the URL to which alerts are posted, in the format of Alertmanager's webhooks: one of a pod of the cluster, or one
	// outside of it at the port 443 or 80. Whoever has such a URL can often post to it, so it must be encrypted: pulumi config set
	// --secret --path. By default alerts are only kept in the store.
	Webhook pulumi.StringInput `json:"webhook" secret:"true"`
	// AlertmanagerImage is the image of Alertmanager, with an exact version. Required with a webhook.
	AlertmanagerImage pulumi.StringInput `json:"alertmanagerImage"`
}

// MetricsService keeps the figures of the cluster's pods for days: those of the kubelets, those of objects, and those that pods
// serve themselves and say so by the annotations prometheus.io/scrape, prometheus.io/port and prometheus.io/path. Every figure has
// the namespace that it is of, and a pod cannot name another one. Alerts are figures too. A Reader lets people read.
//
// Deleting the service deletes its namespace, with all figures.
type MetricsService struct {
	pulumi.ResourceState

	// Store is what a Reader needs to know.
	Store Store
}

// withDefaults returns a copy with the defaults in place. It takes nil as all defaults.
func (args *MetricsServiceArgs) withDefaults() MetricsServiceArgs {
	var a MetricsServiceArgs
	if args != nil {
		a = *args
	}
	rules.SetDefaults(&a)
	for _, resources := range []*kube.Resources{&a.Store.Resources, &a.Objects.Resources, &a.Alerts.Resources} {
		*resources = resources.WithLimits()
	}
	a.APIServerPorts = apiServerPorts(a.APIServerPorts)
	a.Platform = append(slices.Clone(a.Platform), a.Namespace)
	slices.Sort(a.Platform)
	a.Platform = slices.Compact(a.Platform)
	return a
}

// Namespaces returns the namespaces that the service creates.
func (args *MetricsServiceArgs) Namespaces() []string {
	return []string{args.withDefaults().Namespace}
}

// Check returns every rule that the arguments break, with their defaults in place, or nothing.
func (args *MetricsServiceArgs) Check() rules.Faults {
	a := args.withDefaults()
	f := rules.CheckTags(a)
	f.Check("store.image", a.Store.Image, kube.CheckImage(a.Store.Image, rules.ForeignImage))
	f.Check("objects.image", a.Objects.Image, kube.CheckImage(a.Objects.Image, rules.ForeignImage))
	f.Check("alerts.image", a.Alerts.Image, kube.CheckImage(a.Alerts.Image, rules.ForeignImage))
	f = append(f, a.Store.Resources.Check().In("store.resources")...)
	f = append(f, a.Objects.Resources.Check().In("objects.resources")...)
	f = append(f, a.Alerts.Resources.Check().In("alerts.resources")...)
	f = append(f, a.Store.Storage.Check().In("store.storage")...)
	if a.Store.Series < a.Store.Samples {
		f.Refuse("store.series", a.Store.Series, "below store.samples of %[1]d, each of which is a series; write %[1]d or more, or lower store.samples",
			a.Store.Samples)
	}
	switch {
	case a.Alerts.AlertmanagerImage != nil && a.Alerts.Webhook == nil:
		f.Refuse("alerts.alertmanagerImage", a.Alerts.AlertmanagerImage, "it posts the alerts to alerts.webhook, which is missing; "+
			"set that with pulumi config set --secret --path, or remove this")
	case a.Alerts.AlertmanagerImage != nil:
		f.Check("alerts.alertmanagerImage", a.Alerts.AlertmanagerImage, kube.CheckImage(a.Alerts.AlertmanagerImage, rules.ForeignImage))
	case a.Alerts.Webhook != nil:
		f.Refuse("alerts.alertmanagerImage", "", "it is missing, and posts the alerts to alerts.webhook; "+
			"write for example quay.io/prometheus/alertmanager:v0.28.1")
	}
	f.Check("namespace", a.Namespace, kube.CheckNewNamespace(a.Namespace, "the figures", (*MetricsServiceArgs)(nil).withDefaults().Namespace))
	for _, namespace := range a.Platform {
		if namespace != a.Namespace { // reported above
			f.Check("platform", namespace, rules.CheckName(namespace))
		}
	}
	return append(f, a.DNS.Check()...)
}

// metricsHistory is the name of the stack output that one update keeps for the next: the parameters of the volume.
func metricsHistory(name string) string { return name + "-history" }

// CheckUpdate returns every rule that the arguments break as the update after the last one.
func (args *MetricsServiceArgs) CheckUpdate(ctx *pulumi.Context, name string) (rules.Faults, error) {
	last, err := kube.LastOutput[*kube.Storage](ctx, metricsHistory(name))
	if err != nil || last == nil {
		return nil, err
	}
	a := args.withDefaults()
	const otherwise = "remove the figures, with all that are kept, and add them again in a later update"
	return a.Store.Storage.CheckAfter(*last, otherwise).In("store.storage"), nil
}

// NewMetricsService declares the figures. The error names every argument that breaks a rule. There is one in a cluster.
func NewMetricsService(ctx *pulumi.Context, name string, args *MetricsServiceArgs, opts ...pulumi.ResourceOption) (*MetricsService, error) {
	component := fmt.Sprintf("metrics service %q", name)
	after, err := args.CheckUpdate(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", component, err)
	}
	if err := append(args.Check(), after...).Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", component, err)
	}
	a := args.withDefaults()
	for _, image := range []*pulumi.StringInput{&a.Store.Image, &a.Objects.Image, &a.Alerts.Image, &a.Alerts.AlertmanagerImage} {
		if *image != nil {
			*image = kube.CheckedImage(component, *image, rules.ForeignImage)
		}
	}
	s := &MetricsService{}
	if err := ctx.RegisterComponentResourceV2(metricsType, name, pulumi.Map{
		"store":   a.Store.Image,
		"objects": a.Objects.Image,
		"alerts":  a.Alerts.Image,
	}, s, opts...); err != nil {
		return nil, err
	}
	if err := s.declare(ctx, name, a); err != nil {
		return nil, fmt.Errorf("%s: %w", component, err)
	}
	return s, ctx.RegisterResourceOutputs(s, pulumi.Map{})
}

// declare creates the children.
func (s *MetricsService) declare(ctx *pulumi.Context, name string, a MetricsServiceArgs) error {
	own, err := newWorkload(ctx, name+"-store", metricsPart(metricsStoreApp, name, a.Store.Image), a.Namespace, kube.RestrictedPods, nil, s)
	if err != nil {
		return err
	}
	if err := a.declareObjects(ctx, name, own); err != nil {
		return fmt.Errorf("objects: %w", err)
	}
	rollout, err := s.declareStore(ctx, name, own, a)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return kube.KeepOutput(ctx, metricsHistory(name), a.Store.Storage, rollout)
}

// metricsPart is a part of the service.
func metricsPart(app, instance string, image pulumi.StringInput) kube.Part {
	return kube.Part{App: app, PartOf: partOf, Component: "metrics", Instance: instance, Image: image}
}

// seriesLimit is how many series the store takes in an hour: about as many as its memory holds.
func (args MetricsServiceArgs) seriesLimit() *big.Rat {
	return times(bytesOf(args.Store.Resources.MemoryLimit), 1, 2048)
}
