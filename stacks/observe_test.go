package stacks

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/journal/internal/graphtest"
)

const (
	apiServiceToken = "kubernetes:apiregistration.k8s.io/v1:APIService"
	metricsToken    = "journal:components:ResourceMetrics"
	autoscalerToken = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
	// metered is a stack with resource metrics.
	metered = "resourceMetrics: {image: 'registry.k8s.io/metrics-server/metrics-server:v0.9.0'}"
)

func TestWithoutTheKeyThereIsNothingOfTheMetrics(t *testing.T) {
	g := deployed(t)
	for _, token := range []string{apiServiceToken, metricsToken, autoscalerToken} {
		assert.Empty(t, g.OfType(token))
	}
}

func TestTheMetricsHaveThePriorityOfWhatServesAllTenants(t *testing.T) {
	g := deployed(t, metered)
	require.Len(t, g.OfType(metricsToken), 1)
	pods := graphtest.Find(t, g, "kubernetes:apps/v1:Deployment", "resource-metrics")
	assert.Equal(t, "journal-platform", pods.Field("spec.template.spec.priorityClassName"))
}

func TestPodsScaleByTheStacksOwnMetricsOrByThoseOfTheCluster(t *testing.T) {
	const scaled = "api: {autoscaling: {maxReplicas: 4}}"
	for _, metrics := range []string{metered, "cluster: {resourceMetrics: true}"} {
		t.Run(metrics, func(t *testing.T) {
			assert.Len(t, deployed(t, metrics, scaled).OfType(autoscalerToken), 1)
		})
	}
}

func TestTheMostPodsOfAScaledServerMustFitIntoTheQuota(t *testing.T) {
	err := Check(stack(t, metered, "api: {autoscaling: {maxReplicas: 200}}"), "test")
	require.ErrorContains(t, err, `journal:tenant.overrides.cpu`)
	require.ErrorContains(t, err, "api (200 + 1) × 100m")
}

// TestTheLinesThatObserveProductionAreAccepted removes the comment signs of Pulumi.prod.yaml.
func TestTheLinesThatObserveProductionAreAccepted(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"Pulumi.yaml", "Pulumi.prod.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		commented := regexp.MustCompile(`(?m)^( +)# (journal:(?:resourceMetrics|logs|metrics|reader):|autoscaling:|exporter:| +\w+:)(.*)$`)
		if name == "Pulumi.prod.yaml" {
			require.Len(t, commented.FindAll(text, -1), 22)
			text = commented.ReplaceAll(text, []byte("$1$2$3"))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	config, err := Read(dir, "prod")
	require.NoError(t, err)
	require.NotNil(t, config.ResourceMetrics)
	assert.Equal(t, 8, config.Journal.API.Autoscaling.MaxReplicas)
	assert.NotNil(t, config.Journal.Frontend.Autoscaling)
	require.NotNil(t, config.Logs)
	assert.Equal(t, 14, config.Logs.Retention.Days)
	require.NotNil(t, config.Metrics)
	assert.Equal(t, 30, config.Metrics.Store.Retention)
	assert.NotNil(t, config.Journal.Redis.Exporter)
	require.NotNil(t, config.Reader)
	assert.NotEmpty(t, config.Reader.Platform)
}
