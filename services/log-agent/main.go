// The log-agent runs on every node of a cluster. It reads the logs of the node's containers, marks each line with the pod and the
// tenant that it belongs to, and sends it to the log store. It is a distribution of the OpenTelemetry Collector with the few parts
// that this needs; agent.yaml puts them together.
//
// It reads from its environment:
//
//	NODE_NAME       the name of the node
//	NAMESPACE       the namespace of the agents, whose logs are not read
//	STORE_URL       the log store, such as http://log-store.journal-logs.svc:9428
//	BUFFER_BYTES    what the node's disk keeps while the store is away, in bytes
//	PLATFORM_RATE   the share of all namespaces without a tenant, in bytes per second
//	PLATFORM_BURST  how many bytes they may log at once
//
// A run outside of a pod also sets KUBECONFIG, LOG_DIR and STATE_DIR (in place of /var/log/pods and /var/lib/journal-log-agent),
// METRICS_HOST and METRICS_PORT (in place of all addresses and 8888). The agent's own figures are at /metrics there.
//
// "log-agent prepare DIR" makes a folder of the node writable for the agent, which runs without the rights of root.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/filelogreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/featuregate"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/memorylimiterprocessor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"

	"example.com/journal/services/log-agent/tenantprocessor"
)

// pipeline says what the agent reads, does and sends.
//
//go:embed agent.yaml
var pipeline string

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "log-agent:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 0:
		return collect(ctx)
	case len(args) == 2 && args[0] == "prepare":
		return prepare(args[1])
	}
	return fmt.Errorf("%q: unknown arguments; give none, or prepare and a folder", args)
}

// prepare makes a folder, and lets its group write into it. The kubelet makes it for root alone.
func prepare(dir string) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("folder %q: must be an absolute path, such as /var/lib/journal-log-agent", dir)
	}
	return errors.Join(os.MkdirAll(dir, 0o770), os.Chmod(dir, 0o770))
}

// collect runs the pipeline until the process is told to end.
func collect(ctx context.Context) error {
	// A position in a file is stored after its lines are in the queue. Without the gate some of them would still be on their way
	// there, and a killed agent would lose them.
	if err := featuregate.GlobalRegistry().Set("stanza.synchronousLogEmitter", true); err != nil {
		return err
	}
	collector, err := otelcol.NewCollector(otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: "log-agent", Description: "Logs of a node's containers, by tenant"},
		Factories: factories,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			URIs:              []string{"yaml:" + pipeline},
			ProviderFactories: []confmap.ProviderFactory{envprovider.NewFactory(), yamlprovider.NewFactory()},
		}},
	})
	if err != nil {
		return err
	}
	return collector.Run(ctx)
}

// factories are the parts that agent.yaml may name.
func factories() (otelcol.Factories, error) {
	receivers, err := otelcol.MakeFactoryMap[receiver.Factory](filelogreceiver.NewFactory())
	if err != nil {
		return otelcol.Factories{}, err
	}
	processors, err := otelcol.MakeFactoryMap[processor.Factory](memorylimiterprocessor.NewFactory(), tenantprocessor.NewFactory())
	if err != nil {
		return otelcol.Factories{}, err
	}
	exporters, err := otelcol.MakeFactoryMap[exporter.Factory](otlphttpexporter.NewFactory())
	if err != nil {
		return otelcol.Factories{}, err
	}
	extensions, err := otelcol.MakeFactoryMap[extension.Factory](filestorage.NewFactory())
	return otelcol.Factories{
		Receivers: receivers, Processors: processors, Exporters: exporters, Extensions: extensions,
		Telemetry: otelconftelemetry.NewFactory(),
	}, err
}
