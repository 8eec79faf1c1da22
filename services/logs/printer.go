package main

import (
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"

	"golang.org/x/term"
)

// printer writes lines for a person or a program. Several goroutines may use it.
type printer struct {
	out io.Writer
	// json writes the store's objects; otherwise lines are written as text.
	json bool
	// colour gives each pod one of six colours.
	colour bool
	// namespaces writes the namespace before the pod.
	namespaces bool

	mu sync.Mutex
}

// isTerminal reports whether a person reads what is written there.
func isTerminal(out io.Writer) bool {
	file, isFile := out.(*os.File)
	return isFile && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(file.Fd()))
}

// print writes one line. What a pod wrote is somebody else's input: no character of it moves the cursor, changes a colour or
// reverses the order of reading, in either form.
func (p *printer) print(r row) error {
	text := escapeJSON(string(r.object))
	if !p.json && !r.Time.IsZero() { // a query may give other objects than lines
		who := escape(r.Pod + "/" + r.Container)
		if p.namespaces {
			who = escape(r.Namespace) + "/" + who
		}
		if p.colour {
			sum := fnv.New32a()
			_, _ = io.WriteString(sum, r.Pod) // It never fails.
			who = fmt.Sprintf("\x1b[3%dm%s\x1b[0m", 1+sum.Sum32()%6, who)
		}
		text = fmt.Sprintf("%s %s %s", r.Time.UTC().Format("2006-01-02T15:04:05.000Z"), who, escape(r.Text))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := fmt.Fprintln(p.out, text)
	return err
}

// escape writes every character that is not seen as Go and JSON write it, such as \x1b. Tabs stay.
func escape(text string) string {
	return replace(text, func(r rune) string {
		quoted := strconv.QuoteRuneToGraphic(r)
		return quoted[1 : len(quoted)-1]
	})
}

// escapeJSON writes the same characters in a text in JSON as JSON does, so that it means the same.
func escapeJSON(text string) string {
	return replace(text, func(r rune) (escaped string) {
		for _, unit := range utf16.AppendRune(nil, r) {
			escaped += fmt.Sprintf(`\u%04x`, unit)
		}
		return escaped
	})
}

// replace replaces the characters that are not seen.
func replace(text string, with func(rune) string) string {
	var out strings.Builder
	for _, r := range text {
		if r == '\t' || strconv.IsGraphic(r) {
			out.WriteRune(r)
		} else {
			out.WriteString(with(r))
		}
	}
	return out.String()
}
