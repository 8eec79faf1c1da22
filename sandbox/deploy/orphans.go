package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"example.com/journal/sandbox/internal/command"
	"example.com/journal/stacks"
)

// identity tells objects of a cluster apart.
type identity struct{ group, kind, namespace, name string }

// String is how kubectl names an object.
func (i identity) String() string {
	kind := strings.ToLower(i.kind)
	if i.group != "" {
		kind += "." + i.group
	}
	return kind + "/" + i.name
}

// deleteOrphans deletes the objects of the stack that its state does not have: a run that was killed has made them, and they
// are not declared any more. The field manager, which no other stack has, says that they are the stack's. A namespace with
// pods in it is somebody's by now, so it is left to a person.
func (s *Stack) deleteOrphans(ctx context.Context) error {
	checkpoint, err := readCheckpoint(s.work.checkpoint(s.config.Stack))
	if err != nil {
		return err
	}
	kinds, err := s.kubectl(ctx, "api-resources", "--verbs=list,delete", "--output=name")
	if err != nil {
		return err
	}
	text, err := s.kubectl(ctx, "get", strings.Join(strings.Fields(kinds), ","), "--all-namespaces", "--output=json", "--show-managed-fields")
	if err != nil {
		return err
	}
	found, err := orphans([]byte(text), checkpoint.Resources, stacks.FieldManager(s.work.project, s.config.Stack))
	if err != nil {
		return err
	}
	var errs []error
	for _, orphan := range found {
		if orphan.kind == "Namespace" {
			pods, err := s.kubectl(ctx, "get", "pods", "--namespace", orphan.name, "--output=name")
			if err != nil {
				errs = append(errs, err)
				continue
			}
			if len(pods) > 0 {
				s.report("an earlier run, which was killed, made %s, and it is not declared any more, but has pods: delete it with kubectl when nobody needs it", orphan)
				continue
			}
		}
		arguments := []string{"delete", orphan.String(), "--ignore-not-found", "--wait=false"}
		if orphan.namespace != "" {
			arguments = append(arguments, "--namespace", orphan.namespace)
		}
		if _, err := s.kubectl(ctx, arguments...); err != nil {
			errs = append(errs, err)
			continue
		}
		s.report("deleted %s, which an earlier run that was killed had made", orphan)
	}
	return errors.Join(errs...)
}

// orphans returns the objects in a list of the API server that a field manager has applied and a state does not have,
// without those that go with their namespace.
func orphans(list []byte, state []apitype.ResourceV3, manager string) ([]identity, error) {
	known := map[identity]bool{}
	for _, r := range state {
		text, err := json.Marshal(r.Inputs)
		if err != nil {
			return nil, err
		}
		var o object
		if json.Unmarshal(text, &o) == nil { // inputs of another provider may have fields of another type
			known[o.identity()] = true
		}
	}
	var all struct{ Items []object }
	if err := json.Unmarshal(list, &all); err != nil {
		return nil, fmt.Errorf("read the API server's list: %w", err)
	}
	var found []identity
	gone := map[string]bool{} // namespaces
	for _, o := range all.Items {
		id := o.identity()
		if known[id] || !slices.ContainsFunc(o.Metadata.ManagedFields, func(f managedFields) bool {
			return f.Manager == manager && f.Operation == "Apply"
		}) {
			continue
		}
		found = append(found, id)
		if id.kind == "Namespace" {
			gone[id.name] = true
		}
	}
	return slices.DeleteFunc(found, func(id identity) bool { return gone[id.namespace] }), nil
}

// object is what identifies an object, and who has written it.
type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name          string          `json:"name"`
		Namespace     string          `json:"namespace"`
		ManagedFields []managedFields `json:"managedFields"`
	} `json:"metadata"`
}

type managedFields struct {
	Manager   string `json:"manager"`
	Operation string `json:"operation"`
}

func (o object) identity() identity {
	group, _, grouped := strings.Cut(o.APIVersion, "/")
	if !grouped {
		group = ""
	}
	return identity{group, o.Kind, o.Metadata.Namespace, o.Metadata.Name}
}

// kubectl asks the cluster with the sandbox's own kubectl.
func (s *Stack) kubectl(ctx context.Context, arguments ...string) (string, error) {
	return command.Output(command.Kubectl(ctx, s.config.Dir, s.config.Kubeconfig, arguments...))
}
