package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// The files of a plan's folder.
const (
	stepsName   = "steps.json"  // the engine's own plan
	factsName   = "facts.json"  // what it is bound to
	summaryName = "summary.txt" // what a person reviews
)

// plan is a plan that was made.
type plan struct {
	dir   string
	facts facts
	// steps is the engine's own plan.
	steps []byte
}

// makePlan writes a plan of the next update, and prints what it would do.
func makePlan(ctx context.Context, e engine, v verifier, out string, stdout io.Writer) error {
	if err := replaceable(out); err != nil {
		return err
	}
	now, err := gather(ctx, e)
	if err != nil {
		return err
	}
	temporary, err := os.MkdirTemp("", "plan-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	saved := filepath.Join(temporary, stepsName)
	steps, err := preview(ctx, e, saved)
	if err != nil {
		return fmt.Errorf("nothing is planned: %w", err)
	}
	if err := predictable(e.stack, steps); err != nil {
		return err
	}
	after, err := gather(ctx, e)
	if err != nil {
		return err
	}
	if err := now.differences(after); err != nil {
		return fmt.Errorf("something has changed while the plan was made:\n%w", err)
	}
	text, err := os.ReadFile(saved)
	if err != nil {
		return err
	}
	now.Steps, now.Made, now.Changes = hash(text), time.Now().UTC().Truncate(time.Second), map[string]int{}
	for _, s := range steps {
		now.Changes[string(s.Op)]++
	}
	_, fault := v.verifyPlan(ctx, now, text)
	summary := summarize(now, steps, fault)
	if err := (plan{dir: out, facts: now, steps: text}).write(summary); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%sthe plan is in %s; apply it with `make apply PLAN=%s`\n", summary, out, out)
	return err
}

// write writes the files of a plan, for the owner alone.
func (p plan) write(summary string) error {
	bound, err := json.MarshalIndent(p.facts, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		text []byte
	}{{stepsName, p.steps}, {summaryName, []byte(summary)}, {factsName, append(bound, '\n')}} { // without the facts there is no plan
		if err := os.WriteFile(filepath.Join(p.dir, file.name), file.text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// preview asks the engine for the steps of the next update, and lets it save its plan.
func preview(ctx context.Context, e engine, saved string) ([]step, error) {
	var steps []step
	err := e.follow(ctx, func(event apitype.EngineEvent) {
		if event.ResourcePreEvent != nil {
			if s := (step{event.ResourcePreEvent.Metadata}); s.isChange() {
				steps = append(steps, s)
			}
		}
	}, "preview", "--refresh", "--save-plan", saved)
	return sorted(steps), err
}

// predictable refuses steps whose values exist only when they are made. The engine would find that they are not as planned after it
// has made others.
func predictable(stack string, steps []step) error {
	for _, s := range steps {
		if s.New == nil || s.Op == apitype.OpDelete {
			continue
		}
		if s.Type == passwordType && s.Op != apitype.OpUpdate {
			return firstUpdate(stack, nameOf(s.URN)+" is yet to be made, and what depends on it cannot be planned")
		}
		// The plugin moves what is known of stringData to data.
		if _, unknown := s.New.Inputs["stringData"]; unknown && s.Type == secretType {
			return firstUpdate(stack, s.name()+" depends on what is yet to be made, and cannot be planned")
		}
	}
	return nil
}

// summarize returns the lines that a person reviews. The fault is why an update would be refused for its images as they are now.
func summarize(f facts, steps []step, fault error) string {
	var b strings.Builder
	var counts []string
	for _, op := range slices.Sorted(maps.Keys(f.Changes)) {
		counts = append(counts, fmt.Sprintf("%d %s", f.Changes[op], op))
	}
	if len(counts) == 0 {
		counts = []string{"no changes"}
	}
	fmt.Fprintf(&b, "stack %s at commit %s: %s\n", f.Stack, short(f.Commit), strings.Join(counts, ", "))
	heading := ""
	for _, s := range steps {
		group := "other changes:"
		if s.dangerous() {
			group = "DANGEROUS, something may be lost:"
		}
		if group != heading {
			heading = group
			fmt.Fprintln(&b, heading)
		}
		fmt.Fprintf(&b, "  %s\n", s.describe())
	}
	if fault != nil {
		fmt.Fprintf(&b, "make apply refuses the images as they are now:\n  %s\n", strings.ReplaceAll(fault.Error(), "\n", "\n  "))
	}
	if f.Verify.Verify != verifySignatures {
		fmt.Fprintln(&b, notVerified+f.Verify.Reason)
	}
	if f.Verify.Verify != verifyNone {
		return b.String()
	}
	for _, path := range slices.Sorted(maps.Keys(f.Images)) {
		if image := f.Images[path]; !pinned.MatchString(image) {
			fmt.Fprintf(&b, "%s: %s is a tag, and the registry may give another image for it; write %s@sha256:...\n", path, image, image)
		}
	}
	return b.String()
}

// replaceable refuses a folder that holds anything but a plan.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the folder of the plan cannot be read: %w; write another one, such as OUT=plans/prod", err)
	}
	for _, entry := range entries {
		if !slices.Contains([]string{stepsName, factsName, summaryName}, entry.Name()) {
			return fmt.Errorf("%s: the folder holds %s, which is no part of a plan; write one that is empty or missing, such as OUT=plans/prod", dir, entry.Name())
		}
	}
	return os.RemoveAll(filepath.Join(dir, factsName)) // so that half a plan is none
}

// readPlan reads a plan, and refuses one that was changed.
func readPlan(dir string) (plan, error) {
	p := plan{dir: dir}
	text, err := os.ReadFile(filepath.Join(dir, factsName))
	if err != nil {
		return p, fmt.Errorf("%s: no plan is there: %w; make one with `make plan STACK=prod`", dir, err)
	}
	if err := json.Unmarshal(text, &p.facts); err != nil {
		return p, fmt.Errorf("%s: %w; plan again", filepath.Join(dir, factsName), err)
	}
	if p.steps, err = os.ReadFile(filepath.Join(dir, stepsName)); err != nil {
		return p, fmt.Errorf("the plan is not whole: %w; plan again", err)
	}
	if hash(p.steps) != p.facts.Steps {
		return p, fmt.Errorf("%s: not as it was written; plan again", filepath.Join(dir, stepsName))
	}
	return p, nil
}

func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
