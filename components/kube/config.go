package kube

import (
	"fmt"
	"maps"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// DefaultVersions is how many versions of a configuration or a password are kept: the current one, the one that a rollout may
// have to go back to, and one more for a rollback that comes late.
const DefaultVersions = 3

// ConfigArgs describe the configuration of a part. It never changes: another content is another object.
type ConfigArgs struct {
	// Part says whose configuration it is.
	Part Part
	// Namespace is where the part runs.
	Namespace pulumi.StringInput
	// Data is the current content: the values of environment variables, or files, by name.
	Data map[string]string
	// History is the content of earlier updates, the last one first.
	History []map[string]string
	// Keep is how many versions stay in the cluster and in the state, the current one among them. The default is
	// DefaultVersions.
	Keep int
}

// Config is a configuration in the cluster.
type Config struct {
	// Name is the name of the current version's ConfigMap. A pod that refers to it is replaced when the content changes.
	Name pulumi.StringOutput
	// Versions are the contents that are kept, the current one first. It is the next update's History.
	Versions []map[string]string
}

// NewConfig declares a part's configuration as immutable ConfigMaps that are called by their content, <app>-config-<hash>:
// the current version and the most recent ones of the history. An older one leaves the program, and so the cluster.
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

// Retain returns the versions that are kept of something: the current one, then those of the history that differ from it and
// from each other, at most keep in all; the default of keep is DefaultVersions. Going back to a version that is still there
// moves it to the front.
func Retain[T any](current T, history []T, keep int, equal func(a, b T) bool) []T {
	if keep == 0 {
		keep = DefaultVersions
	}
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
