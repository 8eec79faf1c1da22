package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// withoutState are the keys of a stack that `make render` refuses: what they declare needs a secret of Pulumi's state, or Pulumi's plugin.
var withoutState = []string{"ingressController", "logs", "metrics", "reader", "resourceMetrics"}

// side is one of the two trees that are compared.
type side struct {
	// tree is the folder of its files.
	tree string
	// commit is what people call it.
	commit string
	// program is its own render command, and broken is why it could not be built.
	program, broken string
}

// bothSides builds the render command of the last commit that HEAD and base have in common, and that of the working tree.
func bothSides(ctx context.Context, project, base, temporary string) (before, after side, err error) {
	if strings.HasPrefix(base, "-") {
		return before, after, fmt.Errorf("base %q: must be a branch or a commit, such as origin/main", base)
	}
	commit, err := output(ctx, project, "git", "merge-base", base, "HEAD")
	if err != nil {
		return before, after, fmt.Errorf("base %q: %w; write a branch or commit that is here, such as origin/main, and fetch the whole history", base, err)
	}
	commit = strings.TrimSpace(commit)
	before = side{tree: filepath.Join(temporary, "tree"), commit: commit, program: filepath.Join(temporary, "render-before")}
	after = side{tree: project, program: filepath.Join(temporary, "render-after")}
	archive := filepath.Join(temporary, "tree.tar")
	if _, err := output(ctx, project, "git", "archive", "--output", archive, commit); err != nil {
		return before, after, err
	}
	if err := os.Mkdir(before.tree, 0o755); err != nil {
		return before, after, err
	}
	if _, err := output(ctx, before.tree, "tar", "-xf", archive); err != nil {
		return before, after, err
	}
	for _, s := range []*side{&before, &after} {
		if _, err := output(ctx, s.tree, "go", "build", "-o", s.program, "./render"); err != nil {
			s.broken = "the render command cannot be built: " + err.Error()
		}
	}
	return before, after, nil
}

func (s side) String() string {
	if s.commit == "" {
		return "the working tree"
	}
	return "commit " + s.commit[:min(10, len(s.commit))]
}

// output runs a program in a folder. Its error has what the program has said.
func output(ctx context.Context, folder, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = folder
	var said, wrong bytes.Buffer
	command.Stdout, command.Stderr = &said, &wrong
	if err := command.Run(); err != nil {
		return said.String(), fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(wrong.String()))
	}
	return said.String(), nil
}

// stackName is what Pulumi takes as the name of a stack.
var stackName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

// stackNames returns the names of all stacks of a tree. Another name is no stack, and would not be text in a comment either.
func (s side) stackNames() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(s.tree, "Pulumi.*.yaml"))
	var names []string
	for _, file := range files {
		if name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "Pulumi."), ".yaml"); stackName.MatchString(name) {
			names = append(names, name)
		}
	}
	return names, err
}

// stackFile is a stack's file without the keys that a rendered stack cannot have.
type stackFile struct {
	text []byte
	// leftOut are those keys, with their values as text.
	leftOut map[string]string
}

// stack reads a stack's file. A tree without this stack has an empty one.
func (s side) stack(name string) (file stackFile, err error) {
	text, err := os.ReadFile(filepath.Join(s.tree, "Pulumi."+name+".yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return stackFile{}, nil
	}
	if err != nil {
		return stackFile{}, err
	}
	var whole map[string]any
	if err := yaml.Unmarshal(text, &whole); err != nil {
		return stackFile{text: text}, nil //nolint:nilerr // its render command says the same, with the words for it
	}
	config, _ := whole["config"].(map[string]any)
	file.leftOut = map[string]string{}
	for _, key := range withoutState {
		value, there := config["journal:"+key]
		if !there {
			continue
		}
		text, err := yaml.Marshal(value)
		if err != nil {
			return stackFile{}, err
		}
		file.leftOut[key] = string(text)
		delete(config, "journal:"+key)
	}
	if file.leftOut["resourceMetrics"] != "" { // autoscaling needs one or the other
		cluster, _ := config["journal:cluster"].(map[string]any)
		if cluster == nil {
			cluster = map[string]any{}
		}
		cluster["resourceMetrics"] = true
		config["journal:cluster"] = cluster
	}
	if len(file.leftOut) == 0 {
		file.text = text // as it is, so that an error names its lines
		return file, nil
	}
	file.text, err = yaml.Marshal(whole)
	return file, err
}

// render renders a stack into a folder, and returns what its command says if it refuses. The folder may hold an earlier rendering, whose
// kept versions it goes on with.
func (s side) render(ctx context.Context, name string, file stackFile, project, out string) (refused string, err error) {
	if s.broken != "" {
		return s.broken, nil
	}
	text, err := os.ReadFile(filepath.Join(s.tree, "Pulumi.yaml"))
	if err != nil {
		return "", err
	}
	if err := errors.Join(
		os.MkdirAll(project, 0o755),
		os.WriteFile(filepath.Join(project, "Pulumi.yaml"), text, 0o644),
		os.WriteFile(filepath.Join(project, "Pulumi."+name+".yaml"), file.text, 0o644),
	); err != nil {
		return "", err
	}
	if _, err := output(ctx, s.tree, s.program, "--project", project, "--stack", name, "--out", out); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			return "", err
		}
		_, said, _ := strings.Cut(err.Error(), exit.Error()+": ")
		return strings.ReplaceAll(said, project+string(filepath.Separator), ""), nil
	}
	return "", nil
}

// compareStacks renders every stack on both sides, and compares the objects.
func compareStacks(ctx context.Context, before, after side, temporary string) (all []stackDiff, err error) {
	names, err := after.stackNames()
	if err != nil {
		return nil, err
	}
	earlier, err := before.stackNames()
	if err != nil {
		return nil, err
	}
	for _, name := range earlier {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		d, err := compareStack(ctx, before, after, name, filepath.Join(temporary, "stack-"+name))
		if err != nil {
			return nil, fmt.Errorf("stack %s: %w", name, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// compareStack renders one stack on both sides. The later one goes on with the versions that the earlier one keeps, as an update does,
// so that it also refuses what an update must not do.
func compareStack(ctx context.Context, before, after side, name, folder string) (d stackDiff, err error) {
	d.name = name
	earlier, err := before.stack(name)
	if err != nil {
		return d, err
	}
	later, err := after.stack(name)
	if err != nil {
		return d, err
	}
	d.leftOut = leftOut(earlier, later)
	left, right := filepath.Join(folder, "before"), filepath.Join(folder, "after")
	if err := errors.Join(os.MkdirAll(left, 0o755), os.MkdirAll(right, 0o755)); err != nil {
		return d, err
	}
	if earlier.text != nil {
		if d.refusedBefore, err = before.render(ctx, name, earlier, filepath.Join(folder, "project"), left); err != nil {
			return d, err
		}
	}
	if later.text != nil {
		if d.refusedBefore == "" {
			if err := os.CopyFS(right, os.DirFS(left)); err != nil {
				return d, err
			}
		}
		if d.refused, err = after.render(ctx, name, later, filepath.Join(folder, "project"), right); err != nil || d.refused != "" {
			return d, err
		}
	}
	d.objects, err = compare(ctx, folder, left, right)
	return d, err
}

// leftOut returns the keys that are not rendered, each with whether its value differs.
func leftOut(before, after stackFile) (keys []leftOutKey) {
	for _, key := range withoutState {
		earlier, hadIt := before.leftOut[key]
		later, hasIt := after.leftOut[key]
		if hadIt || hasIt {
			keys = append(keys, leftOutKey{key, earlier != later})
		}
	}
	return keys
}
