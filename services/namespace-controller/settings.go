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

// The ConfigMaps that the stack writes for the controller, in the controller's own namespace.
const (
	// limitsName is the ConfigMap with the limits of all claims.
	limitsName = "claim-limits"
	// classPrefix begins the name of the ConfigMap that describes a class. The name of the class follows.
	classPrefix = "class-"
)

// size is the most that a namespace, or all claims of a tenant together, may use.
type size struct {
	CPU          resource.Quantity `json:"cpu"`
	Memory       resource.Quantity `json:"memory"`
	Storage      resource.Quantity `json:"storage"`
	Pods         int               `json:"pods"`
	Services     int               `json:"services"`
	VolumeClaims int               `json:"volumeClaims"`
}

// add adds another size to this one.
func (s *size) add(other size) {
	for _, sum := range []struct {
		to *resource.Quantity
		of resource.Quantity
	}{{&s.CPU, other.CPU}, {&s.Memory, other.Memory}, {&s.Storage, other.Storage}} {
		total := sum.to.DeepCopy() // the other's value is shared with whoever holds the settings
		total.Add(sum.of)
		*sum.to = total
	}
	s.Pods, s.Services, s.VolumeClaims = s.Pods+other.Pods, s.Services+other.Services, s.VolumeClaims+other.VolumeClaims
}

// share is how much the claims of one tenant may use together.
type share struct {
	Claims int `json:"claims"`
	size
	// Classes are the classes that may be claimed.
	Classes []string `json:"classes"`
}

// limits are the rules for all claims. The controller reads them for every decision, so that a change needs no restart.
type limits struct {
	// MaxTTL is the longest lifetime; a claim that asks for more gets this.
	MaxTTL metav1.Duration `json:"maxTTL"`
	// DefaultTTL is the lifetime of a claim that asks for none.
	DefaultTTL metav1.Duration `json:"defaultTTL"`
	// WarnBefore is how long before its end a namespace has the phase Expiring.
	WarnBefore metav1.Duration `json:"warnBefore"`
	// ClaimsPerOwner is how many namespaces one user may hold, over all tenants.
	ClaimsPerOwner int `json:"claimsPerOwner"`
	// Share says how much a tenant may use, by its name; DefaultShare holds for the others.
	Share        map[string]share `json:"share"`
	DefaultShare share            `json:"defaultShare"`
	// DryRun makes the controller only report what it would create or delete.
	DryRun bool `json:"dryRun"`
}

// shareOf returns how much a tenant may use.
func (l limits) shareOf(tenant string) share {
	if s, ok := l.Share[tenant]; ok {
		return s
	}
	return l.DefaultShare
}

// parseLimits reads the limits. A mistake in them must not cost anybody a namespace: after an error the caller does nothing.
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

// parseDomain reads the domain of the claimed namespaces' hosts.
func parseDomain(config *corev1.ConfigMap) (domain string, err error) {
	return domain, decode(config, "domain.json", &domain)
}

// template is what every claimed namespace of a class gets.
type template struct {
	// labels are set on the namespace.
	labels map[string]string
	// objects are applied in it.
	objects []*unstructured.Unstructured
	// size is what counts against the tenant's share.
	size size
}

// parseTemplate reads the template of a class.
func parseTemplate(config *corev1.ConfigMap) (*template, error) {
	var namespace struct {
		Labels map[string]string `json:"labels"`
	}
	var size size
	var objects []map[string]any
	if err := errors.Join(
		decode(config, "namespace.json", &namespace),
		decode(config, "size.json", &size),
		decode(config, "objects.json", &objects),
	); err != nil {
		return nil, err
	}
	f := &template{labels: namespace.Labels, size: size}
	var problems []error
	if size.CPU.Sign() <= 0 || size.Memory.Sign() <= 0 {
		// Without a size, the class would cost the tenant's share nothing.
		problems = append(problems, fmt.Errorf("%s: cpu %q and memory %q must both be above zero",
			subject(config, "size.json"), size.CPU.String(), size.Memory.String()))
	}
	if len(objects) == 0 {
		problems = append(problems, fmt.Errorf("%s: no object; no namespace is made without its policy objects", subject(config, "objects.json")))
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

// decodeStrictly is decode that refuses unknown fields, so that a misspelt limit does not count as no limit.
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
