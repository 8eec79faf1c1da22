package kube

import (
	"errors"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/rules"
)

// CheckNamespace refuses a missing namespace, and a plain namespace default. Every object without a namespace lands in
// default, so nobody can limit or protect it.
func CheckNamespace(namespace pulumi.StringInput) error {
	switch namespace := namespace.(type) {
	case nil:
		return errors.New("it is missing; write the name of a namespace made for it, such as journal")
	case pulumi.String:
		if namespace == "default" {
			return errors.New("must be a namespace made for it, such as journal: default is where everything lands that names none")
		}
		return rules.CheckName(string(namespace))
	}
	return nil
}
