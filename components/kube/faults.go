package kube

import (
	"errors"
	"fmt"
	"strings"
)

// Fault is one broken rule about one field of a component's arguments.
type Fault struct {
	// Field is the field's name in lower camel case, as configuration keys are written.
	Field string
	// Value is what the field was set to.
	Value any
	// Rule is the rule that the value breaks and what to write instead.
	Rule error
}

// Error names the field, the value, the rule and the fix.
func (f *Fault) Error() string { return fmt.Sprintf("%s %q: %v", f.Field, fmt.Sprint(f.Value), f.Rule) }

// Unwrap returns the broken rule.
func (f *Fault) Unwrap() error { return f.Rule }

// Faults collects every broken rule of a component's arguments, so that they are reported together.
type Faults []*Fault

// Check records that the value of a field breaks a rule, if it does.
func (f *Faults) Check(field string, value any, rule error) {
	if rule != nil {
		*f = append(*f, &Fault{Field: field, Value: value, Rule: rule})
	}
}

// Refuse records that the value of a field breaks the rule that the format and its operands say.
func (f *Faults) Refuse(field string, value any, format string, operands ...any) {
	f.Check(field, value, fmt.Errorf(format, operands...))
}

// Err returns the faults as one error, or nil when there are none.
func (f Faults) Err() error {
	errs := make([]error, len(f))
	for i, fault := range f {
		errs[i] = fault
	}
	return errors.Join(errs...)
}

// Within returns the fault of the same field seen from what contains it: replicas within redis is redisReplicas.
func (f *Fault) Within(part string) *Fault {
	return &Fault{Field: part + strings.ToUpper(f.Field[:1]) + f.Field[1:], Value: f.Value, Rule: f.Rule}
}
