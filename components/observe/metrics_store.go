package observe

import (
	"fmt"
	"slices"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

const (
	// metricsStoreApp is the name of everything of the store. NetworkPolicies of other namespaces let the pods of this name in.
	metricsStoreApp = kube.ScraperApp
	// metricsStorePort is the port at which the store answers queries and serves its own figures.
	metricsStorePort = 8428
	// metricsDir and dashboardsDir are where the configuration of the pod and the dashboards are.
	metricsDir, dashboardsDir = "/etc/metrics", "/etc/dashboards"
	// configurationVolume and dashboardsVolume are the volumes with them.
	configurationVolume, dashboardsVolume = "configuration", "dashboards"
)

// declareStore declares the store with its alerts, and returns what exists once its pod is as declared.
func (s *MetricsService) declareStore(ctx *pulumi.Context, name string, own workload, a MetricsServiceArgs) (pulumi.CustomResource, error) {
	name += "-store"
	files, err := a.configuration()
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	config, err := kube.NewConfig(ctx, name, kube.ConfigArgs{Part: own.part, Namespace: own.namespace, Data: files, Keep: 1}, s)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	rights, err := own.rights(ctx, name, scraperRules())
	if err != nil {
		return nil, err
	}
	pod := a.storePod(own, config.Name)
	if err := a.addAlertmanager(ctx, name, own, &pod); err != nil {
		return nil, fmt.Errorf("alertmanager: %w", err)
	}
	var rollout pulumi.CustomResource
	s.Store, rollout, err = storeSet{
		own: own, port: metricsStorePort, storage: a.Store.Storage, pod: pod, needs: rights, rolloutTimeout: metricsRolloutSeconds,
		ingress: a.storeIngress(), egress: a.storeEgress(),
	}.declare(ctx, name)
	return rollout, err
}

// storeIngress is who may connect to the pod of the store: those who read, and may also write and delete there. A rule without
// anybody in it would let everybody in.
func (args MetricsServiceArgs) storeIngress() networkingv1.NetworkPolicyIngressRuleArray {
	if len(args.Readers) == 0 {
		return nil
	}
	return networkingv1.NetworkPolicyIngressRuleArray{
		networkingv1.NetworkPolicyIngressRuleArgs{From: args.Readers, Ports: tcp(metricsStorePort)},
	}
}

// storeEgress is where the pod of the store may connect to: every pod, at whatever port its annotations name; the kubelets and
// the API server, which are no pods, so no selector matches them; and with a webhook the Internet.
func (args MetricsServiceArgs) storeEgress() networkingv1.NetworkPolicyEgressRuleArray {
	egress := networkingv1.NetworkPolicyEgressRuleArray{
		networkingv1.NetworkPolicyEgressRuleArgs{To: networkingv1.NetworkPolicyPeerArray{
			networkingv1.NetworkPolicyPeerArgs{NamespaceSelector: metav1.LabelSelectorArgs{}},
		}},
		networkingv1.NetworkPolicyEgressRuleArgs{Ports: tcp(append([]int{kubeletPort}, args.APIServerPorts...)...)},
	}
	if args.Alerts.Webhook != nil {
		egress = append(egress, args.DNS.Rule(), networkingv1.NetworkPolicyEgressRuleArgs{Ports: tcp(webhookPorts...)})
	}
	return egress
}

// storePod returns the pod of the store: the store itself, which alone may call the API server, and vmalert.
func (args MetricsServiceArgs) storePod(own workload, config pulumi.StringInput) kube.Pod {
	token, tokenMount := kube.APIToken() // the store finds pods and nodes by it, and signs in to the kubelets
	configuration := configFiles(configurationVolume, config, scrapeFile, alertsFile)
	dashboards := configFiles(dashboardsVolume, config, dashboardFiles...)
	container := corev1.ContainerArgs{
		Name:      pulumi.String(metricsStoreApp),
		Image:     args.Store.Image,
		Args:      pulumi.ToStringArray(args.storeFlags()),
		Ports:     storeContainerPort(metricsStorePort),
		Resources: args.Store.Resources.Requirements(),
		VolumeMounts: corev1.VolumeMountArray{
			storeVolume(), tokenMount, readOnly(configurationVolume, metricsDir), readOnly(dashboardsVolume, dashboardsDir),
		},
	}
	storeProbes(&container)
	return kube.Pod{
		Part:                   own.part,
		ServiceAccount:         own.account,
		TerminationGracePeriod: 60, // it writes what it has in memory
		PriorityClass:          args.PriorityClass,
		FiguresPort:            metricsStorePort,
		Volumes:                corev1.VolumeArray{token, configuration, dashboards},
		Container:              container,
		Beside:                 []corev1.ContainerArgs{args.vmalert()},
	}
}

// storeFlags are the arguments of the store.
func (args MetricsServiceArgs) storeFlags() []string {
	store, hourly := args.Store, args.seriesLimit()
	return slices.Concat([]string{
		"-storageDataPath=" + storeDir,
		fmt.Sprintf("-httpListenAddr=:%d", metricsStorePort),
		bothFamilies,
		fmt.Sprintf("-retentionPeriod=%dd", store.Retention),
		// It takes no more before the volume is full.
		bytesFlag("-storage.minFreeDiskSpaceBytes", store.Storage.Size, 1, 20),
		bytesFlag("-memory.allowedBytes", store.Resources.MemoryLimit, 1, 3),
		// The last bound of what all pods together serve.
		"-storage.maxHourlySeries=" + hourly.FloatString(0),
		"-storage.maxDailySeries=" + times(hourly, 2, 1).FloatString(0),
		"-maxLabelValueLen=1024",
		"-promscrape.config=" + metricsDir + "/" + scrapeFile,
		// A pod that never answers fills no log, and all pods that are left out fill no memory.
		"-promscrape.suppressScrapeErrorsDelay=10m", "-promscrape.suppressDuplicateScrapeTargetErrors",
		"-promscrape.dropOriginalLabels", "-promscrape.maxDroppedTargets=100",
		// The help texts of figures belong to no namespace.
		"-enableMetadata=false",
		"-vmui.customDashboardsPath=" + dashboardsDir,
	}, []string{
		"-search.maxQueryDuration=30s", // the API server ends a read after 60 s
		// Four of two readers, so that the most that each may take fits into the limit, and two of vmalert. The others wait.
		"-search.maxConcurrentRequests=6",
		bytesFlag("-search.maxMemoryPerQuery", store.Resources.MemoryLimit, 1, 64),
		"-search.maxUniqueTimeseries=100000", "-search.maxSamplesPerQuery=100000000",
		// The store reads figures itself, so they are there at once; the default is 30s.
		"-search.latencyOffset=" + latency,
		"-denyQueryTracing", // a trace counts what is of other namespaces too
		"-http.disableCORS",
		"-loggerFormat=json",
	})
}

// latency is how old a figure must be until queries and alerts see it.
const latency = "5s"

// configFiles is a volume with some files of a ConfigMap.
func configFiles(volume string, config pulumi.StringInput, files ...string) corev1.VolumeArgs {
	items := corev1.KeyToPathArray{}
	for _, file := range files {
		items = append(items, corev1.KeyToPathArgs{Key: pulumi.String(file), Path: pulumi.String(file)})
	}
	return corev1.VolumeArgs{
		Name:      pulumi.String(volume),
		ConfigMap: corev1.ConfigMapVolumeSourceArgs{Name: config, DefaultMode: pulumi.Int(0o444), Items: items},
	}
}

// readOnly mounts a volume.
func readOnly(volume, dir string) corev1.VolumeMountArgs {
	return corev1.VolumeMountArgs{Name: pulumi.String(volume), MountPath: pulumi.String(dir), ReadOnly: pulumi.Bool(true)}
}
