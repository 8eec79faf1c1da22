//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// TestDeploy types the commands of docs/delivery.md, beginning with a stack that has no state. It is one test, since each command
// starts from what the previous one left.
func TestDeploy(t *testing.T) {
	n := needsNode(t, "imports images under the names that a person makes up")
	page, setUp := shellPage(t, "delivery.md"), shellPage(t, "pulumi.md")
	s := ownStack(t, n, setUp)
	s.mustRun(t, "export GIT_AUTHOR_NAME=alice GIT_AUTHOR_EMAIL=alice@example.com GIT_COMMITTER_NAME=alice GIT_COMMITTER_EMAIL=alice@example.com\n"+
		"unset MAKEFLAGS MAKEOVERRIDES MFLAGS MAKELEVEL\ngit init --quiet") // what the make of the tests was told is not for this one
	s.types(t, page, "Images") // none of them is in a registry
	s.mustRun(t, "git add --all && git commit --quiet --message 'the stack'")

	s.refuses(t, "make plan STACK=dev", "it has no state yet, and a first update cannot be planned")
	s.mustRun(t, "pulumi up --yes --skip-preview --stack dev --target '**:RandomPassword::*'")
	s.mustRun(t, "make plan STACK=dev")
	s.mustRun(t, "make apply PLAN=plans/dev")
	rolledOut(t)
	if said := s.mustRun(t, "make plan STACK=dev"); !strings.Contains(said, ": no changes\n") {
		t.Errorf("after the update there is one more:\n%s", said)
	}
	s.refuses(t, "make apply PLAN=plans/dev && make plan STACK=prod", "stack \"prod\": there is none") // no changes, and another stack

	if said := s.types(t, page, "Plan"); !strings.Contains(said, "create ConfigMap journal/frontend-config-") {
		t.Errorf("the plan does not show another configuration:\n%s", said)
	}
	s.mustRun(t, "git commit --quiet --allow-empty --message 'another commit'")
	s.refuses(t, "make apply PLAN=plans/dev", "commit: the plan is made for ")
	s.mustRun(t, "git reset --quiet --hard HEAD~1")
	kubectl(t, "delete", "service", "frontend", "--namespace", world.outputs.Namespace)
	s.refuses(t, "make apply PLAN=plans/dev", "Service journal-frontend is not as planned")
	s.mustRun(t, "make plan STACK=dev")
	s.types(t, page, "Apply")
	titled(t, "Our journal")

	kubectl(t, "patch", "service", "frontend", "--namespace", world.outputs.Namespace, "--type=merge", `--patch={"metadata":{"labels":{"app.kubernetes.io/part-of":"by-hand"}}}`)
	said, err := s.run("go build -o bin/deploy ./deploy && bin/deploy drift --stack dev")
	if code := exitCodeOf(err); code != 2 || !strings.Contains(said, `Service `+world.outputs.Namespace+`/frontend: metadata.labels`) {
		t.Errorf("drift ends with %d (%v):\n%s", code, err, said)
	}
	if said, err = s.run("KUBECONFIG=/none bin/deploy drift --stack dev"); exitCodeOf(err) != 1 {
		t.Errorf("without a cluster drift ends with %v:\n%s", err, said)
	}

	s.refuses(t, "make plan STACK=dev", "set PULUMI_K8S_ENABLE_PATCH_FORCE=true for the plan and its apply")
	s.mustRun(t, "for command in 'plan STACK=dev' 'apply PLAN=plans/dev'; do PULUMI_K8S_ENABLE_PATCH_FORCE=true make $command; done")

	s.types(t, page, "Roll back")
	if settings := settings(t); strings.Contains(settings, "Our journal") {
		t.Errorf("after the roll back the page's settings are %s", settings)
	}
	if said := s.types(t, page, "Drift"); strings.Contains(said, world.outputs.Namespace) {
		t.Errorf("there is drift:\n%s", said)
	}

	s.mustRun(t, "git checkout --quiet -b rotated && sed -i 's/passwords: .*/passwords: [2, 1]/' Pulumi.dev.yaml && git commit --quiet --all --message 'rotate'")
	s.mustRun(t, "make plan STACK=dev && make apply PLAN=plans/dev")
	write(t, unique("Written with another password."))
	for heading := range page {
		t.Errorf("nobody has typed the section %q", heading)
	}
}

// refuses types a command that must fail, say this and change no object.
func (s *shell) refuses(t *testing.T, command, says string) {
	t.Helper()
	before := generations(t)
	if said, err := s.run(command); err == nil || !strings.Contains(said, says) {
		t.Errorf("%s does not say %q: %v\n%s", command, says, err, said)
	}
	if after := generations(t); before != after {
		t.Errorf("%s has changed\n%s\nto\n%s", command, before, after)
	}
}

// generations lists the objects of the journal with the number of changes to what each declares.
func generations(t *testing.T) string {
	t.Helper()
	return kubectl(t, "get", "deployments,statefulsets,services,configmaps,secrets", "--namespace", world.outputs.Namespace,
		"--output", `jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.metadata.generation}{"\n"}{end}`)
}

// titled waits until the page has a title.
func titled(t *testing.T, title string) {
	t.Helper()
	rolledOut(t)
	eventually(t, func() error {
		if text := settings(t); !strings.Contains(text, title) {
			return fmt.Errorf("the page's settings are %s", text)
		}
		return nil
	})
}

// exitCodeOf is the exit code of a command of a shell.
func exitCodeOf(err error) int {
	if err == nil {
		return 0
	}
	if exit, isExit := errors.AsType[*exec.ExitError](err); isExit {
		return exit.ExitCode()
	}
	return -1
}
