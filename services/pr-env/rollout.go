package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rolledOut waits until all pods of the applied workloads are as declared and ready.
func (e *environment) rolledOut(ctx context.Context, namespace string, objects []*unstructured.Unstructured) error {
	var workloads []*unstructured.Unstructured
	for _, o := range objects {
		if o.GetKind() == "Deployment" || o.GetKind() == "StatefulSet" {
			workloads = append(workloads, o)
		}
	}
	var missing []string
	over, err := e.await(ctx, func(ctx context.Context) (bool, error) {
		missing = nil
		for _, w := range workloads {
			why, err := e.rollout(ctx, w.GetKind(), types.NamespacedName{Namespace: namespace, Name: w.GetName()})
			if err != nil {
				return false, fmt.Errorf("read %s %s: %w", w.GetKind(), w.GetName(), err)
			}
			if why != "" {
				missing = append(missing, fmt.Sprintf("%s %s: %s", w.GetKind(), w.GetName(), why))
			}
		}
		return len(missing) == 0, nil
	})
	if !over {
		return err
	}
	pods := &corev1.PodList{}
	err = e.client.List(ctx, pods, client.InNamespace(namespace))
	for i := range pods.Items {
		if why := notReady(&pods.Items[i]); why != "" {
			missing = append(missing, "Pod "+pods.Items[i].Name+": "+why)
		}
	}
	return errors.Join(fmt.Errorf("it does not run after %v:\n  %s\nrepair it and call make pr-env again, or look at kubectl get events --namespace %s and the logs there",
		e.patience, strings.Join(missing, "\n  "), namespace), err)
}

// rollout says what a workload still lacks, or nothing.
func (e *environment) rollout(ctx context.Context, kind string, key types.NamespacedName) (string, error) {
	if kind == "StatefulSet" {
		set := &appsv1.StatefulSet{}
		err := e.client.Get(ctx, key, set)
		s := set.Status
		return lacks(set.Generation, s.ObservedGeneration, set.Spec.Replicas, s.UpdatedReplicas, s.AvailableReplicas, s.Replicas), err
	}
	deployment := &appsv1.Deployment{}
	err := e.client.Get(ctx, key, deployment)
	s := deployment.Status
	why := lacks(deployment.Generation, s.ObservedGeneration, deployment.Spec.Replicas, s.UpdatedReplicas, s.AvailableReplicas, s.Replicas)
	for _, c := range s.Conditions {
		if why != "" && c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			why += "; " + c.Message
		}
	}
	return why, err
}

// lacks says what of a workload is not as declared.
func lacks(generation, observed int64, wanted *int32, updated, available, all int32) string {
	replicas := int32(1)
	if wanted != nil {
		replicas = *wanted
	}
	switch {
	case observed < generation:
		return "its controller has not looked at it yet"
	case updated < replicas:
		return fmt.Sprintf("%d of %d pods are as declared", updated, replicas)
	case all > updated:
		return fmt.Sprintf("%d old pods are still there", all-updated)
	case available < replicas:
		return fmt.Sprintf("%d of %d pods are available", available, replicas)
	}
	return ""
}

// notReady says why a pod is not ready, or nothing.
func notReady(pod *corev1.Pod) string {
	for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		switch {
		case c.State.Waiting != nil:
			return fmt.Sprintf("container %s: %s: %s", c.Name, c.State.Waiting.Reason, c.State.Waiting.Message)
		case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0:
			return fmt.Sprintf("container %s has ended with %d: %s", c.Name, c.State.Terminated.ExitCode, c.State.Terminated.Reason)
		}
	}
	for _, c := range pod.Status.Conditions {
		if (c.Type == corev1.PodScheduled || c.Type == corev1.PodReady) && c.Status != corev1.ConditionTrue {
			return fmt.Sprintf("%s: %s", c.Reason, c.Message)
		}
	}
	return ""
}
