package rules

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"
)

// The tags of a field of arguments. A field is declared once, with its tags and its doc comment. The decoder of a stack's
// configuration reads them; the JSON schema and docs/configuration.md are generated from them.
//
//	Replicas int `json:"replicas" default:"3" minimum:"1" maximum:"9"`
//
// A field of plain arguments that is a struct may set defaults of its own fields: `default:"cpu=100m memory=64Mi"`.
const (
	jsonTag     = "json"     // the field's name in a configuration, or - for a field that no configuration sets
	defaultTag  = "default"  // the value of a field that has its zero value
	minimumTag  = "minimum"  // of a number
	maximumTag  = "maximum"  // of a number
	enumTag     = "enum"     // all values of a text, with commas
	requiredTag = "required" // "true" for a field without a sensible default
	exampleTag  = "example"  // what a required field may be, for whoever left it out
	formatTag   = "format"   // "quantity" for a text that a configuration may also write as a number
	secretTag   = "secret"   // "true" for a field that is encrypted in a configuration
)

// SetDefaults sets every zero field of a struct, and of the structs in it, to the default of its tag. It panics on a tag that
// does not fit its field, which is a mistake of the struct's author.
func SetDefaults(args any) { setDefaults(reflect.ValueOf(args).Elem()) }

func setDefaults(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			setDefaults(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			setDefaults(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field, value := v.Type().Field(i), v.Field(i)
			if !field.IsExported() {
				continue
			}
			if text := field.Tag.Get(defaultTag); text != "" {
				setDefault(field.Name, value, text)
			}
			setDefaults(value)
		}
	}
}

func setDefault(name string, value reflect.Value, text string) {
	if value.Kind() == reflect.Struct {
		for pair := range strings.FieldsSeq(text) {
			inner, text, _ := strings.Cut(pair, "=")
			for i := range value.NumField() {
				if FieldName(value.Type().Field(i)) == inner {
					setDefault(name+"."+inner, value.Field(i), text)
				}
			}
		}
		return
	}
	if !value.IsZero() {
		return
	}
	var err error
	switch value.Kind() {
	case reflect.String:
		value.SetString(text)
	case reflect.Int:
		var number int
		number, err = strconv.Atoi(text)
		value.SetInt(int64(number))
	case reflect.Bool:
		var truth bool
		truth, err = strconv.ParseBool(text)
		value.SetBool(truth)
	case reflect.Slice:
		list := reflect.MakeSlice(value.Type(), 1, 1) // a list of one
		setDefault(name, list.Index(0), text)
		value.Set(list)
	default:
		err = fmt.Errorf("a %s has no default", value.Type())
	}
	if err != nil {
		panic(fmt.Sprintf("default of %s: %v", name, err))
	}
}

// CheckTags returns every value of a struct, and of the structs in it, that its tags refuse: numbers out of bounds, texts that
// are not listed, and missing required values. A fault's path consists of the fields' names in a configuration.
func CheckTags(args any) Faults {
	var f Faults
	checkTags(&f, "", reflect.Indirect(reflect.ValueOf(args)))
	return f
}

func checkTags(f *Faults, path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		checkTags(f, path, v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			checkTags(f, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field, value := v.Type().Field(i), v.Field(i)
			if !field.IsExported() {
				continue
			}
			at := path
			if name := FieldName(field); !field.Anonymous {
				at = join(path, name)
			}
			if value.Kind() == reflect.Pointer && !value.IsNil() && value.Elem().Kind() == reflect.Int {
				value = value.Elem() // a number whose zero is not the default
			}
			if err := checkTag(field.Tag, value); err != nil {
				f.Check(at, value.Interface(), err)
				continue
			}
			if value.Kind() == reflect.Slice { // the bounds of a list are those of its elements
				for i := range value.Len() {
					if element := value.Index(i); element.Kind() == reflect.Int {
						f.Check(fmt.Sprintf("%s[%d]", at, i), element.Interface(), checkTag(field.Tag, element))
					}
				}
			}
			checkTags(f, at, value)
		}
	}
}

func checkTag(tag reflect.StructTag, value reflect.Value) error {
	if tag.Get(requiredTag) == "true" && value.IsZero() {
		if IsSecret(tag) {
			return errors.New("it is missing; set it with pulumi config set --secret --path")
		}
		if example := tag.Get(exampleTag); example != "" {
			return fmt.Errorf("it is missing; write for example %s", example)
		}
		return fmt.Errorf("it is missing; write it")
	}
	if value.Kind() == reflect.Int {
		return CheckBounds(value.Int(), tag)
	}
	if values := tag.Get(enumTag); values != "" && value.Kind() == reflect.String && !contains(values, value.String()) {
		return fmt.Errorf("must be one of %s", strings.ReplaceAll(values, ",", ", "))
	}
	return nil
}

// IsSecret says whether a field is encrypted in a configuration.
func IsSecret(tag reflect.StructTag) bool { return tag.Get(secretTag) == "true" }

// CheckBounds refuses a number out of the bounds of a tag.
func CheckBounds(number int64, tag reflect.StructTag) error {
	low, noLow := strconv.ParseInt(tag.Get(minimumTag), 10, 64)
	high, noHigh := strconv.ParseInt(tag.Get(maximumTag), 10, 64)
	if noLow == nil && number < low || noHigh == nil && number > high {
		return errors.New(Bounds(tag))
	}
	return nil
}

// Bounds returns the rule in the tags of a number, or the empty text.
func Bounds(tag reflect.StructTag) string {
	minimum, maximum := tag.Get(minimumTag), tag.Get(maximumTag)
	switch {
	case minimum == "" && maximum == "":
		return ""
	case maximum == "":
		return fmt.Sprintf("must be %s or more", minimum)
	case minimum == "":
		return fmt.Sprintf("must be %s or less", maximum)
	}
	return fmt.Sprintf("must be %s to %s", minimum, maximum)
}

func contains(list, text string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one == text {
			return true
		}
	}
	return false
}

// IsQuantity says whether a field is a Kubernetes quantity, by its tag.
func IsQuantity(tag reflect.StructTag) bool { return tag.Get(formatTag) == "quantity" }

// FieldName returns the name of a field in a configuration: that of its tag, or else Go's name in lower camel case.
func FieldName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get(jsonTag), ",")
	if name != "" && name != "-" {
		return name
	}
	runes := []rune(field.Name)
	for i := range runes {
		if i > 0 && i+1 < len(runes) && unicode.IsLower(runes[i+1]) {
			break
		}
		runes[i] = unicode.ToLower(runes[i])
	}
	return string(runes)
}
