package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What the stack writes for the controller, in the controller's own namespace.
const (
	// limitsName is the ConfigMap with the limits of all claims.
	limitsName = "claim-limits"
	// fencePrefix and a class make the name of the ConfigMap with the fence of that class.
	fencePrefix = "fence-"
)

// share is how much the claims of one tenant may use together.
type share struct {
	Claims int               `json:"claims"`
	CPU    resource.Quantity `json:"cpu"`
	Memory resource.Quantity `json:"memory"`
}

// limits are the rules for all claims. They are read at every look at a claim, so that a change needs no restart.
type limits struct {
	// MaxTTL is the longest life; a claim that asks for more gets this.
	MaxTTL metav1.Duration `json:"maxTTL"`
	// DefaultTTL is the life of a claim that asks for none.
	DefaultTTL metav1.Duration `json:"defaultTTL"`
	// WarnBefore is how long before its end a namespace is called expiring.
	WarnBefore metav1.Duration `json:"warnBefore"`
	// ClaimsPerOwner is how many namespaces one user may hold, over all tenants.
	ClaimsPerOwner int `json:"claimsPerOwner"`
	// Share says how much a tenant may use, by its name; DefaultShare holds for the others.
	Share        map[string]share `json:"share"`
	DefaultShare share            `json:"defaultShare"`
	// DryRun lets the controller say what it would do, and neither make nor delete anything.
	DryRun bool `json:"dryRun"`
}

// shareOf returns how much a tenant may use.
func (l limits) shareOf(tenant string) share {
	if s, ok := l.Share[tenant]; ok {
		return s
	}
	return l.DefaultShare
}

// parseLimits reads the limits. A mistake in them must not cost anybody a namespace: whoever calls does nothing then.
func parseLimits(config *corev1.ConfigMap) (limits, error) {
	var l limits
	if err := decodeStrictly(config, "limits.json", &l); err != nil {
		return limits{}, err
	}
	var problems []error
	refuse := func(wrong bool, key string, value any, rule string) {
		if wrong {
			problems = append(problems, fmt.Errorf("%s %s %q: %s", subject(config, "limits.json"), key, fmt.Sprint(value), rule))
		}
	}
	for key, d := range map[string]time.Duration{"maxTTL": l.MaxTTL.Duration, "defaultTTL": l.DefaultTTL.Duration} {
		refuse(d <= 0, key, d, `not above zero; write for example "8h"`)
	}
	refuse(l.DefaultTTL.Duration > l.MaxTTL.Duration, "defaultTTL", l.DefaultTTL.Duration,
		fmt.Sprintf("longer than maxTTL %q; write a shorter one", l.MaxTTL.Duration))
	refuse(l.WarnBefore.Duration < 0, "warnBefore", l.WarnBefore.Duration, `below zero; write for example "1h"`)
	refuse(l.ClaimsPerOwner < 0, "claimsPerOwner", l.ClaimsPerOwner, "below zero; write 0 to give none")
	return l, errors.Join(problems...)
}

// fence is what stands around every namespace of a class.
type fence struct {
	// labels go on the namespace.
	labels map[string]string
	// objects go into it.
	objects []*unstructured.Unstructured
	// cpu and memory are the totals of its quota, which count against the tenant's share.
	cpu, memory resource.Quantity
}

// parseFence reads the fence of a class.
func parseFence(config *corev1.ConfigMap) (*fence, error) {
	var namespace struct {
		Labels map[string]string `json:"labels"`
	}
	var size struct {
		CPU    resource.Quantity `json:"cpu"`
		Memory resource.Quantity `json:"memory"`
	}
	var objects []map[string]any
	if err := errors.Join(
		decode(config, "namespace.json", &namespace),
		decode(config, "size.json", &size),
		decode(config, "objects.json", &objects),
	); err != nil {
		return nil, err
	}
	f := &fence{labels: namespace.Labels, cpu: size.CPU, memory: size.Memory}
	var problems []error
	if size.CPU.Sign() <= 0 || size.Memory.Sign() <= 0 {
		// Without a size, the class would cost the tenant's share nothing.
		problems = append(problems, fmt.Errorf("%s: cpu %q and memory %q must both be above zero",
			subject(config, "size.json"), size.CPU.String(), size.Memory.String()))
	}
	if len(objects) == 0 {
		problems = append(problems, fmt.Errorf("%s: no object; a namespace without a fence is not given", subject(config, "objects.json")))
	}
	for i, content := range objects {
		object := &unstructured.Unstructured{Object: content}
		if object.GetAPIVersion() == "" || object.GetKind() == "" || object.GetName() == "" || object.GetNamespace() != "" {
			problems = append(problems, fmt.Errorf("%s object %d (%s %q): write apiVersion, kind and metadata.name, and no metadata.namespace",
				subject(config, "objects.json"), i, object.GetKind(), object.GetName()))
		}
		f.objects = append(f.objects, object)
	}
	return f, errors.Join(problems...)
}

// subject names one key of a ConfigMap.
func subject(config *corev1.ConfigMap, key string) string {
	return fmt.Sprintf("ConfigMap %s/%s %s", config.Namespace, config.Name, key)
}

// decode reads the JSON under one key of a ConfigMap.
func decode(config *corev1.ConfigMap, key string, into any) error {
	return decodeWith(config, key, into, func(*json.Decoder) {})
}

// decodeStrictly is decode that refuses unknown fields, so that a misspelt limit is not taken for none.
func decodeStrictly(config *corev1.ConfigMap, key string, into any) error {
	return decodeWith(config, key, into, (*json.Decoder).DisallowUnknownFields)
}

func decodeWith(config *corev1.ConfigMap, key string, into any, configure func(*json.Decoder)) error {
	text, ok := config.Data[key]
	if !ok {
		return fmt.Errorf("%s: is not there; the stack writes it, run `pulumi up`", subject(config, key))
	}
	decoder := json.NewDecoder(bytes.NewBufferString(text))
	configure(decoder)
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%s: %w; the stack writes it, run `pulumi up`", subject(config, key), err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: more than one JSON value; the stack writes it, run `pulumi up`", subject(config, key))
	}
	return nil
}
