package stacks

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"gopkg.in/yaml.v3"

	"example.com/journal/components/rules"
)

// projectName is the name of the file that declares the project.
const projectName = "Pulumi.yaml"

// maxFaults is the maximum number of faults that are shown.
const maxFaults = 50

// source is the origin of a stack's configuration values: its file, and the engine.
type source struct {
	*decoder

	project, stack string
	// file is the name of the stack's file, or empty if it is not known.
	file string
	// values are the project's own, by key.
	values map[string]*yaml.Node
	// unloaded is the engine's reason why it could not read the file. Faults that are found here come first, since they say more.
	unloaded error
	// texts are the values of the file as the engine passes them. hidden are the keys that hold something encrypted.
	texts  map[string]string
	hidden map[string]bool
	// engines are the paths of the keys whose values differ from those of the file.
	engines map[string]bool
}

func newSource(project, stack string) *source {
	return &source{
		decoder: newDecoder(), project: project, stack: stack,
		values: map[string]*yaml.Node{}, texts: map[string]string{}, hidden: map[string]bool{}, engines: map[string]bool{},
	}
}

// path is the path of one of the project's keys.
func (s *source) path(key string) string { return s.project + ":" + key }

// heading begins every error of a stack's configuration.
func heading(stack string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the configuration of stack %q is refused, nothing was changed:\n%w", stack, err)
}

// err returns the faults as one error, in the order of the file's lines, or nil when there are none.
func (s *source) err(faults rules.Faults) error {
	lineOf := func(fault *rules.Fault) int { return cmp.Or(s.at[fault], s.line(fault.Path)) }
	order := func(fault *rules.Fault) int { return cmp.Or(lineOf(fault), math.MaxInt) } // what has no line comes last
	faults = slices.Clone(faults)
	slices.SortStableFunc(faults, func(a, b *rules.Fault) int { return cmp.Compare(order(a), order(b)) })
	var errs []error
	seen := map[string]bool{}
	for _, fault := range faults {
		err := fmt.Errorf("%s%w", s.where(fault.Path, lineOf(fault)), fault)
		if !seen[err.Error()] {
			seen[err.Error()] = true
			errs = append(errs, err)
		}
	}
	if more := len(errs) - maxFaults; more > 0 {
		errs = append(errs[:maxFaults], fmt.Errorf("and %d more", more))
	}
	return heading(s.stack, errors.Join(errs...))
}

// where returns the place of a value, which begins a message.
func (s *source) where(path string, line int) string {
	for top := path; top != ""; top = parent(top) {
		if s.engines[top] {
			return ""
		}
	}
	switch {
	case s.file == "":
		return ""
	case line == 0:
		return s.file + ": "
	}
	return fmt.Sprintf("%s:%d: ", s.file, line)
}

// readFiles reads Pulumi.yaml and the file of a stack in dir, without an engine. The source keeps the file's own faults.
func readFiles(dir, stack string) (*source, error) {
	project, err := readProject(dir)
	if err != nil {
		return nil, heading(stack, err)
	}
	s := newSource(string(project.Name), stack)
	s.file = "Pulumi." + stack + ".yaml"
	text, document, err := readYAML(filepath.Join(dir, project.StackConfigDir, s.file))
	if err != nil {
		return nil, heading(stack, err)
	}
	for key, declared := range project.Config {
		if err := s.declared(key, cmp.Or(declared.Default, declared.Value)); err != nil {
			return nil, heading(stack, fmt.Errorf("%s: default of %s: %w", projectName, key, err))
		}
	}
	s.sections(document)
	if s.refused["config"] {
		return nil, s.err(s.faults)
	}
	loaded, err := workspace.LoadProjectStackBytes(quiet(), project, text, s.file, encoding.YAML)
	if err != nil {
		s.unloaded = fmt.Errorf("%s: %w", s.file, err)
		return s, nil
	}
	for key, value := range loaded.Config {
		if key.Namespace() == s.project {
			s.texts[key.Name()], _ = value.Value(config.NewBlindingDecrypter())
			s.hidden[key.Name()] = value.Secure()
		}
	}
	return s, nil
}

// declared takes the default of a key in Pulumi.yaml, and its text as the engine passes it if the stack's file lacks the key.
func (s *source) declared(key string, value any) error {
	if value == nil {
		return nil
	}
	node := &yaml.Node{}
	if err := node.Encode(value); err != nil {
		return err
	}
	s.values[key], s.texts[key] = node, fmt.Sprint(value)
	if node.Kind != yaml.ScalarNode {
		text, err := json.Marshal(value)
		s.texts[key] = string(text)
		return err
	}
	return nil
}

func quiet() diag.Sink {
	return diag.DefaultSink(io.Discard, io.Discard, diag.FormatOptions{Color: colors.Never})
}

func readProject(dir string) (*workspace.Project, error) {
	path := filepath.Join(dir, projectName)
	if _, _, err := readYAML(path); err != nil {
		return nil, err
	}
	project, err := workspace.LoadProject(path)
	if err != nil {
		return nil, fmt.Errorf("%s: not a project of Pulumi: %w", projectName, err)
	}
	return project, nil
}

// readYAML reads a file of one YAML document. Its errors name the file, the line, the rule and the fix.
func readYAML(path string) (text []byte, document *yaml.Node, err error) {
	name := filepath.Base(path)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, nil, fmt.Errorf("%s: must be a file, and is a folder; move it away, and write the file", name)
	}
	text, err = os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && name == projectName:
		return nil, nil, fmt.Errorf("%s: is missing in %s; choose the folder of the project", name, filepath.Dir(path))
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, fmt.Errorf("%s: is missing; write it, or choose a stack that has one", name)
	case err != nil:
		return nil, nil, fmt.Errorf("%s: cannot be read: %w; change its permissions", name, errors.Unwrap(err))
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	document = &yaml.Node{}
	if err := decoder.Decode(document); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, explain(name, text, err)
	}
	var second yaml.Node
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, nil, fmt.Errorf("%s:%d: a second document begins here, and would be ignored; remove the line with three hyphens", name, second.Line)
	case !errors.Is(err, io.EOF):
		return nil, nil, explain(name, text, err)
	}
	return text, document, nil
}

// yamlLine matches the line in an error of the YAML parser.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

// explain says what is wrong with a text that is not YAML. The parser only says where it stopped.
func explain(name string, text []byte, err error) error {
	parts := yamlLine.FindStringSubmatch(err.Error())
	if parts == nil {
		parts = []string{"", "", err.Error()}
	}
	line, _ := strconv.Atoi(parts[1])
	lines := strings.Split(string(text), "\n")
	for i, one := range lines { // the parser's line is sometimes that before
		indent := one[:len(one)-len(strings.TrimLeft(one, " \t"))]
		if strings.Contains(indent, "\t") && (line == 0 || i+1 >= line) {
			return fmt.Errorf("%s:%d: not YAML: a tab; indent with spaces", name, i+1)
		}
	}
	place := name
	if line > 0 {
		place = fmt.Sprintf("%s:%d", name, line)
	}
	fix := "compare it with the lines around it"
	for _, known := range []struct{ says, fix string }{
		{"unexpected end of stream", "a quote is open; close it"},
		{"expected ',' or", "a bracket is open, or a comma is missing; close it with ] or }"},
		{"mapping values are not allowed", "a second colon, or a wrong indentation; write a text with a colon in quotes"},
		{"could not find expected ':'", "a key has no colon; write key: value"},
		{"unknown anchor", "a text that begins with * stands for another value; write the text in quotes, or the value itself"},
		{"cannot start any token", "a text begins with a character that has a meaning in YAML; write the text in quotes"},
		{"did not find expected key", "wrong indentation; begin all keys of an object in one column"},
		{"did not find expected '-'", "wrong indentation; begin all entries of a list in one column"},
		{"did not find expected alphabetic", "a text that begins with * or & has a meaning in YAML; write the text in quotes"},
		{"control characters", "not a text; write it in UTF-8 without control characters"},
		{"UTF-8", "not a text; write it in UTF-8 without control characters"},
		{"incomplete UTF", "not a text; write it in UTF-8 without control characters"},
	} {
		if strings.Contains(parts[2], known.says) {
			fix = known.fix
			break
		}
	}
	return fmt.Errorf("%s: not YAML: %s: %s", place, rules.Redact(parts[2]), fix)
}

// The sections of a stack's file: https://www.pulumi.com/docs/iac/concepts/projects/stack-settings-file/
var stackSections = []string{"config", "environment", "secretsprovider", "encryptedkey", "encryptionsalt"}

// namespaces are the prefixes of keys that are not the project's: those of its providers, of the engine and of `make apply`.
var namespaces = []string{"kubernetes", "random", "pulumi", "deploy"}

// sections checks the content of a stack's file, and takes the values of the project's keys.
func (s *source) sections(document *yaml.Node) {
	if len(document.Content) == 0 {
		s.refuse("config", document, "is missing: the file is empty; write config: and the keys below it")
		return
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		s.refuse("config", root, "is missing: the file holds %s; write config: and the keys below it", kindOf(root))
		return
	}
	s.entries("", root, child, func(name, at string, value *yaml.Node) {
		switch {
		case !slices.Contains(stackSections, name):
			s.unknown("", name, value, "section", stackSections, child)
		case name != "config":
		case value.Kind != yaml.MappingNode:
			s.refuse(at, value, "%s where keys are expected; write %s below it, and other keys alike", kindOf(value), s.path("<key>: value"))
		default:
			s.entries("", value, func(_, key string) string { return key }, s.key)
		}
	})
}

// key takes the value of one key of a stack's file, if it is the project's own.
func (s *source) key(key, at string, value *yaml.Node) {
	namespace, name, found := strings.Cut(key, ":")
	known := namesOf(keysOf())
	switch {
	case !found && slices.Contains(known, key), found && namespace == s.project && strings.HasPrefix(name, "config:"):
		s.refuse(at, value, "must be written as %s, so that no key is there twice", s.path(strings.TrimPrefix(cmp.Or(name, key), "config:")))
	case !found:
		s.refuse(at, value, "has no namespace; write the project's before it, as in %s", s.path("namespace"))
	case namespace != s.project && !slices.Contains(namespaces, namespace):
		all := append([]string{s.project}, namespaces...)
		if near := nearest(namespace, all); near != "" {
			s.refuse(at, value, "unknown namespace; did you mean %s:%s?", near, name)
		} else {
			s.refuse(at, value, "unknown namespace; write one of %s", strings.Join(all, ", "))
		}
	case namespace != s.project:
	case slices.Contains(known, name):
		s.values[name] = value
	default:
		if i := strings.IndexAny(name, ".[:"); i > 0 && slices.Contains(known, name[:i]) {
			s.refuse(at, value, "unknown key; write what is inside of %s below that key, as pulumi config set --path does", s.path(name[:i]))
			return
		}
		s.unknown("", name, value, "key", known, func(_, key string) string { return s.path(key) })
	}
}
