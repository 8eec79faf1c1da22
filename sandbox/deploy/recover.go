package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"

	"example.com/journal/sandbox/internal/command"
	"example.com/journal/stacks"
)

// interruptTime is how long an interrupted engine may take to end its steps and write its state.
const interruptTime = time.Minute

// recover cleans up after a killed run: it ends the run's engine, releases the engine's lock, and drops pending operations. Only
// makePassword has such operations. A password that is not in the state is not used anywhere, so Up creates it again.
func (s *Stack) recover(ctx context.Context, stack auto.Stack) error {
	// The caller holds this program's lock, so no other command runs. But the engine of a killed command may still run.
	locked, engines := s.engineLock()
	for _, engine := range engines {
		s.report("ending the engine of an earlier run (process %d), which was killed", engine)
		_ = syscall.Kill(engine, syscall.SIGINT) // it may have ended by itself
	}
	if err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, interruptTime, true, func(context.Context) (bool, error) {
		locked, engines = s.engineLock()
		return len(engines) == 0, nil
	}); err != nil {
		return fmt.Errorf("the engine of an earlier run (process %d) is still changing the stack; wait until it has ended, and try again", engines[0])
	}
	if locked {
		s.report("an earlier run was killed: removing its lock")
		if err := stack.Cancel(ctx); err != nil {
			return plain(err)
		}
	}
	state, err := readState(s.stateFile(s.config.Stack))
	if err != nil || len(state.PendingOperations) == 0 {
		return err
	}
	_, err = stack.Refresh(ctx, optrefresh.ClearPendingCreates(), optrefresh.Color("never"), optrefresh.SuppressProgress())
	return plain(err)
}

// engineLock says whether an engine has locked the stack, and returns the PIDs of those engines that still run.
func (s *Stack) engineLock() (locked bool, running []int) {
	ours, _ := filepath.EvalSymlinks(s.engine())
	locks, _ := filepath.Glob(filepath.Join(s.backend(), ".pulumi", "locks", "organization", string(s.project.Name), s.config.Stack, "*.json"))
	for _, path := range locks {
		var lock struct{ PID int }
		// A half-written lock is from a killed run. It gives PID 0, which no process has.
		text, _ := os.ReadFile(path)
		_ = json.Unmarshal(text, &lock)
		// Another process may have the PID by now, and a rebuilt toolchain may have replaced the running file.
		program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", lock.PID))
		if err == nil && strings.TrimSuffix(program, " (deleted)") == ours {
			running = append(running, lock.PID)
		}
	}
	return len(locks) > 0, running
}

// deleteOrphans deletes the stack's objects that are not in its state: a killed run has created them, and the stack no longer
// declares them. Their field manager, which no other stack has, identifies them. A namespace with pods in it may be in use, so
// deleteOrphans leaves it to a person.
func (s *Stack) deleteOrphans(ctx context.Context) error {
	state, err := readState(s.stateFile(s.config.Stack))
	if err != nil {
		return err
	}
	all, err := Objects(ctx, s.kubectl)
	if err != nil {
		return err
	}
	var errs []error
	for _, orphan := range orphans(all, state.Resources, stacks.FieldManager(string(s.project.Name), s.config.Stack)) {
		name := nameOf(orphan)
		if orphan.GetKind() == "Namespace" && slices.ContainsFunc(all, func(o unstructured.Unstructured) bool {
			return o.GetKind() == "Pod" && o.GetNamespace() == orphan.GetName()
		}) {
			s.report("an earlier run, which was killed, made %s, and it is not declared any more, but has pods: delete it with kubectl when nobody needs it", name)
			continue
		}
		if _, err := command.Output(s.kubectl(ctx, "delete", name, "--namespace", orphan.GetNamespace(), "--ignore-not-found", "--wait=false")); err != nil {
			errs = append(errs, err)
			continue
		}
		s.report("deleted %s, which an earlier run that was killed had made", name)
	}
	return errors.Join(errs...)
}

// orphans returns the objects that a field manager has applied and that are not in a state, without those that are deleted with
// their namespace.
func orphans(all []unstructured.Unstructured, state []apitype.ResourceV3, manager string) []unstructured.Unstructured {
	known := map[string]bool{}
	for _, r := range state {
		var o unstructured.Unstructured
		// Only the inputs of the Kubernetes plugin's resources are Kubernetes objects.
		if text, err := json.Marshal(r.Inputs); err == nil && o.UnmarshalJSON(text) == nil {
			known[o.GetNamespace()+" "+nameOf(o)] = true
		}
	}
	gone := map[string]bool{} // namespaces
	var found []unstructured.Unstructured
	for _, o := range all {
		if !known[o.GetNamespace()+" "+nameOf(o)] && slices.ContainsFunc(o.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool {
			return f.Manager == manager && f.Operation == metav1.ManagedFieldsOperationApply
		}) {
			found = append(found, o)
			gone[o.GetName()] = gone[o.GetName()] || o.GetKind() == "Namespace"
		}
	}
	return slices.DeleteFunc(found, func(o unstructured.Unstructured) bool { return gone[o.GetNamespace()] })
}

// Objects returns all objects that kubectl can list and delete.
func Objects(ctx context.Context, kubectl func(context.Context, ...string) *exec.Cmd) ([]unstructured.Unstructured, error) {
	kinds, err := command.Output(kubectl(ctx, "api-resources", "--verbs=list,delete", "--output=name"))
	if err != nil {
		return nil, err
	}
	text, err := command.Output(kubectl(ctx, "get", strings.Join(strings.Fields(kinds), ","), "--all-namespaces", "--show-managed-fields", "--output=json"))
	if err != nil {
		return nil, err
	}
	var all unstructured.UnstructuredList
	err = all.UnmarshalJSON([]byte(text))
	return all.Items, err
}

// nameOf returns the name of an object for kubectl.
func nameOf(o unstructured.Unstructured) string {
	return strings.ToLower(o.GroupVersionKind().GroupKind().String()) + "/" + o.GetName()
}

func (s *Stack) kubectl(ctx context.Context, args ...string) *exec.Cmd {
	return command.Kubectl(ctx, s.config.Dir.Bin(), s.config.Kubeconfig, args...)
}

func (s *Stack) report(format string, args ...any) {
	fmt.Fprintf(s.config.Progress, format+"\n", args...)
}
