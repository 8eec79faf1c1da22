package stacks

import "fmt"

// FieldManager returns the field manager that owns the objects of a stack.
func FieldManager(project, stack string) string { return fmt.Sprintf("pulumi-%s-%s", project, stack) }
