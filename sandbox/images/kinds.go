package images

import "example.com/journal/sandbox/toolchain"

// Kind is an image by its place in a stack's configuration.
type Kind struct {
	// Key is the path that takes the reference, such as api.image. Pause has none.
	Key string
	// Name is the image's name. That of another project has its own name, without the registry and the folders.
	Name string
	// Version is the tag. Without one, the tag is that of the checkout, or Debian's version.
	Version string

	source source
}

var (
	// Journal are the images of the journal itself, without which there is no page. Where images are pushed, all of them are.
	Journal = []Kind{
		{Key: "api.image", Name: "journal-api", source: goProgram},
		{Key: "claims.image", Name: "namespace-controller", source: goProgram},
		{Key: "frontend.image", Name: "journal-web", source: webServer},
		{Key: "redis.image", Name: "redis", source: redisServer},
		{Key: "redis.exporter.image", Name: "redis_exporter", source: debianProgram("prometheus-redis-exporter")},
	}
	// Pause is the image that the sandbox's node itself needs.
	Pause = Kind{Name: "pause", Version: "v0.1.0", source: pause}
	// Services are our own programs that the page does not wait for. The one that takes longest is the first.
	Services = []Kind{
		{Key: "logs.agent.image", Name: "log-agent", source: goProgram},
		{Key: "reader.image", Name: "reader", source: goProgram},
	}
	// Foreign are programs of other projects, beside the journal. A cluster pulls them from where they are published. The sandbox's node
	// cannot, and gets them built here.
	Foreign = []Kind{
		{Key: "resourceMetrics.image", Name: "metrics-server", Version: toolchain.MetricsServerVersion, source: program},
		{Key: "logs.store.image", Name: "victoria-logs", Version: "v1.51.1-0.20260624061259-dc94972a8708", source: pinned("github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs")},
		{Key: "metrics.store.image", Name: "victoria-metrics", Version: "v1.148.8", source: pinned("github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics")},
		{Key: "metrics.alerts.image", Name: "vmalert", Version: "v1.148.8", source: pinned("github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert")},
		{Key: "metrics.objects.image", Name: "kube-state-metrics", Version: toolchain.KubeStateMetricsVersion, source: program},
		// The tag must be known before the package is looked up, so it is not Debian's version.
		{Key: "metrics.alerts.alertmanagerImage", Name: "alertmanager", Version: "debian", source: debianProgram("prometheus-alertmanager")},
	}
)
