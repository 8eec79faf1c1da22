package kube

import (
	"errors"
	"fmt"
	"strings"

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

// CheckNewNamespace refuses what is not the name of a namespace, and the namespaces that Kubernetes itself creates. It is for
// components that create their namespace: owner says for what, such as "the controller", and example is a name that fits.
func CheckNewNamespace(name, owner, example string) error {
	if name == "default" || strings.HasPrefix(name, "kube-") {
		return fmt.Errorf("it belongs to Kubernetes, and this one is made for %s; write another name, such as %s", owner, example)
	}
	return rules.CheckName(name)
}
