package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// ConfigArgs describe the configuration of a part. The object never changes: other content is another object.
type ConfigArgs struct {
	// Part says whose configuration it is.
	Part Part
	// Namespace is where the part runs.
	Namespace pulumi.StringInput
	// Data is the current content by name: the values of environment variables, or files.
	Data map[string]string
	// History is the content of earlier updates, the last one first.
	History []map[string]string
	// Keep is how many versions stay in the cluster and in the state, including the current one.
	Keep int
}

// Config is a configuration in the cluster.
type Config struct {
	// Name is the name of the current version's ConfigMap. A pod that refers to it is replaced when the content changes.
	Name pulumi.StringOutput
	// Versions are the contents that are kept, the current one first. The next update takes them as its History.
	Versions []map[string]string
}

// NewConfig declares a part's configuration as immutable ConfigMaps that are named by their content, <app>-config-<hash>: the
// current version and the most recent ones of the history. It no longer declares older ones, so the engine deletes them.
func NewConfig(ctx *pulumi.Context, name string, args ConfigArgs, parent pulumi.Resource) (Config, error) {
	config := Config{Versions: Retain(args.Data, args.History, args.Keep, maps.Equal)}
	for i, data := range config.Versions {
		meta := args.Part.Meta(args.Namespace)
		object := ContentName(args.Part.App+"-config", data)
		meta.Name = pulumi.String(object)
		version, err := corev1.NewConfigMap(ctx, ContentName(name, data), &corev1.ConfigMapArgs{
			Metadata:  meta,
			Data:      pulumi.ToStringMap(data),
			Immutable: pulumi.Bool(true),
		}, pulumi.Parent(parent))
		if err != nil {
			return Config{}, fmt.Errorf("config map %s: %w", object, err)
		}
		if i == 0 {
			config.Name = version.Metadata.Name().Elem()
		}
	}
	return config, nil
}

// Retain returns the versions to keep: the current one, then those of the history that differ from it and from each other, at
// most keep in total. A version of the history that becomes current again moves to the front.
func Retain[T any](current T, history []T, keep int, equal func(a, b T) bool) []T {
	versions := []T{current}
	for _, version := range history {
		known := false
		for _, kept := range versions {
			known = known || equal(kept, version)
		}
		if !known && len(versions) < keep {
			versions = append(versions, version)
		}
	}
	return versions
}

// contentDigits is how many hexadecimal digits of the hash are in an object's name. 40 bits are enough, because one prefix has
// only a few contents.
const contentDigits = 10

// ContentName returns the name of an object that never changes, made from its content. Other content gives another name; the
// same content gives the same name, in whatever order its keys are.
func ContentName(prefix string, content map[string]string) string {
	text, _ := json.Marshal(content) // of texts, sorted by key: it does not fail
	sum := sha256.Sum256(text)
	return prefix + "-" + hex.EncodeToString(sum[:])[:contentDigits]
}
