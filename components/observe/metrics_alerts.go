package observe

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"

	"example.com/journal/components/kube"
)

const (
	// vmalertApp is the container that evaluates the alerts. It writes their state back to the store.
	vmalertApp = "vmalert"
	// vmalertPort is the port of its probes and of its own figures, and vmalertPortName its name.
	vmalertPort, vmalertPortName = 8880, "alerts"
	// alertmanagerApp is the container that posts the alerts to the webhook. It listens to its own pod alone.
	alertmanagerApp = "alertmanager"
	// alertmanagerAddress is where it listens.
	alertmanagerAddress = "127.0.0.1:9093"
	// alertmanagerFile is the name of its configuration.
	alertmanagerFile = "alertmanager.yaml"
)

// webhookPorts are the ports of webhooks outside of the cluster.
var webhookPorts = []int{443, 80}

// vmalert returns the container that evaluates the alerts.
func (args MetricsServiceArgs) vmalert() corev1.ContainerArgs {
	store := fmt.Sprintf("http://127.0.0.1:%d", metricsStorePort)
	notify := "-notifier.blackhole"
	if args.Alerts.Webhook != nil {
		notify = "-notifier.url=http://" + alertmanagerAddress
	}
	return corev1.ContainerArgs{
		Name:  pulumi.String(vmalertApp),
		Image: args.Alerts.Image,
		Args: pulumi.ToStringArray([]string{
			"-rule=" + metricsDir + "/" + alertsFile,
			fmt.Sprintf("-httpListenAddr=:%d", vmalertPort),
			bothFamilies,
			"-datasource.url=" + store,
			"-remoteRead.url=" + store, // for how long something has been so, after a restart
			"-remoteWrite.url=" + store,
			fmt.Sprintf("-evaluationInterval=%ds", args.Store.Interval),
			"-rule.evalDelay=" + latency,
			notify,
			"-loggerFormat=json",
		}),
		Ports: corev1.ContainerPortArray{corev1.ContainerPortArgs{
			Name: pulumi.String(vmalertPortName), ContainerPort: pulumi.Int(vmalertPort),
		}},
		Resources:     args.Alerts.Resources.Requirements(),
		VolumeMounts:  corev1.VolumeMountArray{readOnly(configurationVolume, metricsDir)},
		StartupProbe:  kube.HTTPProbe(vmalertPortName, "/health", 2, 60),
		LivenessProbe: kube.HTTPProbe(vmalertPortName, "/health", 10, 6),
	}
}

// addAlertmanager adds the container that posts alerts to the webhook, if there is one, and declares its configuration. The whole
// of it is a Secret, since the URL may hold a token.
func (args MetricsServiceArgs) addAlertmanager(ctx *pulumi.Context, name string, own workload, pod *kube.Pod) error {
	if args.Alerts.Webhook == nil {
		return nil
	}
	text := alertmanagerConfig(args.Alerts.Webhook)
	meta := own.part.Meta(own.namespace)
	// A new URL is a new Secret, so that the pod is replaced and reads it. Its name has 40 bits of a hash, from which nobody finds a
	// token.
	meta.Name = pulumix.Cast[pulumi.StringOutput](pulumix.Apply(pulumi.Unsecret(text).(pulumi.StringOutput), func(text string) string {
		return kube.ContentName(own.part.App+"-"+alertmanagerApp, map[string]string{alertmanagerFile: text})
	}))
	secret, err := corev1.NewSecret(ctx, name+"-"+alertmanagerApp, &corev1.SecretArgs{
		Metadata: meta, StringData: pulumi.StringMap{alertmanagerFile: text}, Immutable: pulumi.Bool(true),
	}, own.opts...)
	if err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	const dir = "/etc/alertmanager"
	volume, mount := kube.SecretFiles(alertmanagerApp, dir, kube.SecretKeys{
		Secret: secret.Metadata.Name().Elem(), Keys: []string{alertmanagerFile},
	})
	pod.Volumes = append(pod.Volumes, volume)
	pod.Beside = append(pod.Beside, corev1.ContainerArgs{
		Name:  pulumi.String(alertmanagerApp),
		Image: args.Alerts.AlertmanagerImage,
		Args: pulumi.ToStringArray([]string{
			"--config.file=" + dir + "/" + alertmanagerFile,
			"--storage.path=/tmp/" + alertmanagerApp, // what it has posted already: a new pod posts what still holds once more
			"--web.listen-address=" + alertmanagerAddress,
			"--cluster.listen-address=", // it is alone
			"--log.format=json",
		}),
		Resources:    args.Alerts.Resources.Requirements(),
		VolumeMounts: corev1.VolumeMountArray{mount, corev1.VolumeMountArgs{Name: pulumi.String("tmp"), MountPath: pulumi.String("/tmp")}},
	})
	return nil
}

// alertmanagerConfig returns the configuration of Alertmanager, as JSON, which is YAML: it posts what begins and what ends, the
// alerts of one namespace together.
func alertmanagerConfig(webhook pulumi.StringInput) pulumi.StringOutput {
	address := pulumi.ToSecret(webhook).(pulumi.StringOutput)
	return pulumix.Cast[pulumi.StringOutput](pulumix.ApplyErr(address, func(address string) (string, error) {
		if err := checkWebhook(address); err != nil {
			return "", fmt.Errorf("alerts.webhook \"[secret]\": %w", err)
		}
		const receiver = "webhook"
		text, err := json.Marshal(map[string]any{
			"route": map[string]any{
				"receiver": receiver, "group_by": []string{"namespace"}, "group_wait": "10s", "group_interval": "1m", "repeat_interval": "4h",
			},
			"receivers": []any{map[string]any{
				"name": receiver, "webhook_configs": []any{map[string]any{
					// A receiver elsewhere must not choose where else alerts are posted: the pod is in the cluster.
					"url": address, "send_resolved": true, "http_config": map[string]any{"follow_redirects": false},
				}},
			}},
		})
		return string(text), err
	}))
}

// checkWebhook refuses what is no URL of a webhook. Its errors do not show it.
func checkWebhook(address string) error {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return errors.New("no URL with http:// or https:// and a host; set it again with pulumi config set --secret --path")
	}
	return nil
}
