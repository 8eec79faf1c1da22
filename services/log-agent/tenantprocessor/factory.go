// Package tenantprocessor is a processor of the OpenTelemetry Collector. It marks each line of a container with the tenant that its
// pod belongs to, and gives every tenant a share of what a node may send.
//
// The marks become the stream of a line in the log store, and the stream decides who may read it. So they come from the path of
// the log file and from the cluster, never from the line.
package tenantprocessor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/clientcmd"
)

// Config are the settings of the processor.
type Config struct {
	// Node is the name of the node whose containers are read. Required.
	Node string `mapstructure:"node"`
	// Kubeconfig is the path of a kubeconfig. Without one, the processor uses the service account of its pod.
	Kubeconfig string `mapstructure:"kubeconfig"`
	// PlatformRate is what all namespaces without a tenant may log together, in bytes per second of text. It is also the rate of a
	// tenant that has none. At least 1.
	PlatformRate int64 `mapstructure:"platform_rate"`
	// PlatformBurst is how many bytes of text they may log at once. At least 1. A line that is longer is always dropped.
	PlatformBurst int64 `mapstructure:"platform_burst"`
}

// Validate returns every rule that the settings break.
func (c *Config) Validate() error {
	var faults []error
	if c.Node == "" {
		faults = append(faults, errors.New(`node "": must be the name of the node; set NODE_NAME to spec.nodeName`))
	}
	if c.PlatformRate < 1 {
		faults = append(faults, fmt.Errorf("platform_rate %d: must be at least 1 byte per second; set PLATFORM_RATE", c.PlatformRate))
	}
	if c.PlatformBurst < 1 {
		faults = append(faults, fmt.Errorf("platform_burst %d: must be at least 1 byte; set PLATFORM_BURST", c.PlatformBurst))
	}
	return errors.Join(faults...)
}

// Type is the name of the processor in a configuration.
var Type = component.MustNewType("tenant")

// NewFactory returns the factory of the processor.
func NewFactory() processor.Factory {
	return processor.NewFactory(Type, func() component.Config { return &Config{} }, processor.WithLogs(create, component.StabilityLevelStable))
}

func create(_ context.Context, set processor.Settings, config component.Config, next consumer.Logs) (processor.Logs, error) {
	c := config.(*Config)
	rest, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %q: %w", c.Kubeconfig, err)
	}
	rest.QPS, rest.Burst = 50, 200 // a start asks for the namespace of every pod on the node
	client, err := metadata.NewForConfig(rest)
	if err != nil {
		return nil, err
	}
	return newProcessor(set.TelemetrySettings, c, client, next, time.Now)
}
