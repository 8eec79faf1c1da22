// Package answer tells whether the journal that was deployed to a cluster works, and if not, why.
package answer

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"example.com/journal/sandbox/cluster"
	"example.com/journal/sandbox/objects"
)

const (
	// answerTime is how long the journal may take to answer after it was deployed.
	answerTime = 3 * time.Minute
	// addressTime is how long a cluster may take to say at which address, and that address to let anybody connect.
	addressTime = 30 * time.Second
)

// Selector selects the objects of all parts of the journal.
const Selector = "app.kubernetes.io/part-of=journal"

var ofTheJournal = metav1.ListOptions{LabelSelector: Selector}

// Rollouts returns when all pods are those that the stack declares. The plugin that waits for them while it deploys
// may look at a workload as it was before its update, and pods that came back after a start are nobody's update.
func Rollouts(ctx context.Context, client *objects.Client, namespace string, log io.Writer) error {
	said := ""
	return within(ctx, answerTime, func() error {
		waiting, err := unfinished(ctx, client, namespace)
		if err != nil || waiting == "" {
			return err
		}
		if waiting != said {
			said = waiting
			fmt.Fprintf(log, "waiting for %s\n", waiting)
		}
		return fmt.Errorf("%w: %s", errNotYet, waiting)
	})
}

// unfinished names a workload whose pods are not those that it declares, if there is one.
func unfinished(ctx context.Context, client *objects.Client, namespace string) (string, error) {
	sets, err := objects.List[appsv1.StatefulSet](ctx, client, objects.StatefulSets, namespace, ofTheJournal)
	if err != nil {
		return "", err
	}
	for _, s := range sets {
		if want := *cmp.Or(s.Spec.Replicas, new(int32)); s.Status.ObservedGeneration < s.Generation || s.Status.CurrentRevision != s.Status.UpdateRevision ||
			s.Status.ReadyReplicas < want {
			return fmt.Sprintf("StatefulSet %s: %d of %d pods are ready", s.Name, s.Status.ReadyReplicas, want), nil
		}
	}
	deployments, err := objects.List[appsv1.Deployment](ctx, client, objects.Deployments, namespace, ofTheJournal)
	if err != nil {
		return "", err
	}
	for _, d := range deployments {
		if want := *cmp.Or(d.Spec.Replicas, new(int32)); d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas < want ||
			d.Status.Replicas > d.Status.UpdatedReplicas || d.Status.AvailableReplicas < want {
			return fmt.Sprintf("Deployment %s: %d of %d pods are new, %d available, and %d old ones are left", d.Name, d.Status.UpdatedReplicas, want,
				d.Status.AvailableReplicas, d.Status.Replicas-d.Status.UpdatedReplicas), nil
		}
	}
	return "", nil
}

// ErrUnseen is why it could not be seen from here whether the journal answers: a cluster elsewhere need not let this machine in.
var ErrUnseen = errors.New("the way in could not be seen from here")

// WayIn returns when the page and the API answer through the way in, as a browser would ask.
func WayIn(ctx context.Context, c cluster.Cluster, client *objects.Client, address, namespace string) error {
	page, err := url.Parse(address)
	if err != nil {
		return err
	}
	trusted, err := certificates(ctx, client, namespace)
	if err != nil {
		return err
	}
	at := ""
	web := &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12},
			// A resolver need not know the host, nor that names below localhost are this machine; browsers do.
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, at)
			},
		},
	}
	defer web.CloseIdleConnections()
	if err := within(ctx, addressTime, func() (err error) {
		if at, err = c.Address(ctx, page, namespace); err != nil {
			return err
		}
		if at == "" {
			return fmt.Errorf("%w: no Ingress and no Gateway of namespace %s reports an address", errNotYet, namespace)
		}
		if _, err := visit(ctx, web, page.String()); err != nil {
			return fmt.Errorf("%w: %s: %w", errNotYet, at, err)
		}
		return nil
	}); err != nil {
		if ctx.Err() == nil && errors.Is(err, errNotYet) {
			err = fmt.Errorf("%w: %w", ErrUnseen, err)
		}
		return err
	}
	for _, target := range []string{page.String(), page.JoinPath("api", "entries").String()} {
		if err := within(ctx, answerTime, func() error {
			if status, err := visit(ctx, web, target); err != nil || status != http.StatusOK {
				return fmt.Errorf("%w: %s is answered with status %d (%w)", errNotYet, target, status, err)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// errNotYet is an error that may pass.
var errNotYet = errors.New("not yet")

// within repeats a check until it holds. An error that is not errNotYet ends it at once.
func within(ctx context.Context, limit time.Duration, check func() error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, limit, true, func(context.Context) (bool, error) {
		if last = check(); errors.Is(last, errNotYet) {
			return false, nil
		}
		return true, last
	})
	if wait.Interrupted(err) && last != nil {
		return fmt.Errorf("after %s %w", limit, last)
	}
	return err
}

// certificates are those of the machine, and those that the stack has signed for its host itself.
func certificates(ctx context.Context, client *objects.Client, namespace string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	secrets, err := objects.List[corev1.Secret](ctx, client, objects.Secrets, namespace, metav1.ListOptions{LabelSelector: "app=exposure"})
	for _, s := range secrets {
		pool.AppendCertsFromPEM(s.Data[corev1.TLSCertKey])
	}
	return pool, err
}

func visit(ctx context.Context, client *http.Client, target string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// WithPods adds to an error what the pods that are not ready say about themselves.
func WithPods(ctx context.Context, client *objects.Client, err error) error {
	if err == nil {
		return nil
	}
	reasons := podReasons(context.WithoutCancel(ctx), client)
	if len(reasons) == 0 {
		return err
	}
	return fmt.Errorf("%w\npods that are not ready:\n  %s", err, strings.Join(reasons, "\n  "))
}

// podReasons says for each pod of the journal that is not ready why it is not. It says nothing when the cluster does not.
func podReasons(ctx context.Context, client *objects.Client) (reasons []string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	pods, _ := objects.List[corev1.Pod](ctx, client, objects.Pods, "", ofTheJournal)
	warnings, _ := objects.List[corev1.Event](ctx, client, objects.Events, "", metav1.ListOptions{FieldSelector: "type=Warning,involvedObject.kind=Pod"})
	for _, p := range pods {
		reason := reasonOf(p)
		if reason == "" {
			continue
		}
		var last corev1.Event
		for _, w := range warnings {
			if w.InvolvedObject.UID == p.UID && !w.LastTimestamp.Before(&last.LastTimestamp) {
				last = w
			}
		}
		if message := oneLine(last.Message); message != "" && !strings.Contains(reason, message) {
			reason += "; " + message
		}
		reasons = append(reasons, fmt.Sprintf("%s/%s: %s", p.Namespace, p.Name, reason))
	}
	return reasons
}

// reasonOf says why a pod is not ready, or nothing if it is.
func reasonOf(p corev1.Pod) string {
	said := ""
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return ""
		}
		if c.Status == corev1.ConditionFalse && c.Message != "" {
			said = c.Reason + ": " + c.Message
		}
	}
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil {
			said = w.Reason + " " + w.Message
		}
		if t := cmp.Or(c.State.Terminated, c.LastTerminationState.Terminated); t != nil {
			said += fmt.Sprintf(" (%s ended with %d, %s; restarts: %d)", c.Name, t.ExitCode, t.Reason, c.RestartCount)
		}
	}
	return oneLine(cmp.Or(said, string(p.Status.Phase)))
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
