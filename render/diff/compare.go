package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// stackDiff is what a change does to a stack.
type stackDiff struct {
	name string
	// refused is why the changed stack cannot be rendered, and refusedBefore why the one before could not.
	refused, refusedBefore string
	leftOut                []leftOutKey
	objects                []objectDiff
}

// leftOutKey is a key whose objects are not compared.
type leftOutKey struct {
	name string
	// changed says that its value differs.
	changed bool
}

// objectDiff is what a change does to an object.
type objectDiff struct {
	// path is that of the object's file, <namespace>/<kind>-<name>.yaml.
	path, kind string
	what       what
	// immutable are the changed fields that Kubernetes does not change.
	immutable []string
	// lines are the changed lines, as `git diff` shows them.
	lines string
}

// what happens to an object.
type what int

// What happens to objects, the most dangerous first.
const (
	deleted what = iota
	replaced
	changedRights
	changed
	added
)

// immutable are the fields that Kubernetes refuses to change, by kind: a path, or the only fields of spec that it does change.
// https://kubernetes.io/docs/reference/kubernetes-api/ has no list of them; they are in the validation of each kind.
var immutable = map[string][]string{
	"ClusterRoleBinding":       {"roleRef"},
	"CustomResourceDefinition": {"spec.group", "spec.names.kind", "spec.names.plural", "spec.scope"},
	"DaemonSet":                {"spec.selector"},
	"Deployment":               {"spec.selector"},
	"IngressClass":             {"spec.controller"},
	"Job":                      {"spec.completionMode", "spec.selector", "spec.template"},
	"PersistentVolumeClaim":    {"spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeMode", "spec.volumeName"},
	"PriorityClass":            {"preemptionPolicy", "value"},
	"RoleBinding":              {"roleRef"},
	"Service":                  {"spec.clusterIP"},
	"StatefulSet":              {"spec.podManagementPolicy", "spec.selector", "spec.serviceName", "spec.volumeClaimTemplates"},
	"StorageClass":             {"parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"},
}

// whenImmutable are those of objects that say `immutable: true` themselves.
var whenImmutable = []string{"binaryData", "data", "immutable"}

// rights are the kinds that say who may do what, and what reaches what.
var rights = []string{"ClusterRole", "ClusterRoleBinding", "LimitRange", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "NetworkPolicy",
	"ResourceQuota", "Role", "RoleBinding", "ServiceAccount", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}

// compare compares two rendered folders below a folder.
func compare(ctx context.Context, folder, left, right string) (objects []objectDiff, err error) {
	before, err := read(left)
	if err != nil {
		return nil, err
	}
	after, err := read(right)
	if err != nil {
		return nil, err
	}
	paths := map[string]bool{}
	for path := range before {
		paths[path] = true
	}
	for path := range after {
		paths[path] = true
	}
	for path := range paths {
		was, is := before[path], after[path]
		if reflect.DeepEqual(was, is) {
			continue
		}
		o := objectDiff{path: path, what: changed, immutable: immutableFields(was, is)}
		o.kind, _ = firstOf(is, was)["kind"].(string)
		switch {
		case is == nil:
			o.what = deleted
		case len(o.immutable) > 0:
			o.what = replaced
		case slices.Contains(rights, o.kind):
			o.what = changedRights
		case was == nil:
			o.what = added
		}
		if o.lines, err = changedLines(ctx, folder, filepath.Join(left, path), filepath.Join(right, path)); err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	slices.SortFunc(objects, func(a, b objectDiff) int { return cmp.Or(cmp.Compare(a.what, b.what), cmp.Compare(a.path, b.path)) })
	return objects, nil
}

func firstOf(a, b map[string]any) map[string]any {
	if a != nil {
		return a
	}
	return b
}

// read returns the objects of a rendered folder by the path of their files.
func read(folder string) (map[string]map[string]any, error) {
	objects := map[string]map[string]any{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Dir(path) == folder { // the list of the files, and the history
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var object map[string]any
		if err := yaml.Unmarshal(text, &object); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		name, err := filepath.Rel(folder, path)
		objects[filepath.ToSlash(name)] = object
		return err
	})
	return objects, err
}

// immutableFields returns the paths of the fields that differ and that Kubernetes does not change.
func immutableFields(was, is map[string]any) (paths []string) {
	if was == nil || is == nil {
		return nil
	}
	kind, _ := was["kind"].(string)
	fields := immutable[kind]
	if was["immutable"] == true {
		fields = whenImmutable
	}
	for _, path := range fields {
		if !reflect.DeepEqual(field(was, path), field(is, path)) {
			paths = append(paths, path)
		}
	}
	return paths
}

// field returns the value at a dotted path, or nil.
func field(object map[string]any, path string) any {
	value := any(object)
	for key := range strings.SplitSeq(path, ".") {
		inner, _ := value.(map[string]any)
		value = inner[key]
	}
	return value
}

// changedLines returns how two files differ, either of which may be missing, without git's lines about the files.
func changedLines(ctx context.Context, folder, left, right string) (string, error) {
	for _, path := range []*string{&left, &right} {
		if _, err := os.Stat(*path); errors.Is(err, fs.ErrNotExist) {
			*path = os.DevNull
		}
	}
	said, err := output(ctx, folder, "git", "diff", "--no-index", "--no-color", "--no-ext-diff", "--", left, right)
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // 1: they differ
		return "", err
	}
	_, lines, _ := strings.Cut(said, "\n@@")
	return "@@" + lines, nil
}
