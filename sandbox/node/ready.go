package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// readiness says why something is not ready yet.
type readiness func(context.Context, *http.Client) error

const (
	apiserverURL          = "https://" + nodeIP + ":" + apiserverPort
	defaultServiceAccount = apiserverURL + "/api/v1/namespaces/default/serviceaccounts/default"
	// maxAnswer is more than a list of as many pods as a node can have.
	maxAnswer = 64 << 20
)

// get returns the body of a good answer.
func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	return call(ctx, client, http.MethodGet, url, "", nil)
}

// call sends a request and returns the body of a good answer.
func call(ctx context.Context, client *http.Client, method, url, contentType string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", url, response.Status, bytes.TrimSpace(answer))
	}
	return answer, nil
}

// exists is ready when the URL answers well.
func exists(url string) readiness {
	return func(ctx context.Context, client *http.Client) error {
		_, err := get(ctx, client, url)
		return err
	}
}

// listens is ready when a connection can be made.
func listens(network, address string) readiness {
	return func(ctx context.Context, _ *http.Client) error {
		connection, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return err
		}
		return connection.Close()
	}
}

// nodeIsReady is ready when the kubelet has said so of its node since the given time. A node that was stopped is
// still called ready in the stored objects.
func nodeIsReady(apiserver string, since time.Time) readiness {
	return func(ctx context.Context, client *http.Client) error {
		body, err := get(ctx, client, apiserver+"/api/v1/nodes/"+Name)
		if err != nil {
			return err
		}
		var node struct {
			Status struct {
				Conditions []struct {
					Type, Status, Message string
					LastHeartbeatTime     time.Time
				}
			}
		}
		if err := json.Unmarshal(body, &node); err != nil {
			return err
		}
		for _, c := range node.Status.Conditions {
			if c.Type == "Ready" && !c.LastHeartbeatTime.Before(since.Truncate(time.Second)) {
				if c.Status == "True" {
					return nil
				}
				return fmt.Errorf("node %s: %s", Name, c.Message)
			}
		}
		return fmt.Errorf("node %s: the kubelet has not reported yet", Name)
	}
}

// pod is what the node looks at of a pod.
type pod struct {
	Metadata struct{ Namespace, Name, UID string }
	Status   struct {
		Conditions []struct{ Type, Status string }
	}
}

func (p pod) ready() bool {
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True"
		}
	}
	return false
}

func listPods(ctx context.Context, client *http.Client) ([]pod, error) {
	body, err := get(ctx, client, apiserverURL+"/api/v1/pods?fieldSelector=status.phase%3DRunning")
	if err != nil {
		return nil, err
	}
	var list struct{ Items []pod }
	err = json.Unmarshal(body, &list)
	return list.Items, err
}

// forgetReadiness marks every pod as not ready, as Kubernetes does with the pods of a node that is lost, and returns those
// that were. Otherwise the pods of the last run would count as ready until the kubelet has looked at them, and Services would
// lead to addresses that nobody has any more, or somebody else.
func forgetReadiness(ctx context.Context, client *http.Client) ([]pod, error) {
	pods, err := listPods(ctx, client)
	if err != nil {
		return nil, err
	}
	const condition = `{"type": %q, "status": "False", "reason": "NodeStopped", "lastTransitionTime": %q}`
	now := time.Now().UTC().Format(time.RFC3339)
	patch := fmt.Appendf(nil, `{"status": {"conditions": [`+condition+`, `+condition+`]}}`, "Ready", now, "ContainersReady", now)
	var wereReady []pod
	for _, p := range pods {
		if !p.ready() {
			continue
		}
		wereReady = append(wereReady, p)
		url := fmt.Sprintf("%s/api/v1/namespaces/%s/pods/%s/status", apiserverURL, p.Metadata.Namespace, p.Metadata.Name)
		if _, err := call(ctx, client, http.MethodPatch, url, "application/strategic-merge-patch+json", patch); err != nil {
			return nil, err
		}
	}
	return wereReady, nil
}

// readyAgain is ready when those of the pods that still exist are ready.
func readyAgain(pods []pod) readiness {
	return func(ctx context.Context, client *http.Client) error {
		now, err := listPods(ctx, client)
		if err != nil {
			return err
		}
		missing := map[string]bool{}
		for _, p := range pods {
			missing[p.Metadata.UID] = true
		}
		var names []string
		for _, p := range now {
			if missing[p.Metadata.UID] && !p.ready() {
				names = append(names, p.Metadata.Namespace+"/"+p.Metadata.Name)
			}
		}
		if len(names) > 0 {
			return errors.New(strings.Join(names, ", "))
		}
		return nil
	}
}
