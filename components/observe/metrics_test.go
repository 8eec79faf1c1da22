package observe

import (
	"encoding/json"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
)

const (
	metricsStoreImage = "docker.io/victoriametrics/victoria-metrics:v1.148.8"
	objectsImage      = "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.15.0"
	vmalertImage      = "docker.io/victoriametrics/vmalert:v1.148.8"
	alertmanagerImage = "quay.io/prometheus/alertmanager:v0.28.1"
)

// leastMetrics are the least arguments, with changes.
func leastMetrics(changes ...func(*MetricsServiceArgs)) *MetricsServiceArgs {
	args := &MetricsServiceArgs{
		Store:   MetricsStoreArgs{Image: pulumi.String(metricsStoreImage)},
		Objects: MetricsObjectsArgs{Image: pulumi.String(objectsImage)},
		Alerts:  MetricsAlertsArgs{Image: pulumi.String(vmalertImage)},
	}
	for _, change := range changes {
		change(args)
	}
	return args
}

// dashboardQueries are the queries of all panels.
func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	files, err := leastMetrics().withDefaults().configuration()
	require.NoError(t, err)
	for _, name := range dashboardFiles {
		var board struct {
			Rows []struct {
				Panels []struct {
					Expr []string `json:"expr"`
				} `json:"panels"`
			} `json:"rows"`
		}
		require.NoError(t, json.Unmarshal([]byte(files[name]), &board), name)
		for _, row := range board.Rows {
			for _, panel := range row.Panels {
				queries = append(queries, panel.Expr...)
			}
		}
	}
	return queries
}
