package main

import (
	"fmt"
	"hash/fnv"
	"io"
	"sync"

	"example.com/journal/services/internal/observe"
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

// print writes one line, with no character of it unseen, in either form.
func (p *printer) print(r row) error {
	text := observe.EscapeJSON(string(r.object))
	if !p.json && !r.Time.IsZero() { // a query may give other objects than lines
		who := observe.Escape(r.Pod + "/" + r.Container)
		if p.namespaces {
			who = observe.Escape(r.Namespace) + "/" + who
		}
		if p.colour {
			sum := fnv.New32a()
			_, _ = io.WriteString(sum, r.Pod) // It never fails.
			who = fmt.Sprintf("\x1b[3%dm%s\x1b[0m", 1+sum.Sum32()%6, who)
		}
		text = fmt.Sprintf("%s %s %s", r.Time.UTC().Format("2006-01-02T15:04:05.000Z"), who, observe.Escape(r.Text))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := fmt.Fprintln(p.out, text)
	return err
}
