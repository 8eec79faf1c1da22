package main

import (
	"fmt"
	"regexp"
	"strings"
)

// What an expression may have in it. The store bounds what it takes to read series, and not what an expression makes of them, nor how
// long it takes to parse it: one query of a few hundred bytes could use up its memory for all.
const (
	// maxExpression is the length of an expression, in bytes.
	maxExpression = 4 << 10
	// maxParts is how many names, numbers and texts it may have, without what is in braces, in brackets and in lists of labels.
	maxParts = 32
	// maxRelabels is how many functions it may have that make a label of another, and maxReferences how many $ in its texts. Within
	// each other, each makes the label longer by as much again, and the store ends at a label of more than 64 KiB.
	maxRelabels, maxReferences = 2, 4
)

var (
	// harmful are functions of which a few take all of the store's memory. The store replaces with, ru and ttf by what they stand
	// for, with their arguments in it more than once, before it looks at the clock; limit_offset ends it if the offset is no number;
	// the others make a series of every value, or a label of any length.
	harmful = regexp.MustCompile(
		`(?i)(with|ru|ttf|count_values|count_values_over_time|histogram_over_time|quantiles_over_time|` +
			`label_join|label_transform|label_graphite_group|limit_offset)[\s\v]*\(`)
	relabels   = regexp.MustCompile(`(?i)label_replace[\s\v]*\(`)
	braces     = regexp.MustCompile(`\{[^{}]*\}`)
	brackets   = regexp.MustCompile(`\[[^\[\]]*\]`)
	labelLists = regexp.MustCompile(`(?i)\b(by|without|on|ignoring|group_left|group_right)[\s\v]*\([\w\s\v,]*\)`)
	part       = regexp.MustCompile(`[\p{L}\w.:]*\{\}|[\p{L}\w.:]+|""`)
)

// expression is the rule of MetricsQL. What it does not say, the store does.
func expression(query string) string {
	code, plain := codeOf(query)
	rest := brackets.ReplaceAllString(braces.ReplaceAllString(code, "{}"), "")
	switch {
	case len(query) > maxExpression:
		return fmt.Sprintf("must have %d bytes at most", maxExpression)
	case !plain:
		return `must have backslashes in quotes only; write such a name as {__name__="name"}`
	case harmful.MatchString(code):
		return "must be without " + strings.ToLower(harmful.FindStringSubmatch(code)[1]) +
			", which can take all of the store's memory or end it; write out what it stands for, or group by a label"
	case len(relabels.FindAllString(code, maxRelabels+1)) > maxRelabels || strings.Count(query, "$") > maxReferences:
		return fmt.Sprintf("must have label_replace %d times at most, and $ %d times", maxRelabels, maxReferences)
	case len(part.FindAllString(labelLists.ReplaceAllString(rest, ""), maxParts+1)) > maxParts:
		return fmt.Sprintf("must have %d names, numbers and texts at most, without those in {}, in [] and in lists of labels;"+
			" ask for its parts after each other", maxParts)
	case strings.Contains(query, "__graphite__"):
		return "must be without __graphite__; write labels"
	}
	return ""
}

// codeOf returns a query with every text in it as "" and without comments, and whether no name in it is written with a backslash. It
// reads as the store does up to the first such backslash.
func codeOf(query string) (code string, plain bool) {
	var out strings.Builder
	for i := 0; i < len(query); i++ {
		switch c := query[i]; c {
		case '\\':
			return "", false
		case '#':
			end := strings.IndexByte(query[i:], '\n')
			if end < 0 {
				return out.String(), true
			}
			i += end
			out.WriteByte('\n')
		case '"', '\'', '`':
			i += quoted(query[i:]) - 1
			out.WriteString(`""`)
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), true
}

// quoted returns the length of the text in quotes at the beginning. In each kind of quotes, a backslash is before what does not end it.
func quoted(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case text[0]:
			return i + 1
		}
	}
	return len(text) // the store refuses it
}
