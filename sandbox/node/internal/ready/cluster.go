package ready

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// Cluster asks the apiserver.
type Cluster struct {
	client *client.CoreV1Client
	node   string
}

// NewCluster returns the cluster of the named node, at the apiserver of config.
func NewCluster(config *rest.Config, node string) (*Cluster, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // nothing else is asked for yet
	c, err := client.NewForConfig(config)
	return &Cluster{client: c, node: node}, err
}

// APIServer is ready when the apiserver says so.
func (c *Cluster) APIServer(ctx context.Context) error {
	return c.client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

// DefaultServiceAccount is ready when pods of the default namespace can be made.
func (c *Cluster) DefaultServiceAccount(ctx context.Context) error {
	_, err := c.client.ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err
}

// Registered is ready when the kubelet has made its node known.
func (c *Cluster) Registered(ctx context.Context) error {
	_, err := c.client.Nodes().Get(ctx, c.node, metav1.GetOptions{})
	return err
}

// Node is ready when the kubelet has said so of its node since the given time. A node that was stopped is still called
// ready in the stored objects.
func (c *Cluster) Node(since time.Time) Probe {
	return func(ctx context.Context) error {
		node, err := c.client.Nodes().Get(ctx, c.node, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && !condition.LastHeartbeatTime.Time.Before(since.Truncate(time.Second)) {
				if condition.Status == corev1.ConditionTrue {
					return nil
				}
				return fmt.Errorf("node %s: %s", c.node, condition.Message)
			}
		}
		return fmt.Errorf("node %s: the kubelet has not reported yet", c.node)
	}
}

// ForgetPods marks every pod as not ready, as Kubernetes does with the pods of a node that is lost, and returns those that
// were. Otherwise the pods of the last run would count as ready until the kubelet has looked at them, and Services would lead
// to addresses that nobody has any more, or somebody else.
func (c *Cluster) ForgetPods(ctx context.Context) ([]types.UID, error) {
	pods, err := c.runningPods(ctx)
	if err != nil {
		return nil, err
	}
	var wereReady []types.UID
	for _, pod := range pods {
		if !podReady(pod) {
			continue
		}
		wereReady = append(wereReady, pod.UID)
		for i := range pod.Status.Conditions {
			if condition := &pod.Status.Conditions[i]; condition.Type == corev1.PodReady || condition.Type == corev1.ContainersReady {
				condition.Status, condition.Reason, condition.LastTransitionTime = corev1.ConditionFalse, "NodeStopped", metav1.Now()
			}
		}
		if _, err := c.client.Pods(pod.Namespace).UpdateStatus(ctx, &pod, metav1.UpdateOptions{}); err != nil {
			return nil, err
		}
	}
	return wereReady, nil
}

// Pods is ready when those of the pods that still exist are ready.
func (c *Cluster) Pods(uids []types.UID) Probe {
	return func(ctx context.Context) error {
		pods, err := c.runningPods(ctx)
		if err != nil {
			return err
		}
		var names []string
		for _, pod := range pods {
			if slices.Contains(uids, pod.UID) && !podReady(pod) {
				names = append(names, pod.Namespace+"/"+pod.Name)
			}
		}
		if len(names) > 0 {
			return errors.New(strings.Join(names, ", "))
		}
		return nil
	}
}

func (c *Cluster) runningPods(ctx context.Context) ([]corev1.Pod, error) {
	list, err := c.client.Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: "status.phase=Running"})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

func podReady(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
