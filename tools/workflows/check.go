// Package workflows checks the workflows of .github/workflows: with actionlint, which knows GitHub's syntax, and with the rules of this
// repository, which linters lack. docs/ci.md says what each rule prevents.
package workflows

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// actions are what a step may use, with what it is for. All other work is a target of the Makefile, which a person can call as well.
var actions = map[string]string{
	"actions/checkout":          "the commit",
	"actions/setup-go":          "the go command",
	"actions/upload-artifact":   "a file for another job",
	"actions/download-artifact": "a file of another job",
	"pulumi/actions":            "the pulumi command",
	"pulumi/auth-actions":       "a short-lived token for the state",
}

var (
	pin = regexp.MustCompile(`^([\w.-]+/[\w.-]+)@([0-9a-f]{40})$`)
	// version is the comment behind a pin, by which people and update bots know it.
	version = regexp.MustCompile(`#\s*v\d+\.\d+\.\d+\s*$`)
	// command is all that a step may run. What it takes from GitHub is a value of the matrix, which the file itself lists.
	command = regexp.MustCompile(`^make ([a-z][a-z0-9-]*)((?: [A-Z_]+=(?:[\w./-]|\$\{\{ matrix\.\w+ \}\})+)*)$`)
	// secret is every use of the context of secrets, in any of its forms.
	secret = regexp.MustCompile(`(?i)\bsecrets\b\s*(\.\s*[\w-]+)?`)
	target = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):`)
	// variable is all that a step may be given: what make expands runs in a shell, and others write most of what an event holds.
	variable = regexp.MustCompile(`^\$\{\{ (vars\.\w+|secrets\.GITHUB_TOKEN|github\.event\.pull_request\.number) \}\}$`)
	// folder is a folder in the checkout, and not the checkout itself.
	folder = regexp.MustCompile(`^[\w-]+(/[\w-]+)*$`)
	runner = regexp.MustCompile(`^ubuntu-\d\d\.\d\d$`)
)

// stateTargets read the state of a stack, or use the cluster. writeTargets change a stack.
var (
	stateTargets = []string{"apply", "ci-login", "destroy", "drift", "plan", "pr-env", "pr-env-down", "preview", "up"}
	writeTargets = []string{"apply", "destroy", "up"}
)

// changed is the stack that the jobs of an environment change, and what a push that starts them is to.
type changed struct{ stack, pushed string }

// changing are the environments whose jobs change a stack. No other may.
var changing = map[string]changed{"dev": {"dev", "main"}, "production": {"prod", "tags"}}

// privileged are events whose workflows have the rights of main, and run for what others have written.
var privileged = []string{"issue_comment", "pull_request_target", "workflow_run"}

// Check returns what is wrong with a workflow, one fault a line with its place and its fix. The Makefile is what steps call.
func Check(name string, workflow, makefile []byte) ([]string, error) {
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		return nil, err
	}
	found, err := linter.Lint("<stdin>", workflow, nil) // this name keeps it from looking for the repository around a file
	if err != nil {
		return nil, err
	}
	c := &check{name: name, lines: strings.Split(string(workflow), "\n"), targets: map[string]bool{}}
	for _, match := range target.FindAllSubmatch(makefile, -1) {
		c.targets[string(match[1])] = true
	}
	for _, e := range found {
		c.fault(e.Line, "actionlint", "%s", e.Message)
	}
	if parsed, _ := actionlint.Parse(workflow); parsed != nil { // its errors are among those of the linter
		c.workflow(parsed)
	}
	return c.faults, nil
}

// check is the check of one workflow.
type check struct {
	name    string
	lines   []string
	targets map[string]bool
	// pushed is what a push must be to, to start the workflow; empty if something else starts it as well.
	pushed string
	faults []string
}

// fault notes what is wrong in a line, by the name of the rule.
func (c *check) fault(line int, rule, format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf("%s:%d: %s: %s", c.name, line, rule, fmt.Sprintf(format, args...)))
}

func (c *check) workflow(w *actionlint.Workflow) {
	c.pushed = pushed(w.On)
	for _, event := range w.On {
		if slices.Contains(privileged, event.EventName()) {
			c.fault(1, "event", "%s runs with the rights of main on what others have written; write pull_request", event.EventName())
		}
	}
	c.secrets()
	switch {
	case w.Permissions == nil:
		c.fault(1, "permissions", "the workflow has none, and so those of the repository's settings; write `permissions: {contents: read}` above jobs")
	case w.Permissions.All != nil || !reads(w.Permissions):
		c.fault(w.Permissions.Pos.Line, "permissions", "the workflow gives every job more than `contents: read`; give it to the job that needs it")
	}
	if w.Defaults != nil || w.Env != nil {
		c.fault(1, "run", "defaults and variables of the workflow change what a step runs; give variables to the step that needs them")
	}
	for _, id := range slices.Sorted(maps.Keys(w.Jobs)) {
		c.job(w.Jobs[id])
	}
}

// pushed says to what a push starts a workflow that nothing else starts: the branch main, or tags.
func pushed(events []actionlint.Event) string {
	if len(events) != 1 {
		return ""
	}
	e, isHook := events[0].(*actionlint.WebhookEvent)
	switch {
	case !isHook || e.EventName() != "push":
	case e.Tags == nil && e.TagsIgnore == nil && e.BranchesIgnore == nil && e.Branches != nil && len(e.Branches.Values) == 1 && e.Branches.Values[0].Value == "main":
		return "main"
	case e.Tags != nil && e.TagsIgnore == nil && e.Branches == nil && e.BranchesIgnore == nil:
		return "tags"
	}
	return ""
}

// reads says whether permissions are at most those to read the commit.
func reads(p *actionlint.Permissions) bool {
	for name, scope := range p.Scopes {
		if scope.Value.Value != "none" && (name != "contents" || scope.Value.Value != "read") {
			return false
		}
	}
	return true
}

// secrets looks at the text: an expression may stand in every value of a workflow.
func (c *check) secrets() {
	for i, line := range c.lines {
		line, _, _ = strings.Cut(" "+line, " #")
		for _, use := range secret.FindAllString(line, -1) {
			if strings.Join(strings.Fields(use), "") != "secrets.GITHUB_TOKEN" {
				c.fault(i+1, "secret", "%s: no credential is kept in the repository's settings; log in with the token that GitHub issues for the job, "+
					"as `make ci-login` does", strings.TrimSpace(use))
			}
		}
	}
}

func (c *check) job(j *actionlint.Job) {
	line := j.Pos.Line
	if j.WorkflowCall != nil {
		c.fault(line, "pin", "job %s calls another workflow; write its steps", j.ID.Value)
		return
	}
	if j.TimeoutMinutes == nil {
		c.fault(line, "timeout", "job %s may run for six hours; write timeout-minutes", j.ID.Value)
	}
	if j.Container != nil || j.Services != nil {
		c.fault(line, "pin", "job %s runs images; a step is an action or `make`", j.ID.Value)
	}
	if j.Defaults != nil || j.Env != nil {
		c.fault(line, "run", "job %s: defaults and variables of a job change what a step runs; give variables to the step that needs them", j.ID.Value)
	}
	if j.RunsOn == nil || len(j.RunsOn.Labels) != 1 || !runner.MatchString(j.RunsOn.Labels[0].Value) {
		c.fault(line, "runner", "job %s: runs-on must be one runner of GitHub's with its version, such as ubuntu-24.04", j.ID.Value)
	}
	var called []string
	for _, step := range j.Steps {
		c.step(step)
		switch exec := step.Exec.(type) {
		case *actionlint.ExecAction:
			c.action(step.Pos.Line, exec)
		case *actionlint.ExecRun:
			called = append(called, c.run(step.Pos.Line, exec))
		}
	}
	c.rights(j, called)
}

// step checks what surrounds the action or the command of a step.
func (c *check) step(s *actionlint.Step) {
	if s.ContinueOnError != nil {
		c.fault(s.Pos.Line, "run", "the job goes on after this step has failed; remove continue-on-error")
	}
	if s.Env == nil {
		return
	}
	if s.Env.Expression != nil {
		c.fault(s.Pos.Line, "variable", "list the variables of the step one by one")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env.Vars)) {
		if v := s.Env.Vars[name]; strings.HasPrefix(strings.ToUpper(v.Name.Value), "MAKE") || !variable.MatchString(v.Value.Value) {
			c.fault(s.Pos.Line, "variable", "%s %q: must be of the environment's variables, such as ${{ vars.KUBE_SERVER }}, the job's token or "+
				"the number of the pull request: make runs the rest in a shell", v.Name.Value, v.Value.Value)
		}
	}
}

// action checks a step that uses an action.
func (c *check) action(line int, a *actionlint.ExecAction) {
	parts := pin.FindStringSubmatch(a.Uses.Value)
	if parts == nil {
		c.fault(line, "pin", "%s: must be an action at a commit; write for example actions/checkout@<40 hexadecimal digits> # v7.0.1", a.Uses.Value)
		return
	}
	if !version.MatchString(c.lines[a.Uses.Pos.Line-1]) {
		c.fault(line, "pin", "%s: its line must end with the version of the commit, such as # v7.0.1", a.Uses.Value)
	}
	if actions[parts[1]] == "" {
		c.fault(line, "action", "%s: must be one of %s; make a target of the Makefile for other work", parts[1], strings.Join(slices.Sorted(maps.Keys(actions)), ", "))
	}
	input := func(name string) string {
		if value := a.Inputs[name]; value != nil && value.Value != nil {
			return value.Value.Value
		}
		return ""
	}
	if parts[1] == "actions/checkout" && input("persist-credentials") != "false" {
		c.fault(line, "permissions", "checkout leaves the job's token in .git for all later steps; write `with: {persist-credentials: false}`")
	}
	if path := input("path"); parts[1] == "actions/download-artifact" && !folder.MatchString(path) {
		c.fault(line, "action", "the artifact is unpacked into %q, where it may replace the program; write a folder of its own, such as `path: made-by-the-change`", path)
	}
	if parts[1] == "pulumi/actions" && input("command") != "" {
		c.fault(line, "action", "pulumi/actions runs %s without a bound plan; let it install pulumi, and write `run: make plan`", input("command"))
	}
}

// run checks a step that runs something, and returns the target that it calls.
func (c *check) run(line int, r *actionlint.ExecRun) string {
	if r.Shell != nil || r.WorkingDirectory != nil {
		c.fault(line, "run", "shell and working-directory change what a step runs; remove them")
	}
	parts := command.FindStringSubmatch(strings.TrimSuffix(r.Run.Value, "\n"))
	if parts == nil {
		c.fault(line, "run", "%q: must be one call of make, such as `make plan STACK=prod`; put the commands into the Makefile, so that a person can run them", r.Run.Value)
		return ""
	}
	if !c.targets[parts[1]] {
		c.fault(line, "run", "make %s: there is no such target in the Makefile", parts[1])
	}
	return parts[1]
}

// rights checks that whoever has rights has them in an environment, and one at a time.
func (c *check) rights(j *actionlint.Job, called []string) {
	environment := ""
	if j.Environment != nil && j.Environment.Name != nil {
		environment = j.Environment.Name.Value
	}
	writes, token := false, false
	if j.Permissions != nil {
		if j.Permissions.All != nil {
			c.fault(j.Permissions.Pos.Line, "permissions", "job %s: list the permissions one by one", j.ID.Value)
		}
		for name, scope := range j.Permissions.Scopes {
			writes = writes || scope.Value.Value == "write"
			token = token || name == "id-token" && scope.Value.Value == "write"
		}
	}
	state, changes := contains(called, stateTargets), contains(called, writeTargets)
	if environment == "" && (token || state != "") {
		c.fault(j.Pos.Line, "environment", "job %s can log in to a cluster or reads a state; write the environment that says who may let it", j.ID.Value)
	}
	if j.Concurrency == nil && (writes || environment != "" || state != "") {
		c.fault(j.Pos.Line, "concurrency", "job %s has rights, and may run twice at once; write concurrency", j.ID.Value)
	}
	if changes != "" && environment != "" {
		c.change(j, called, environment, changes)
	}
}

// change checks a job that changes a stack.
func (c *check) change(j *actionlint.Job, called []string, environment, changes string) {
	line, id := j.Pos.Line, j.ID.Value
	of, known := changing[environment]
	if !known {
		c.fault(line, "environment", "job %s: make %s in environment %s; must be one of %s",
			id, changes, environment, strings.Join(slices.Sorted(maps.Keys(changing)), ", "))
		return
	}
	if c.pushed != of.pushed {
		c.fault(line, "event", "job %s: what changes the stack %s must be started by a push to %s alone", id, of.stack, of.pushed)
	}
	if group := j.Concurrency; group != nil {
		if group.Group == nil || group.Group.Value != "stack-"+of.stack {
			c.fault(line, "concurrency", "job %s changes the stack %s; its group must be stack-%s, as that of every job that does", id, of.stack, of.stack)
		}
		if cancel := group.CancelInProgress; cancel != nil && (cancel.Value || cancel.Expression != nil) {
			c.fault(line, "concurrency", "job %s changes a stack, and a cancelled update is half of one; write cancel-in-progress: false", id)
		}
	}
	if onMain := slices.Index(called, "on-main"); of.pushed == "tags" && (onMain < 0 || onMain > slices.Index(called, contains(called, stateTargets))) {
		c.fault(line, "event", "job %s: a tag may be on any commit; run make on-main before all that logs in", id)
	}
}

// contains returns the first of some names that is in another list, or nothing.
func contains(list, names []string) string {
	i := slices.IndexFunc(list, func(name string) bool { return slices.Contains(names, name) })
	if i < 0 {
		return ""
	}
	return list[i]
}
