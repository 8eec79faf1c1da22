package stacks

import (
	"cmp"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"example.com/journal/components/kube"
	"example.com/journal/components/rules"
)

// modulePath is what the import path of every package of this module begins with.
const modulePath = "example.com/journal/"

// comments are the comments of fields and types, by package, type and field. They are read once per package.
type comments map[string]map[string]string

// of returns the comment of a type or of one of its fields, such as RedisArgs or RedisArgs.Image.
func (c comments) of(t *testing.T, importPath, name string) string {
	t.Helper()
	if c[importPath] == nil {
		c[importPath] = map[string]string{}
		files, err := filepath.Glob(filepath.Join(root, strings.TrimPrefix(importPath, modulePath), "*.go"))
		require.NoError(t, err)
		for _, path := range files {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			require.NoError(t, err)
			c.read(importPath, file)
		}
	}
	return c[importPath][name]
}

func (c comments) read(importPath string, file *ast.File) {
	for _, declaration := range file.Decls {
		general, _ := declaration.(*ast.GenDecl)
		if general == nil {
			continue
		}
		for _, spec := range general.Specs {
			named, _ := spec.(*ast.TypeSpec)
			if named == nil {
				continue
			}
			c[importPath][named.Name.Name] = general.Doc.Text()
			structure, _ := named.Type.(*ast.StructType)
			if structure == nil {
				continue
			}
			for _, field := range structure.Fields.List {
				for _, name := range field.Names {
					c[importPath][named.Name.Name+"."+name.Name] = field.Doc.Text()
				}
			}
		}
	}
}

// value describes a value of the configuration.
type value struct {
	field
	kind    reflect.Kind // of what a pointer leads to; an input is a string
	meaning string
	initial string  // the default
	holds   []value // the fields of an object, or the one kind of entry of a list or map
	goType  reflect.Type
}

// describe returns what is known of a field of a struct of this type. Defaults of fields in it are those that its own tag says.
func (c comments) describe(t *testing.T, owner reflect.Type, f field, initial map[string]string) value {
	t.Helper()
	v := value{field: f, initial: f.Tag.Get("default"), meaning: c.meaning(t, owner, f)}
	if text, has := initial[f.name]; has {
		v.initial = text
	}
	c.complete(t, &v, f.Type)
	return v
}

func (c comments) complete(t *testing.T, v *value, of reflect.Type) {
	t.Helper()
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	v.goType, v.kind = of, of.Kind()
	if of == reflect.TypeFor[pulumi.StringInput]() {
		v.kind = reflect.String
	}
	switch v.kind {
	case reflect.Struct:
		initial := map[string]string{}
		for pair := range strings.FieldsSeq(v.initial) {
			name, text, _ := strings.Cut(pair, "=")
			initial[name] = text
		}
		v.initial = ""
		for _, f := range fieldsOf(of) {
			v.holds = append(v.holds, c.describe(t, ownerOf(of, f), f, initial))
		}
	case reflect.Slice, reflect.Map:
		entry := value{field: field{StructField: reflect.StructField{Tag: v.Tag}}}
		c.complete(t, &entry, of.Elem())
		v.holds = []value{entry}
	}
}

// ownerOf returns the struct that declares a field, which may be an embedded one.
func ownerOf(t reflect.Type, f field) reflect.Type {
	for _, i := range f.Index[:len(f.Index)-1] {
		t = t.Field(i).Type
	}
	return t
}

// meaning returns the comment of a field as a sentence about a value: without its name in Go, in one line. A field without a comment
// of its own has that of its type.
func (c comments) meaning(t *testing.T, owner reflect.Type, f field) string {
	t.Helper()
	name, text := f.Name, c.of(t, owner.PkgPath(), owner.Name()+"."+f.Name)
	if !strings.HasPrefix(text, name+" ") {
		name, text = f.Type.Name(), c.of(t, f.Type.PkgPath(), f.Type.Name())
	}
	text = strings.TrimSuffix(strings.ReplaceAll(strings.Join(strings.Fields(text), " "), " Required. ", " "), " Required.") // a column says that
	for other := range owner.Fields() {                                                                                      // other fields are called as in the configuration
		if camelCase.MatchString(other.Name) && other.Name != name && other.Tag.Get("json") != "-" {
			text = regexp.MustCompile(`\b`+other.Name+`\b`).ReplaceAllString(text, rules.FieldName(other))
		}
	}
	for _, verb := range []string{" is ", " are "} {
		if rest, found := strings.CutPrefix(text, name+verb); found {
			return strings.ToUpper(rest[:1]) + rest[1:]
		}
	}
	if rest, found := strings.CutPrefix(text, name+" "); found {
		return strings.ToUpper(rest[:1]) + rest[1:]
	}
	return text
}

// camelCase is a name of several words, which is no word of a sentence.
var camelCase = regexp.MustCompile(`^[A-Z][a-z]+[A-Z]`)

// configuration describes every key.
func configuration(t *testing.T) []value {
	t.Helper()
	c := comments{}
	whole := value{}
	c.complete(t, &whole, reflect.TypeFor[Config]())
	return whole.holds
}

// schema returns the JSON schema of a value: https://json-schema.org/draft-07
func (v value) schema() map[string]any {
	s := map[string]any{}
	if v.meaning != "" {
		s["description"] = v.meaning
	}
	switch v.kind {
	case reflect.Struct:
		properties, required := map[string]any{}, []string{}
		for _, f := range v.holds {
			properties[f.name] = f.schema()
			if f.Tag.Get("required") == "true" {
				required = append(required, f.name)
			}
		}
		s["type"], s["properties"], s["additionalProperties"] = "object", properties, false
		if len(required) > 0 {
			s["required"] = required
		}
	case reflect.Map:
		s["type"], s["additionalProperties"] = "object", v.holds[0].schema()
	case reflect.Slice:
		s["type"], s["items"] = "array", v.holds[0].schema()
	case reflect.Bool:
		s["type"] = "boolean"
	case reflect.Int:
		s["type"] = "integer"
		for _, tag := range []string{"minimum", "maximum"} {
			if number, err := strconv.Atoi(v.Tag.Get(tag)); err == nil {
				s[tag] = number
			}
		}
		if number, err := strconv.Atoi(v.initial); err == nil {
			s["default"] = number
		}
	case reflect.String:
		if rules.IsSecret(v.Tag) {
			s["type"], s["required"], s["additionalProperties"] = "object", []string{"secure"}, false
			s["properties"] = map[string]any{"secure": map[string]any{"type": "string", "minLength": 1}}
			break
		}
		s["type"], s["minLength"] = "string", 1
		if values := v.Tag.Get("enum"); values != "" {
			s["enum"] = strings.Split(values, ",")
		}
		if v.initial != "" {
			s["default"] = v.initial
		}
		if rules.IsQuantity(v.Tag) {
			s["type"], s["exclusiveMinimum"] = []string{"string", "number"}, 0
		}
	}
	return s
}

// stackSchema returns the JSON schema of a stack's file.
func stackSchema(t *testing.T) string {
	t.Helper()
	keys := map[string]any{}
	for _, v := range configuration(t) {
		s := v.schema()
		if isScalar(v.goType) && v.kind != reflect.String { // pulumi config set writes these in quotes
			s["type"] = []string{fmt.Sprint(s["type"]), "string"}
		}
		keys["journal:"+v.name] = s
	}
	others := map[string]any{}
	for _, namespace := range namespaces {
		others["^"+namespace+":"] = true
	}
	text := map[string]any{"type": "string"}
	encoded, err := json.MarshalIndent(map[string]any{
		"$schema":              "http://json-schema.org/draft-07/schema#",
		"$comment":             "Generated from the fields of stacks.Config: go test ./stacks -update",
		"title":                "A stack of the journal",
		"type":                 "object",
		"required":             []string{"config"},
		"additionalProperties": false,
		"properties": map[string]any{
			"config": map[string]any{
				"description": "What the stack decides. docs/configuration.md lists the keys.",
				"type":        "object", "properties": keys, "patternProperties": others, "additionalProperties": false,
			},
			"environment": true, "secretsprovider": text, "encryptedkey": text, "encryptionsalt": text,
		},
	}, "", "  ")
	require.NoError(t, err)
	return string(encoded) + "\n"
}

// typeName is the name that Pulumi.yaml has for a kind of value.
func (v value) typeName() string {
	switch v.kind {
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Slice:
		return "array"
	case reflect.Bool:
		return "boolean"
	case reflect.Int:
		return "integer"
	}
	return "string"
}

// generated begins the part of Pulumi.yaml that is generated.
const generated = "# Every key of a stack's configuration, generated from the fields of stacks.Config: go test ./stacks -update\n"

// projectFile returns Pulumi.yaml with a section config for these keys.
func projectFile(t *testing.T, before string) string {
	t.Helper()
	head, _, found := strings.Cut(before, generated)
	require.True(t, found, "Pulumi.yaml lacks the line that begins what is generated")
	var b strings.Builder
	b.WriteString(head + generated + "config:\n")
	for _, v := range configuration(t) {
		if v.Type.Kind() == reflect.Pointer { // without it there is nothing, and an empty one is something
			fmt.Fprintf(&b, "  # %s: an object. Pulumi wants a default of every key that stands here, and this one has none.\n", v.name)
			continue
		}
		fmt.Fprintf(&b, "  %s:\n    type: %s\n", v.name, v.typeName())
		if v.kind == reflect.Slice {
			fmt.Fprintf(&b, "    items:\n      type: %s\n", v.holds[0].typeName())
		}
		b.WriteString("    description: >-\n" + folded("      ", v.meaning))
		empty := map[reflect.Kind]string{reflect.Struct: "{}", reflect.Map: "{}", reflect.Slice: "[]", reflect.Bool: "false"}[v.kind]
		fmt.Fprintf(&b, "    default: %s\n", cmp.Or(v.initial, empty))
	}
	return b.String()
}

// folded breaks a text into lines.
func folded(indent, text string) string {
	const width = 120
	var b strings.Builder
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line)+len(word) > width && line != indent {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
		}
		line += word + " "
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
	return b.String()
}

const pageHead = `# Configuration

<!-- Generated from the fields of stacks.Config and of the components' arguments: go test ./stacks -update -->

A stack is what ` + "`Pulumi.<stack>.yaml`" + ` says below ` + "`config:`" + `. The keys below have the namespace of the project: ` + "`journal:redis`" + `. Nothing else is
accepted, apart from keys of ` + "`kubernetes:`, `random:` and `pulumi:`, and [`deploy:images`](delivery.md#images)" + `. A field that is left out has its default.
A field without a default may be left out as well, unless it is required. A quantity is Kubernetes' own: a text with a suffix, such as ` + "`500m` or `128Mi`, or a number such as `2` or `0.5`" + `.

Both stack files name ` + "[Pulumi.schema.json](../Pulumi.schema.json)" + ` in their first line. An editor with the YAML language server then completes names, shows
what they mean and marks what is refused.

Pulumi sets a key by its name, and a field inside of a key by its path. Comments in the file stay:

<!-- run by: TestPulumi -->
` + "```sh" + `
pulumi config set --path 'journal:redis.replicas' 5
pulumi config set --path 'journal:tenants[0].overrides.cpu' 6
` + "```" + `

Every fault of a file is reported at once, before anything is changed, by ` + "`make preview`, `make up` and `pulumi preview`" + ` alike:

` + "```text" + `
the configuration of stack "dev" is refused, nothing was changed:
Pulumi.dev.yaml:9: journal:redis.replicas "0": must be 1 to 9
` + "```" + `
`

// page returns docs/configuration.md.
func page(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(pageHead)
	shown := map[reflect.Type]string{}
	for _, v := range configuration(t) {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", v.name, v.meaning)
		if isScalar(v.goType) {
			initial := cmp.Or(v.initial, "false")
			fmt.Fprintf(&b, "\nValue: %s. Default: `%s`.\n", v.values(), initial)
			continue
		}
		b.WriteString("\n| Field | Value | Default | Meaning |\n| --- | --- | --- | --- |\n")
		v.rows(&b, v.name, shown)
	}
	return b.String()
}

// rows writes the rows of what is in a value. A large object that another value has as well is written once.
func (v value) rows(b *strings.Builder, path string, shown map[reflect.Type]string) {
	switch v.kind {
	case reflect.Slice:
		path += "[]"
		v = v.holds[0]
	case reflect.Map:
		path += ".<name>"
		v = v.holds[0]
	}
	if v.kind != reflect.Struct {
		fmt.Fprintf(b, "| `%s` | %s | | Each entry. |\n", path, v.values())
		return
	}
	if fields := v.asElsewhere(shown); fields != "" {
		fmt.Fprintf(b, "| `%s` | object | | %s |\n", path, fields)
		return
	}
	shown[v.goType] = path
	for _, f := range v.holds {
		at := path + "." + f.name
		switch {
		case f.kind == reflect.Struct && f.asElsewhere(shown) != "":
			fmt.Fprintf(b, "| `%s` | object | | %s %s |\n", at, cell(f.meaning), f.asElsewhere(shown))
		case f.kind == reflect.Struct, f.kind == reflect.Map && f.holds[0].kind == reflect.Struct:
			fmt.Fprintf(b, "| `%s` | object | | %s |\n", at, cell(f.meaning))
			f.rows(b, at, shown)
		default:
			initial := ""
			if f.Tag.Get("required") == "true" {
				initial = "required"
			} else if text := cmp.Or(f.initial, map[reflect.Kind]string{reflect.Bool: "false", reflect.Int: "0"}[f.zero()]); text != "" {
				initial = "`" + text + "`"
			}
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", at, f.values(), initial, cell(f.meaning))
		}
	}
}

// zero is the kind of a value whose zero may be written and is the default.
func (v value) zero() reflect.Kind {
	if v.Type.Kind() == reflect.Int && rules.CheckBounds(0, v.Tag) != nil {
		return reflect.Invalid
	}
	return v.Type.Kind()
}

// asElsewhere says where the fields of a large object are described already, or nothing.
func (v value) asElsewhere(shown map[reflect.Type]string) string {
	other := shown[v.goType]
	if other == "" || len(v.holds) <= 4 {
		return ""
	}
	key, _, _ := strings.Cut(strings.ReplaceAll(other, "[", "."), ".")
	return fmt.Sprintf("It has the fields of [`%s`](#%s).", other, strings.ToLower(key))
}

// cell escapes a text for a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`).Replace(text)
}

// values says what a value may be.
func (v value) values() string {
	switch v.kind {
	case reflect.Bool:
		return "`true` or `false`"
	case reflect.Int:
		return strings.TrimSuffix("number, "+strings.TrimPrefix(rules.Bounds(v.Tag), "must be "), ", ")
	case reflect.Slice:
		return "list of: " + v.holds[0].values()
	case reflect.Map:
		return "object of names with: " + v.holds[0].values()
	case reflect.Struct:
		return "object"
	}
	if values := v.Tag.Get("enum"); values != "" {
		return "`" + strings.ReplaceAll(values, ",", "`, `") + "`"
	}
	if rules.IsQuantity(v.Tag) {
		return "quantity"
	}
	if rules.IsSecret(v.Tag) {
		return "text, encrypted"
	}
	return "text"
}

func TestTheSchemaThePageAndPulumiYamlAreThoseOfTheFields(t *testing.T) {
	for path, generate := range map[string]func(before string) string{
		"Pulumi.yaml":           func(before string) string { return projectFile(t, before) },
		"Pulumi.schema.json":    func(string) string { return stackSchema(t) },
		"docs/configuration.md": func(string) string { return page(t) },
	} {
		t.Run(path, func(t *testing.T) {
			file := filepath.Join(root, filepath.FromSlash(path))
			before, err := os.ReadFile(file)
			if !*update {
				require.NoError(t, err)
			}
			is := generate(string(before))
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(is), 0o644))
				return
			}
			line, was, now := firstDifference(string(before), is)
			assert.Zero(t, line, "%s line %d:\n  it is:     %s\n  should be: %s\nrun `make golden`", path, line, was, now)
		})
	}
}

func TestEveryFieldOfTheConfigurationSaysWhatItMeans(t *testing.T) {
	var check func(path string, v value)
	check = func(path string, v value) {
		for _, inner := range v.holds {
			at := path
			if inner.name != "" {
				at += "." + inner.name
				assert.NotEmpty(t, inner.meaning, "%s has no comment", at)
				assert.True(t, strings.HasSuffix(inner.meaning, "."), "%s: %s", at, inner.meaning)
			}
			if initial := inner.initial; inner.name != "" && inner.kind == reflect.Int {
				if inner.goType == inner.Type { // what has a pointer knows whether it was written
					assert.False(t, initial != "" && rules.CheckBounds(0, inner.Tag) == nil, "%s: a written 0 would be the default", at)
				}
				assert.NotEmpty(t, inner.Tag.Get("minimum"), "%s has no lower bound", at)
			}
			assert.False(t, inner.kind == reflect.Bool && inner.initial == "true", "%s: a written false would be the default", at)
			check(at, inner)
		}
	}
	check("", value{holds: configuration(t)})
}

// schemaError returns what the schema says of a text.
func schemaError(t *testing.T, schema *jsonschema.Schema, text string) error {
	t.Helper()
	var document any
	require.NoError(t, yaml.Unmarshal([]byte(text), &document))
	encoded, err := json.Marshal(document)
	require.NoError(t, err)
	var plain any
	require.NoError(t, json.Unmarshal(encoded, &plain))
	return schema.Validate(plain)
}

func TestTheSchemaTakesTheStacksAndRefusesWhatTheDecoderRefuses(t *testing.T) {
	schema, err := jsonschema.CompileString("Pulumi.schema.json", stackSchema(t))
	require.NoError(t, err)
	for _, name := range stackNames(t) {
		text, err := os.ReadFile(filepath.Join(root, "Pulumi."+name+".yaml"))
		require.NoError(t, err)
		assert.NoError(t, schemaError(t, schema, string(text)), name)
		assert.True(t, strings.HasPrefix(string(text), "# yaml-language-server: $schema=Pulumi.schema.json\n"), name)
	}
	for _, text := range []string{
		"journal:redis: {image: a, replcas: 3}", "journal:redis: {image: a, replicas: 0}", "journal:redis: {image: a, replicas: 10}",
		"journal:redis: {image: a, replicas: two}", "journal:redis: {replicas: 3}", "journal:redis: 3", "journal:redis: null", "journal:colour: blue",
		"jornal:redis: {image: a}", "journal:api: {image: a, logLevel: loud}", "journal:api: {image: ''}", "journal:tenants: {name: a}",
		"journal:classes: {small: {cpu: 0}}", "journal:classes: {small: {ram: a}}", "journal:api: {image: {secure: a}}", "journal:api: {image: 1.10}",
	} {
		t.Run(text, func(t *testing.T) {
			assert.Error(t, schemaError(t, schema, "config:\n  "+text))
			assert.Error(t, Check(project(t, "config:\n  "+text), "test"))
		})
	}
	assert.NoError(t, schemaError(t, schema, "config: {'journal:readOnly': 'true', 'journal:rolloutTimeout': 60, 'kubernetes:context': a}"))
}

func TestEveryQuantityMayBeWrittenAsANumber(t *testing.T) {
	quantity := regexp.MustCompile(`(?i)(cpu|memory)(limit)?$|(rate|burst)$|^(size|scratch|storage|buffer)$`)
	found := map[string]bool{}
	var check func(path string, v value)
	check = func(path string, v value) {
		for _, inner := range v.holds {
			at := path + "." + inner.name
			if inner.kind == reflect.String {
				found[inner.name] = rules.IsQuantity(inner.Tag)
				assert.Equal(t, quantity.MatchString(inner.name), rules.IsQuantity(inner.Tag), "%s: the tag format", at)
			}
			check(at, inner)
		}
	}
	check("", value{holds: configuration(t)})
	assert.True(t, found["cpu"] && found["size"] && found["maxCpu"])

	schema, err := jsonschema.CompileString("Pulumi.schema.json", stackSchema(t))
	require.NoError(t, err)
	file := `config:
  journal:redis: {image: redis:7.4.2, resources: {cpu: 0.1, cpuLimit: 2, memory: 268435456.0}, storage: {size: 1073741824}}
  journal:classes: {tiny: {cpu: 0.50, memory: 1Gi, storage: 1Gi, scratch: 1Gi, pods: 5, services: 5, defaultCpu: 0.1, defaultMemory: 64Mi, maxCpu: 0.25, maxMemory: 1Gi}}
`
	assert.NoError(t, schemaError(t, schema, file))
	s, err := readFiles(project(t, file), "test")
	require.NoError(t, err)
	c, _ := s.config() // it lacks images
	assert.Empty(t, s.faults)
	assert.Equal(t, kube.Resources{CPU: "0.1", CPULimit: "2", Memory: "268435456.0"}, c.Journal.Redis.Resources)
	assert.Equal(t, "1073741824", c.Journal.Redis.Storage.Size)
	assert.Equal(t, "0.50", c.Classes["tiny"].CPU)
}
