package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"gopkg.in/yaml.v3"
)

// facts are what a plan is bound to. Apply compares them with those of its own time.
type facts struct {
	Stack string `json:"stack"`
	// Commit is the commit of the checkout, which has no other changes.
	Commit string `json:"commit"`
	// Program is the hash of all source files of the program and of the versions of its modules, those that git ignores included.
	Program string `json:"program"`
	// Configuration is the hash of Pulumi.yaml and of the stack's file.
	Configuration string `json:"configuration"`
	// Images are the images that the stack's file names, by their paths, such as journal:api.image.
	Images map[string]string `json:"images"`
	// Verify is what apply asks of the images. It is part of the configuration.
	Verify verification `json:"verify"`
	// State is the hash of the stack's resources, without times and ciphertexts.
	State string `json:"state"`
	// Engine is the version of Pulumi's command.
	Engine string `json:"engine"`
	// Steps is the hash of the engine's own plan.
	Steps string `json:"steps"`
	// Made is the time of the plan, and Changes is the number of resources by operation. Nothing is compared with them.
	Made    time.Time      `json:"made"`
	Changes map[string]int `json:"changes"`
}

// gather returns the facts of now. It refuses a checkout with changes and a stack without a state.
func gather(ctx context.Context, e engine) (facts, error) {
	f := facts{Stack: e.stack}
	var err error
	if f.Commit, err = commit(ctx, e.project); err != nil {
		return f, err
	}
	if f.Configuration, f.Images, f.Verify, err = configuration(e.project, e.stack); err != nil {
		return f, err
	}
	if f.Program, err = program(ctx, e.project); err != nil {
		return f, err
	}
	version, err := exec.CommandContext(ctx, e.program, "version").Output()
	if err != nil {
		return f, fmt.Errorf("pulumi version: %w", err)
	}
	f.Engine = strings.TrimSpace(string(version))
	f.State, err = state(ctx, e)
	return f, err
}

// differences returns what is not as it was when the plan was made, each with the fix.
func (f facts) differences(now facts) error {
	var errs []error
	differs := func(what, planned, now, fix string) {
		if planned != now {
			errs = append(errs, fmt.Errorf("%s: the plan is made for %s, and here is %s; %s", what, short(planned), short(now), fix))
		}
	}
	differs("commit", f.Commit, now.Commit, "check out the plan's commit, or plan again")
	all := map[string]string{}
	maps.Copy(all, f.Images)
	maps.Copy(all, now.Images)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		differs("image "+path, cmp.Or(f.Images[path], none), cmp.Or(now.Images[path], none), "plan again")
	}
	differs("configuration (Pulumi.yaml and Pulumi."+f.Stack+".yaml)", f.Configuration, now.Configuration, "plan again")
	differs("program (source files and modules)", f.Program, now.Program, "see what git ignores, or plan again")
	differs("pulumi", f.Engine, now.Engine, "use the same version, or plan again")
	differs("state of the stack", f.State, now.State, "another update has ended since, perhaps of this plan; plan again")
	return errors.Join(errs...)
}

// isHash matches hashes and commits, which are shown by their beginning.
var isHash = regexp.MustCompile(`^[0-9a-f]{40,64}$`)

// short is a text, and of a hash its beginning.
func short(text string) string {
	if isHash.MatchString(text) {
		return text[:12]
	}
	return text
}

// commit returns the commit of a checkout without changes.
func commit(ctx context.Context, project string) (string, error) {
	git := func(args ...string) (string, error) {
		var stderr bytes.Buffer
		command := exec.CommandContext(ctx, "git", append([]string{"-C", project}, args...)...)
		command.Stderr = &stderr
		out, err := command.Output()
		if err != nil {
			return "", fmt.Errorf("git %s: %w: %s; a plan belongs to a commit", args[0], err, strings.TrimSpace(stderr.String()))
		}
		return strings.TrimSpace(string(out)), nil
	}
	changed, err := git("status", "--porcelain")
	if err != nil {
		return "", err
	}
	if changed != "" {
		lines := strings.Split(changed, "\n")
		text := strings.Join(lines[:min(len(lines), 5)], ", ")
		if more := len(lines) - 5; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		return "", fmt.Errorf("the checkout has changes that are not committed: %s; a plan belongs to a commit: commit them, or stash them", text)
	}
	return git("rev-parse", "HEAD")
}

// digest is a hash of named parts, which does not depend on where the project is.
type digest map[string][32]byte

func (d digest) sum() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(d)) {
		fmt.Fprintf(h, "%q %x\n", name, d[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// file adds a file under a name.
func (d digest) file(name, path string) error {
	text, err := os.ReadFile(path)
	d[name] = sha256.Sum256(text)
	return err
}

// stackFile is the file that configures a stack.
type stackFile struct {
	// project is the name of the program, which its keys begin with, and name that of the file.
	project, name, path string
	text                []byte
	// images are the values that name images, by their paths, such as journal:api.image.
	images map[string]*yaml.Node
	verify verification
}

// readStackFile reads the file of a stack.
func readStackFile(project, stack string) (stackFile, error) {
	declared, err := workspace.LoadProject(filepath.Join(project, "Pulumi.yaml"))
	if err != nil {
		return stackFile{}, err
	}
	f := stackFile{project: string(declared.Name), name: "Pulumi." + stack + ".yaml", images: map[string]*yaml.Node{}}
	f.path = filepath.Join(project, declared.StackConfigDir, f.name)
	if f.text, err = os.ReadFile(f.path); err != nil {
		return f, fmt.Errorf("%w; choose a stack that has a file", err)
	}
	var file struct {
		Config map[string]yaml.Node `yaml:"config"`
	}
	if err := yaml.Unmarshal(f.text, &file); err != nil {
		return f, fmt.Errorf("%s: %w", f.name, err)
	}
	for key, value := range file.Config {
		imagesIn(key, &value, f.images)
	}
	if f.verify, err = readVerification(file.Config); err != nil {
		return f, fmt.Errorf("%s: %w", f.name, err)
	}
	return f, nil
}

// configuration returns the hash of the files that configure a stack, the images that its file names, and how they are verified.
func configuration(project, stack string) (hash string, images map[string]string, verify verification, err error) {
	file, err := readStackFile(project, stack)
	if err != nil {
		return "", nil, verify, err
	}
	d := digest{file.name: sha256.Sum256(file.text)}
	if err := d.file("Pulumi.yaml", filepath.Join(project, "Pulumi.yaml")); err != nil {
		return "", nil, verify, err
	}
	images = map[string]string{}
	for path, node := range file.images {
		images[path] = node.Value
	}
	return d.sum(), images, file.verify, nil
}

// program returns the hash of the source files of a program in Go and of the versions of its modules. Git does not list all of
// them: a file that it ignores, or a go.work, is compiled too.
func program(ctx context.Context, project string) (string, error) {
	var stderr bytes.Buffer
	list := exec.CommandContext(ctx, "go", "list", "-deps", "-json=Dir,ImportPath,Standard,Module,GoFiles,EmbedFiles", ".")
	list.Dir, list.Stderr = project, &stderr
	out, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("list the source files of the program: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	d := digest{}
	packages := json.NewDecoder(bytes.NewReader(out))
	for {
		var p struct {
			Dir, ImportPath     string
			Standard            bool
			GoFiles, EmbedFiles []string
			Module              *struct {
				Path, Version string
				Main          bool
				Replace       *struct{ Path, Version string }
			}
		}
		err := packages.Decode(&p)
		if errors.Is(err, io.EOF) {
			return d.sum(), nil
		}
		if err != nil {
			return "", fmt.Errorf("list the source files of the program: %w", err)
		}
		switch m := p.Module; {
		case p.Standard:
		case m != nil && !m.Main && m.Replace == nil:
			d[m.Path+"@"+m.Version] = [32]byte{}
		case m != nil && m.Replace != nil && m.Replace.Version != "":
			d[m.Path+"=>"+m.Replace.Path+"@"+m.Replace.Version] = [32]byte{}
		default:
			for _, name := range slices.Concat(p.GoFiles, p.EmbedFiles) {
				if err := d.file(p.ImportPath+"/"+name, filepath.Join(p.Dir, name)); err != nil {
					return "", err
				}
			}
		}
	}
}

// firstUpdate is what to do before the first plan of a stack. A value that is made in an update cannot be in a plan, and the engine
// would stop half-way.
func firstUpdate(stack, why string) error {
	return fmt.Errorf("stack %q: %s; make first what its passwords come from, with `pulumi up --yes --skip-preview --stack %s --target '**:RandomPassword::*'`, "+
		"and plan again: docs/pulumi.md#the-first-update", stack, why, stack)
}

// state returns the hash of the stack's resources, without what every update writes anew: times and ciphertexts.
func state(ctx context.Context, e engine) (string, error) {
	text, err := e.output(ctx, "stack", "export")
	if failed(err, exitNoStack) {
		return "", fmt.Errorf("stack %q: there is none in the place for the state to which pulumi has logged in; make it with `pulumi stack init %s`, "+
			"or log in to another place: docs/pulumi.md#a-stack", e.stack, e.stack)
	}
	if err != nil {
		return "", fmt.Errorf("read the state: %w", err)
	}
	return fingerprint(e.stack, text)
}

// fingerprint is state for an exported one.
func fingerprint(stack string, exported []byte) (string, error) {
	var file struct {
		Deployment struct {
			Resources []map[string]any `json:"resources"`
			Pending   []any            `json:"pending_operations"`
		} `json:"deployment"`
	}
	if err := json.Unmarshal(exported, &file); err != nil {
		return "", fmt.Errorf("read the state: %w", err)
	}
	if pending := len(file.Deployment.Pending); pending > 0 {
		return "", fmt.Errorf("stack %q: an update was killed during %d operations; run `pulumi refresh --stack %s`, and plan again", stack, pending, stack)
	}
	d := digest{}
	custom := false
	for _, r := range file.Deployment.Resources {
		for _, key := range []string{"created", "modified", "sourcePosition", "stackTrace"} {
			delete(r, key)
		}
		is, _ := r["custom"].(bool)
		kind, _ := r["type"].(string)
		custom = custom || is && !strings.HasPrefix(kind, "pulumi:")
		text, err := json.Marshal(plain(r))
		if err != nil {
			return "", err
		}
		d[string(text)] = [32]byte{} // a resource that is being replaced is there twice
	}
	if !custom {
		return "", firstUpdate(stack, "it has no state yet, and a first update cannot be planned")
	}
	return d.sum(), nil
}

// plain returns a value without its ciphertexts. Each update encrypts anew, with another result.
func plain(value any) any {
	switch value := value.(type) {
	case map[string]any:
		if isSecret(value) && value[resource.SigKey] == resource.SecretSig {
			return hidden
		}
		for key, inner := range value {
			value[key] = plain(inner)
		}
	case []any:
		for i, inner := range value {
			value[i] = plain(inner)
		}
	}
	return value
}
