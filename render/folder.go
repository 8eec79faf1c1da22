package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"
)

const (
	kustomizationName = "kustomization.yaml"
	historyName       = "history.json"
	// firstLine begins a kustomization.yaml that this program may replace.
	firstLine = "# Written by `make render`, which replaces it. To add something, see docs/render.md."
)

// kustomization is the list of the files: https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/
type kustomization struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	// SortOptions keep the order of the list. Kustomize's own order has another place for what it does not know.
	SortOptions struct {
		Order string `yaml:"order"`
	} `yaml:"sortOptions"`
	Resources []string `yaml:"resources"`
}

// folder is a folder of rendered files, as it is on the disk.
type folder struct {
	dir string
	// resources are the files that the folder's kustomization.yaml lists.
	resources []string
	// outputs are those of the last run, by name.
	outputs map[string]any
}

// readFolder reads what an earlier run has left, or nothing. It refuses a folder that another program or a person has filled.
func readFolder(dir string) (*folder, error) {
	f := &folder{dir: dir, outputs: map[string]any{}}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the folder of the files cannot be read: %w; write another one, such as OUT=rendered/prod", err)
	}
	list := filepath.Join(dir, kustomizationName)
	text, err := os.ReadFile(list)
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(entries) == 0:
		return f, nil
	case errors.Is(err, fs.ErrNotExist), err == nil && !strings.HasPrefix(string(text), firstLine):
		return nil, fmt.Errorf("%s: the folder holds files that are not rendered; write one that is empty or missing, such as OUT=rendered/prod", dir)
	case err != nil:
		return nil, err
	}
	var had kustomization
	if err := yaml.Unmarshal(text, &had); err != nil {
		return nil, fmt.Errorf("%s: %w; restore it from git", list, err)
	}
	f.resources = had.Resources
	return f, f.readHistory()
}

// readHistory reads the outputs of the last run.
func (f *folder) readHistory() error {
	path := filepath.Join(f.dir, historyName)
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("the kept versions cannot be read: %w; restore the file from git, or delete the folder to keep none", err)
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		return fmt.Errorf("%s: not as it was written: %w; restore it from git", path, err)
	}
	for name, value := range values {
		var one bytes.Buffer
		if err := json.Compact(&one, value); err != nil {
			return fmt.Errorf("%s: %s: %w", path, name, err)
		}
		f.outputs[name] = one.String() // the form of the stack's output
	}
	return nil
}

// replace writes the files of a run over those of the last one, and removes the others that the last one has written.
func (f *folder) replace(r rendered) error {
	files, err := r.files()
	if err != nil {
		return err
	}
	if files[historyName], err = historyText(r.outputs); err != nil {
		return err
	}
	for path, text := range files {
		path = filepath.Join(f.dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	for _, path := range f.resources {
		if _, stays := files[path]; stays || !filepath.IsLocal(filepath.FromSlash(path)) {
			continue
		}
		path = filepath.Join(f.dir, filepath.FromSlash(path))
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_ = os.Remove(filepath.Dir(path)) // the folder of a namespace that is no more; others are not empty
	}
	return nil
}

// historyText returns the outputs as readable JSON.
func historyText(outputs map[string]any) ([]byte, error) {
	values := map[string]json.RawMessage{}
	for name, value := range outputs {
		text, isText := value.(string)
		if !isText {
			return nil, fmt.Errorf("output %s is of type %T, and must be a text", name, value)
		}
		values[name] = json.RawMessage(text)
	}
	text, err := json.MarshalIndent(values, "", "  ")
	return append(text, '\n'), err
}
