package ready

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"example.com/journal/sandbox/node/internal/machine"
)

// Cluster asks the apiserver.
type Cluster struct {
	client *client.CoreV1Client
}

// NewCluster returns the cluster at the apiserver of config.
func NewCluster(config *rest.Config) (*Cluster, error) {
	config.QPS = -1 // no rate limit: nothing else sends requests yet
	c, err := client.NewForConfig(config)
	return &Cluster{client: c}, err
}

// APIServer is ready when the API server says so.
func (c *Cluster) APIServer(ctx context.Context) error {
	return c.client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

// DefaultServiceAccount is ready when pods can be created in the default namespace.
func (c *Cluster) DefaultServiceAccount(ctx context.Context) error {
	_, err := c.client.ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err
}

// Node is ready when the kubelet has reported its node ready since the given time. The stored object of a stopped node still
// says ready.
func (c *Cluster) Node(since time.Time) Probe {
	return func(ctx context.Context) error {
		node, err := c.client.Nodes().Get(ctx, machine.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && !condition.LastHeartbeatTime.Time.Before(since.Truncate(time.Second)) {
				if condition.Status == corev1.ConditionTrue {
					return nil
				}
				return fmt.Errorf("node %s: %s", machine.Name, condition.Message)
			}
		}
		return fmt.Errorf("node %s: the kubelet has not reported yet", machine.Name)
	}
}

// ForgetPods marks every pod as not ready, as Kubernetes does when it loses a node. Otherwise the pods of the last run would
// count as ready until the kubelet has looked at them, and Services would route to addresses that belong to no pod or to
// another one.
func (c *Cluster) ForgetPods(ctx context.Context) error {
	pods, err := c.client.Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: "status.phase=Running"})
	if err != nil {
		return err
	}
	for _, pod := range pods.Items {
		for i := range pod.Status.Conditions {
			if condition := &pod.Status.Conditions[i]; condition.Type == corev1.PodReady || condition.Type == corev1.ContainersReady {
				condition.Status, condition.Reason, condition.LastTransitionTime = corev1.ConditionFalse, "NodeStopped", metav1.Now()
			}
		}
		if _, err := c.client.Pods(pod.Namespace).UpdateStatus(ctx, &pod, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	return nil
}
