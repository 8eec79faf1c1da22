package main

import (
	"fmt"
	"html"
	"strings"
)

const (
	// marker begins the comment, so that the next run finds it.
	marker = "<!-- render-diff -->\n"
	// commentSize is how many characters GitHub takes in a comment. Bytes are counted, which are no fewer.
	commentSize = 65_536
	unlimited   = 1 << 40
	// listed is how many objects a list names at most.
	listed = 50
	// saidAtMost is how much of an error is shown, in bytes.
	saidAtMost = 8_000
)

// page is the text of a change.
type page struct {
	// base is the commit that the change is compared with.
	base   string
	stacks []stackDiff
}

// headings are the words for what happens to objects, with what they mean.
var headings = map[what]string{
	deleted:       "🔴 **%d deleted**",
	replaced:      "🔴 **%d changed in a field that Kubernetes does not change**: the update fails, or the object is deleted and made anew",
	changedRights: "🟠 **%d about rights, networks or quotas**",
	changed:       "%d changed",
	added:         "%d new",
}

// markdown returns the text in at most so many bytes: first the lists of all stacks, then the lines, as many as there is room for.
func (p page) markdown(size int) string {
	var b strings.Builder
	b.WriteString(marker)
	fmt.Fprintf(&b, "## What this changes in the cluster\n\nThe objects of `make render`, compared with %s.\n", side{commit: p.base})
	for _, s := range p.stacks {
		s.summary(&b)
	}
	var rest []string
	for kind := deleted; kind <= added; kind++ { // so that what is cut is the least dangerous of all stacks
		for _, s := range p.stacks {
			for _, o := range s.of(kind) {
				rest = append(rest, o.details(s.name))
			}
		}
	}
	const end = "\n%d objects have no room here: `make render-diff` prints all.\n"
	for i, text := range rest {
		if b.Len()+len(text)+len(end)+10 > size {
			fmt.Fprintf(&b, end, len(rest)-i)
			break
		}
		b.WriteString(text)
	}
	return b.String()
}

// of returns the objects to which this happens.
func (s stackDiff) of(kind what) (some []objectDiff) {
	for _, o := range s.objects {
		if o.what == kind {
			some = append(some, o)
		}
	}
	return some
}

// summary writes what happens to a stack, without lines.
func (s stackDiff) summary(b *strings.Builder) {
	fmt.Fprintf(b, "\n### %s\n\n", s.name)
	if s.refused != "" {
		fmt.Fprintf(b, "🔴 **It cannot be rendered:**\n\n%s\n", fenced("text", cut(s.refused)))
	}
	if s.refusedBefore != "" {
		fmt.Fprintf(b, "It could not be rendered before this change, so everything is new:\n\n%s\n", fenced("text", cut(s.refusedBefore)))
	}
	if s.refused == "" && len(s.objects) == 0 {
		b.WriteString("Nothing changes.\n")
	}
	for kind := deleted; kind <= added; kind++ {
		some := s.of(kind)
		if len(some) == 0 {
			continue
		}
		fmt.Fprintf(b, headings[kind]+"\n\n", len(some))
		for i, o := range some {
			if i == listed {
				fmt.Fprintf(b, "- and %d more\n", len(some)-listed)
				break
			}
			fmt.Fprintf(b, "- %s\n", o.line())
		}
		b.WriteString("\n")
	}
	s.notShown(b)
}

// notShown says which keys are not compared.
func (s stackDiff) notShown(b *strings.Builder) {
	if len(s.leftOut) == 0 {
		return
	}
	var all, changed []string
	for _, key := range s.leftOut {
		all = append(all, "`"+key.name+"`")
		if key.changed {
			changed = append(changed, "`"+key.name+"`")
		}
	}
	fmt.Fprintf(b, "\nWithout %s, which need Pulumi's state: their objects are in `stacks/testdata/%s.yaml`.", strings.Join(all, ", "), s.name)
	if len(changed) > 0 {
		fmt.Fprintf(b, " **The change sets %s.**", strings.Join(changed, ", "))
	}
	b.WriteString("\n")
}

// line is one line about an object.
func (o objectDiff) line() string {
	line := code(strings.TrimSuffix(o.path, ".yaml"))
	if o.what == deleted && (o.kind == "Namespace" || o.kind == "CustomResourceDefinition" || o.kind == "PersistentVolumeClaim") {
		line += ": **with all that is in it**"
	}
	if len(o.immutable) > 0 {
		var fields []string
		for _, field := range o.immutable {
			fields = append(fields, code(field))
		}
		line += ": " + strings.Join(fields, ", ")
	}
	return line
}

// details are the changed lines of an object, folded.
func (o objectDiff) details(stack string) string {
	return fmt.Sprintf("\n<details><summary>%s: %s</summary>\n\n%s\n</details>\n",
		html.EscapeString(stack), html.EscapeString(strings.TrimSuffix(o.path, ".yaml")), fenced("diff", o.lines))
}

// code is a text in one line of code. No name of Kubernetes has a backtick.
func code(text string) string {
	return "`" + strings.NewReplacer("`", "'", "\n", " ").Replace(text) + "`"
}

// fenced is a text as a block that nothing in it ends.
func fenced(language, text string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + language + "\n" + strings.TrimSuffix(text, "\n") + "\n" + fence
}

// cut shortens what a program has said.
func cut(text string) string {
	if len(text) <= saidAtMost {
		return text
	}
	return strings.ToValidUTF8(text[:saidAtMost], "") + "\n…"
}
