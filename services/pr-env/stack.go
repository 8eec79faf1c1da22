package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	projectFile = "Pulumi.yaml"
	// stackName is the stack of a pull request, and stackFile its file.
	stackName = "pr"
	stackFile = "Pulumi." + stackName + ".yaml"
	// keyPrefix begins the names of the project's keys.
	keyPrefix = "journal:"
)

// configuration is the file of a stack.
type configuration struct {
	file map[string]any
}

// readStack reads the stack of a project.
func readStack(project string) (configuration, error) {
	text, err := os.ReadFile(filepath.Join(project, stackFile))
	if err != nil {
		return configuration{}, fmt.Errorf("%w; call it in a checkout of the repository, or name that with --project", err)
	}
	c := configuration{}
	if err := yaml.Unmarshal(text, &c.file); err != nil {
		return configuration{}, fmt.Errorf("%s: %w", stackFile, err)
	}
	if _, isMap := c.file["config"].(map[string]any); !isMap {
		return configuration{}, fmt.Errorf("%s: it has no section config; restore it from git", stackFile)
	}
	return c, nil
}

// own are the keys that an environment decides.
var own = []string{"namespace", "existingNamespace", "exposure.host", "redis.passwordSecret", "redis.passwords"}

// change sets what the caller has written, each as key=value.
func (c configuration) change(changes []string) error {
	var errs []error
	for _, change := range changes {
		key, text, found := strings.Cut(change, "=")
		var value any
		switch {
		case !found || key == "":
			errs = append(errs, fmt.Errorf("%q: must be a key of %s with its value, such as api.image=registry.example.com/journal-api:v0.1.0-0a1b2c3", change, stackFile))
			continue
		case slices.Contains(own, key):
			errs = append(errs, fmt.Errorf("%q: an environment decides the key %s itself; leave it out", change, key))
			continue
		}
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", change, err))
			continue
		}
		errs = append(errs, c.set(key, value))
	}
	return errors.Join(errs...)
}

// set sets a key, or a field in it by its path with dots.
func (c configuration) set(path string, value any) error {
	at, fields := c.file["config"].(map[string]any), strings.Split(keyPrefix+path, ".")
	for _, field := range fields[:len(fields)-1] {
		inner, isMap := at[field].(map[string]any)
		if !isMap && at[field] != nil {
			return fmt.Errorf("key %s: %s is no object in %s; write the key alone", path, field, stackFile)
		}
		if inner == nil {
			inner = map[string]any{}
			at[field] = inner
		}
		at = inner
	}
	at[fields[len(fields)-1]] = value
	return nil
}

// url returns the address of the page.
func (c configuration) url(host string) string {
	exposure, _ := c.file["config"].(map[string]any)[keyPrefix+"exposure"].(map[string]any)
	if port := exposure["port"]; port != nil {
		host = fmt.Sprintf("%s:%v", host, port)
	}
	return "http://" + host + "/"
}

// linesOfCopy are the lines that a fault names. They are those of a copy that nobody sees.
var linesOfCopy = regexp.MustCompile(`(?m)^(` + regexp.QuoteMeta(stackFile) + `):\d+: `)

// renderIn runs the program that renders the stack, with this configuration, and returns the objects in the order in which they are
// applied. The project's own file stays as it is.
func (c configuration) renderIn(ctx context.Context, program, project string) (objects []*unstructured.Unstructured, err error) {
	folder, err := os.MkdirTemp("", "pr-env-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	declared, err := os.ReadFile(filepath.Join(project, projectFile))
	if err != nil {
		return nil, err
	}
	text, err := yaml.Marshal(c.file)
	if err := errors.Join(err, os.WriteFile(filepath.Join(folder, projectFile), declared, 0o600), os.WriteFile(filepath.Join(folder, stackFile), text, 0o600)); err != nil {
		return nil, err
	}
	out := filepath.Join(folder, "rendered")
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, program, "--project", folder, "--stack", stackName, "--out", out)
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the stack %s cannot be rendered: %w\n%s", stackName, err, linesOfCopy.ReplaceAllString(strings.TrimSpace(said.String()), "$1: "))
	}
	return readRendered(out)
}

// readRendered reads the folder of a rendered stack.
func readRendered(folder string) (objects []*unstructured.Unstructured, err error) {
	read := func(name string, into any) error {
		text, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		return yaml.Unmarshal(text, into)
	}
	var list struct {
		Resources []string `json:"resources"`
	}
	if err := read("kustomization.yaml", &list); err != nil {
		return nil, err
	}
	for _, name := range list.Resources {
		object := &unstructured.Unstructured{}
		if err := read(name, &object.Object); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}
