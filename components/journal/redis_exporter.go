package journal

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

// RedisExporterArgs are the parameters of the exporter in each Redis pod, which reads the state of its Redis and serves it as
// figures.
type RedisExporterArgs struct {
	// Image is the image of redis_exporter, by an exact version or a digest. Required.
	Image pulumi.StringInput `json:"image" required:"true" example:"docker.io/oliver006/redis_exporter:v1.67.0"`
	// Resources are those of each exporter.
	Resources kube.Resources `json:"resources" default:"cpu=5m memory=16Mi"`
}
