package main

import (
	"maps"
	"slices"
	"strings"
)

// meanings are what the alerts of components/observe/alerts.yaml say, and what to do. The store keeps the labels of an alert and not
// its description.
var meanings = map[string]string{
	"QuotaNearlyFull":        "the namespace's quota is nearly used up, and then new pods are refused: delete what is not needed, or ask for a larger class",
	"VolumeNearlyFull":       "the volume is nearly full, and then its program fails: delete data, or make the volume larger",
	"RedisReplicationBroken": "Redis has no copy of its latest writes: see with kubectl get pods which pod of it is not ready",
	"ContainerRestarting":    "a container ends again and again: its last lines are in the logs of the pod, with --pod",
	"ClaimEnding":            "the claimed namespace is deleted soon, with everything in it: raise ttl of the claim, or save what is needed",
	"LogLinesDropped":        "more is written than the tenant's share of the logs, and what is above it is not kept: write less, or ask for a larger logRate",
	"LogAgentDown":           "the lines of a node are not collected now: the platform team looks at the pods in journal-log-agent",
	"LogStoreDown":           "lines wait on the nodes and cannot be read: the platform team looks at the pod in journal-logs",
	"ReaderDown":             "no reader answers, so nobody reads logs or figures, and no namespace ends: the platform team looks at the pods in journal-reader",
	"FiguresMissing":         "the kubelets or kube-state-metrics do not answer, and other alerts are silent: the platform team looks at journal-metrics and the nodes",
	"FiguresDropped":         "the store of the figures takes no new series: the platform team looks for the pods with most series, or gives the store more memory",
}

// notAbout are the labels of an alert that do not say what it is about: they have a column of their own, or say where it was seen.
var notAbout = []string{"__name__", "alertgroup", "alertname", "alertstate", figureLabel, "instance", "job", namespaceLabel, "severity"}

// newAlert reads the labels of a series ALERTS.
func newAlert(labels map[string]string) alert {
	about := maps.Clone(labels)
	maps.DeleteFunc(about, func(label, _ string) bool { return slices.Contains(notAbout, label) })
	name := labels["alertname"]
	return alert{Name: name, Severity: labels["severity"], Labels: about, Meaning: meanings[name]}
}

// about names what an alert is about, such as pod=api-0.
func (a alert) about() string {
	var parts []string
	for _, label := range slices.Sorted(maps.Keys(a.Labels)) {
		parts = append(parts, label+"="+a.Labels[label])
	}
	return strings.Join(parts, " ")
}
