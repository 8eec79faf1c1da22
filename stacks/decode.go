package stacks

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"

	"example.com/journal/components/rules"
)

// maxAliased is the maximum number of values from aliases. A few lines of nested aliases can stand for billions of values.
const maxAliased = 1000

// decoder reads YAML into Go's types by the fields' tags, strictly: whatever does not fit is a fault, with its path, value,
// rule and fix. A value with a fault keeps its zero value.
type decoder struct {
	faults rules.Faults
	// at are the lines of the faults.
	at map[*rules.Fault]int
	// lines are those of all values, by path.
	lines map[string]int
	// refused are the paths of the faults, and of the fields that were probably meant.
	refused map[string]bool
	// follows are the paths of lists with a refused element: faults of such a list only follow from that.
	follows map[string]bool
	// secrets are the engine's decrypted texts, by path, or nil without an engine. Only fields that are secrets take them.
	secrets map[string]string
	// hiding is above 0 inside of an object with a secret, whose values no message shows: a secret may stand in the wrong place.
	hiding  int
	aliased int
}

func newDecoder() *decoder {
	return &decoder{at: map[*rules.Fault]int{}, lines: map[string]int{}, refused: map[string]bool{}, follows: map[string]bool{}}
}

// field is a field of a struct that a configuration sets.
type field struct {
	reflect.StructField
	name string
}

// fieldsOf returns the fields that a configuration sets, in the order of their declaration. The fields of a struct that is embedded,
// or inline by its tag, count as the struct's own.
func fieldsOf(t reflect.Type) (fields []field) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || name == "-":
		case f.Anonymous && name == "" || option == "inline":
			for _, inner := range fieldsOf(f.Type) {
				inner.Index = append([]int{i}, inner.Index...)
				fields = append(fields, inner)
			}
		case name != "":
			fields = append(fields, field{f, name})
		}
	}
	return fields
}

func namesOf(fields []field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

func (d *decoder) refuse(path string, node *yaml.Node, format string, operands ...any) {
	d.refused[path] = true
	value := written(node)
	if d.hiding > 0 {
		value = "[hidden]"
	}
	d.faults.Refuse(path, value, format, operands...)
	d.at[d.faults[len(d.faults)-1]] = node.Line
}

// hides says whether a fault of a path only follows from a reported one: of the same value, or of an object that contains it.
func (d *decoder) hides(path string) bool {
	if d.follows[path] {
		return true
	}
	for ; path != ""; path = parent(path) {
		if d.refused[path] {
			return true
		}
	}
	return false
}

// line returns the line of a value, or of the nearest object that would contain it, or 0.
func (d *decoder) line(path string) int {
	for ; path != ""; path = parent(path) {
		if line := d.lines[path]; line > 0 {
			return line
		}
	}
	return 0
}

// parent returns the path of the object that contains a value, or the empty text.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// written returns how a message shows a value: a scalar as it is, anything else by its kind.
func written(node *yaml.Node) string {
	switch {
	case isSecret(node):
		return "[secret]"
	case node.Kind == yaml.MappingNode:
		return "{...}"
	case node.Kind == yaml.SequenceNode:
		return "[...]"
	case node.Kind == yaml.AliasNode:
		return "*" + node.Value
	case node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null":
		return "null"
	}
	return node.Value
}

// isSecret says whether a value is one that Pulumi has encrypted.
func isSecret(node *yaml.Node) bool {
	return node.Kind == yaml.MappingNode && len(node.Content) == 2 && node.Content[0].Value == "secure"
}

// value reads a node into a Go value. The tag is that of the field which contains it.
func (d *decoder) value(path string, node *yaml.Node, into reflect.Value, tag reflect.StructTag) {
	if _, known := d.lines[path]; !known {
		d.lines[path] = node.Line
	}
	if holdsSecret(into.Type()) {
		d.hiding++
		defer func() { d.hiding-- }()
	}
	if node.Kind == yaml.AliasNode {
		d.alias(path, node, into, tag)
		return
	}
	if d.aliased > 0 {
		if d.aliased++; d.aliased > maxAliased {
			if d.aliased == maxAliased+1 {
				d.refuse(path, node, "aliases stand for more than %d values; write the values out", maxAliased)
			}
			return
		}
	}
	switch {
	case rules.IsSecret(tag):
		d.secret(path, node, into)
	case isSecret(node):
		d.refuse(path, node, "it is encrypted (secure:), and this field is no secret; write it in plain")
	case node.Style&yaml.TaggedStyle != 0:
		d.refuse(path, node, "it has the type %s in front; remove that, and write a text in quotes", node.Tag)
	case node.ShortTag() == "!!null":
		d.refuse(path, node, "must have a value; write one, or leave the field out for the default")
	default:
		d.plain(path, node, into, tag)
	}
}

// secret reads a value that must be encrypted. No message shows what was written in its place. Without an engine nothing can
// decrypt it, so that an empty text stands for it.
func (d *decoder) secret(path string, node *yaml.Node, into reflect.Value) {
	text, decrypted := d.secrets[path]
	into.Set(reflect.ValueOf(pulumi.ToSecret(pulumi.String("")))) // it is there, even if it is refused
	switch {
	case !isSecret(node):
		d.refuse(path, node, "must be encrypted; set it with pulumi config set --secret --path '%s'", path)
	case d.secrets != nil && (!decrypted || strings.TrimSpace(text) == ""):
		d.refuse(path, node, "is empty; set it with pulumi config set --secret --path '%s'", path)
	default:
		into.Set(reflect.ValueOf(pulumi.ToSecret(pulumi.String(text))))
	}
}

// holdsSecret says whether a type is an object with a field that is a secret.
func holdsSecret(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct && slices.ContainsFunc(fieldsOf(t), func(f field) bool { return rules.IsSecret(f.Tag) })
}

// alias reads the value that an alias stands for. The limit of values also stops an alias that contains itself.
func (d *decoder) alias(path string, node *yaml.Node, into reflect.Value, tag reflect.StructTag) {
	d.aliased++
	d.value(path, node.Alias, into, tag)
	if d.aliased <= maxAliased {
		d.aliased-- // the values in it stay counted
	}
}

// plain reads a node that is neither an alias nor null nor a secret.
func (d *decoder) plain(path string, node *yaml.Node, into reflect.Value, tag reflect.StructTag) {
	if into.Type() == reflect.TypeFor[pulumi.StringInput]() {
		var text string
		d.text(path, node, reflect.ValueOf(&text).Elem(), tag)
		if !d.refused[path] {
			into.Set(reflect.ValueOf(pulumi.String(text)))
		}
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		target := reflect.New(into.Type().Elem())
		d.plain(path, node, target.Elem(), tag)
		into.Set(target)
	case reflect.Struct:
		d.object(path, node, into)
	case reflect.Map:
		d.mapping(path, node, into)
	case reflect.Slice:
		d.list(path, node, into, tag)
	case reflect.String:
		d.text(path, node, into, tag)
	case reflect.Int:
		d.number(path, node, into, tag)
	case reflect.Bool:
		d.boolean(path, node, into)
	default:
		panic(fmt.Sprintf("%s: no configuration sets a %s", path, into.Type()))
	}
}

// kindOf names a node's kind in YAML's words.
func kindOf(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "an object"
	case yaml.SequenceNode:
		return "a list"
	}
	switch node.ShortTag() {
	case "!!null":
		return "no value"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	}
	return "a text"
}

// entries calls a function for every valid entry of a mapping, with its path. A key that occurs twice is a fault.
func (d *decoder) entries(path string, node *yaml.Node, join func(path, key string) string, each func(key, at string, value *yaml.Node)) {
	lines := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		at := join(path, key.Value)
		line, twice := lines[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode:
			d.refuse(path, key, "the name of a field must be a text; write name: value")
		case key.ShortTag() == "!!merge":
			d.refuse(path, key, "merge keys are not supported; write the fields out")
		case twice:
			d.refuse(at, value, "must be there once, and is there already, in line %d; remove one of the two", line)
			d.at[d.faults[len(d.faults)-1]] = key.Line
		default:
			lines[key.Value] = key.Line
			d.lines[at] = key.Line
			each(key.Value, at, value)
		}
	}
}

// plainKey is a key that a path shows as it is.
var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// child returns the path of a field in an object.
func child(path, key string) string {
	switch {
	case !plainKey.MatchString(key):
		return path + fmt.Sprintf("[%q]", key)
	case path == "":
		return key
	}
	return path + "." + key
}

// object reads the fields of a struct. An unknown field is a fault.
func (d *decoder) object(path string, node *yaml.Node, into reflect.Value) {
	fields := fieldsOf(into.Type())
	if node.Kind != yaml.MappingNode {
		d.refuse(path, node, "%s where an object is expected; write its fields, such as %s", kindOf(node), exampleObject(fields, node))
		return
	}
	d.entries(path, node, child, func(key, at string, value *yaml.Node) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == key })
		if i < 0 {
			d.unknown(path, key, value, "field", namesOf(fields), child)
			return
		}
		d.value(at, value, into.FieldByIndex(fields[i].Index), fields[i].Tag)
	})
}

// unknown refuses an unknown key or field, and suggests the name that was probably meant.
func (d *decoder) unknown(path, key string, value *yaml.Node, what string, names []string, join func(path, key string) string) {
	if near := nearest(key, names); near != "" {
		meant := join(path, near)
		d.refuse(join(path, key), value, "unknown %s; did you mean %s?", what, strings.TrimPrefix(meant, path+"."))
		d.refused[meant] = true
		return
	}
	d.refuse(join(path, key), value, "unknown %s; remove it, or write one of %s", what, strings.Join(names, ", "))
}

// exampleObject shows how an object with these fields is written. A text that was written in its place may be meant as its name.
func exampleObject(fields []field, node *yaml.Node) string {
	var pairs []string
	for _, f := range fields {
		switch {
		case f.name == "name" && kindOf(node) == "a text":
			pairs = append(pairs, "name: "+node.Value)
		case f.Tag.Get("required") == "true":
			pairs = append(pairs, f.name+": "+exampleValue(f))
		}
	}
	for _, f := range fields {
		if len(pairs) > 0 {
			break
		}
		if simple := f.Type.Kind(); simple == reflect.String || simple == reflect.Int || simple == reflect.Bool {
			pairs = append(pairs, f.name+": "+exampleValue(f))
		}
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

func exampleValue(f field) string {
	for _, tag := range []string{"default", "example", "minimum"} {
		if value := f.Tag.Get(tag); value != "" {
			return value
		}
	}
	if f.Type.Kind() == reflect.Bool {
		return "true"
	}
	return "..."
}

func (d *decoder) mapping(path string, node *yaml.Node, into reflect.Value) {
	if node.Kind != yaml.MappingNode {
		d.refuse(path, node, "%s where an object is expected; write name: value for each of its entries", kindOf(node))
		return
	}
	into.Set(reflect.MakeMap(into.Type()))
	d.entries(path, node, child, func(key, at string, value *yaml.Node) {
		if err := checkText(key); err != nil {
			d.refuse(at, value, "its name: %w", err)
			return
		}
		element := reflect.New(into.Type().Elem()).Elem()
		d.value(at, value, element, "")
		into.SetMapIndex(reflect.ValueOf(key).Convert(into.Type().Key()), element)
	})
}

// list reads the elements of a list. The tag of its field holds for each.
func (d *decoder) list(path string, node *yaml.Node, into reflect.Value, tag reflect.StructTag) {
	if node.Kind != yaml.SequenceNode {
		fix := "begin each entry with a hyphen"
		if element := into.Type().Elem().Kind(); node.Kind == yaml.ScalarNode && (element == reflect.String || element == reflect.Int) {
			fix = "write [" + strings.Join(strings.Fields(node.Value), ", ") + "]"
		}
		d.refuse(path, node, "%s where a list is expected; %s", kindOf(node), fix)
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(node.Content), len(node.Content)))
	for i, element := range node.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.value(at, element, into.Index(i), tag)
		if d.refused[at] {
			d.follows[path] = true
		}
	}
}

func (d *decoder) text(path string, node *yaml.Node, into reflect.Value, tag reflect.StructTag) {
	switch kind := kindOf(node); {
	case kind == "a list":
		d.refuse(path, node, "a list where one text is expected; write one of its entries alone")
	case kind == "an object":
		d.refuse(path, node, "an object where a text is expected; write the text alone")
	case kind == "a number" && rules.IsQuantity(tag):
		d.quantity(path, node, into)
	case kind == "a number" && !isFinite(node):
		d.refuse(path, node, "not a finite number; write %s", cmp.Or(tag.Get("default"), "one"))
	case kind == "a number" && unit(tag) != "":
		d.refuse(path, node, "no unit; write %s%s", node.Value, unit(tag))
	case kind != "a text":
		d.refuse(path, node, "%s where a text is expected; write it in quotes: %q", kind, node.Value)
	default:
		if err := checkText(node.Value); err != nil {
			d.refuse(path, node, "%w", err)
			return
		}
		into.SetString(node.Value)
	}
}

// plainNumber matches a number whose text is a quantity of the same value. YAML also accepts 010 for 8, and 0x1f, 1_000, .5 and 1e3.
var plainNumber = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// quantity takes the text of a number as it is written, so that it is not rounded.
func (d *decoder) quantity(path string, node *yaml.Node, into reflect.Value) {
	if !plainNumber.MatchString(node.Value) {
		d.refuse(path, node, "not a Kubernetes quantity; write digits alone, or a text with a suffix, such as 500m for CPU or 128Mi for memory")
		return
	}
	into.SetString(node.Value)
}

// unit is the unit of a duration, taken from the field's default.
func unit(tag reflect.StructTag) string {
	text := tag.Get("default")
	if _, err := time.ParseDuration(text); err != nil {
		return ""
	}
	return strings.TrimLeft(text, "0123456789")
}

func isFinite(node *yaml.Node) bool {
	var number float64
	return node.Decode(&number) != nil || !math.IsInf(number, 0) && !math.IsNaN(number)
}

// checkText refuses texts that no field accepts: empty ones, ones with invisible characters, and secrets.
func checkText(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("it is empty; write a text, or leave it out for the default")
	}
	if rules.HidesSecret(text) {
		return errors.New("it holds a private key or a password, and this field is no secret; remove it")
	}
	if strings.Trim(text, " ") != text {
		return errors.New("it begins or ends with a space; remove it")
	}
	return rules.CheckVisible(strings.ReplaceAll(text, "\n", "")) // a certificate has several lines
}

// decimal matches a whole number as people write it. YAML also accepts 0x1f, 0o17 and 1_000.
var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

func (d *decoder) number(path string, node *yaml.Node, into reflect.Value, tag reflect.StructTag) {
	bounds := rules.Bounds(tag)
	switch kind := kindOf(node); {
	case kind != "a number" && kind != "a text", node.Kind != yaml.ScalarNode:
		d.refuse(path, node, "%s where a whole number is expected; write %s", kind, exampleNumber(tag))
	case kind == "a text" && decimal.MatchString(node.Value):
		d.refuse(path, node, "a text where a whole number is expected; write it without quotes")
	case !decimal.MatchString(node.Value):
		d.refuse(path, node, "not a whole number; write digits alone, such as %s", exampleNumber(tag))
	default:
		number, err := strconv.ParseInt(node.Value, 10, 32)
		if err != nil {
			d.refuse(path, node, "too large; %s", cmp.Or(bounds, "must be below 2147483648"))
			return
		}
		if err := rules.CheckBounds(number, tag); err != nil {
			d.refuse(path, node, "%w", err)
			return
		}
		into.SetInt(number)
	}
}

func exampleNumber(tag reflect.StructTag) string {
	return cmp.Or(tag.Get("default"), tag.Get("minimum"), "3")
}

func (d *decoder) boolean(path string, node *yaml.Node, into reflect.Value) {
	switch {
	case node.ShortTag() == "!!bool" && (node.Value == "true" || node.Value == "false"):
		into.SetBool(node.Value == "true")
	case node.Kind == yaml.ScalarNode:
		d.refuse(path, node, "must be true or false, without quotes")
	default:
		d.refuse(path, node, "%s where true or false is expected; write true or false", kindOf(node))
	}
}

// nearest returns the name that a misspelt one probably means, or the empty text.
func nearest(name string, names []string) string {
	best, least := "", 3
	for _, candidate := range names {
		distance := editDistance(strings.ToLower(name), strings.ToLower(candidate))
		if distance < least && distance*2 < len(candidate) {
			best, least = candidate, distance
		}
	}
	return best
}

// editDistance is the number of bytes to insert, delete or replace to get from one text to the other.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
