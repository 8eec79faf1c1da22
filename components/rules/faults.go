package rules

import (
	"errors"
	"fmt"
)

// Fault is one broken rule about one field of a component's arguments.
type Fault struct {
	// Path is the path of the field, by the names of a configuration: replicas, or tenants[2].name.
	Path string
	// Value is the value of the field.
	Value any
	// Rule is the rule that the value breaks and what to write instead.
	Rule error
}

// Error names the field, the value, the rule and the fix. It shows no secret, and only the beginning of a long value.
func (f *Fault) Error() string {
	return fmt.Sprintf("%s %q: %s", shown(f.Path), shown(f.Value), Redact(f.Rule.Error()))
}

// Unwrap returns the broken rule.
func (f *Fault) Unwrap() error { return f.Rule }

// Faults collects every broken rule of a component's arguments, so that they are reported together.
type Faults []*Fault

// Check records that the value of a field breaks a rule, if it does.
func (f *Faults) Check(path string, value any, rule error) {
	if rule != nil {
		*f = append(*f, &Fault{Path: path, Value: value, Rule: rule})
	}
}

// Refuse records that the value of a field breaks the rule that the format and its operands say.
func (f *Faults) Refuse(path string, value any, format string, operands ...any) {
	f.Check(path, value, fmt.Errorf(format, operands...))
}

// Err returns the faults as one error, or nil when there are none.
func (f Faults) Err() error {
	errs := make([]error, len(f))
	for i, fault := range f {
		errs[i] = fault
	}
	return errors.Join(errs...)
}

// In returns the faults with paths that begin with this one: in redis, replicas becomes redis.replicas; in tenants[2], name
// becomes tenants[2].name.
func (f Faults) In(path string) Faults {
	in := make(Faults, len(f))
	for i, fault := range f {
		in[i] = &Fault{Path: join(path, fault.Path), Value: fault.Value, Rule: fault.Rule}
	}
	return in
}

// join returns the path of a field below another path.
func join(path, field string) string {
	if path == "" || field == "" || field[0] == '[' {
		return path + field
	}
	return path + "." + field
}
