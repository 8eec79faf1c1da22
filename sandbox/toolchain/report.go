package toolchain

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	// reportInterval is the time between two lines of progress.
	reportInterval = 10 * time.Second
	// usualRate is how many units of work a core does in a second, until it is known of this machine. A unit is a kilobyte of source.
	usualRate = 145
	// usualWork is about how much there is to do the first time, until the packages are known.
	usualWork = 133_000
	// dearSource is the code of Pulumi's Go SDK for Kubernetes, whose generated generics cost dearFactor times as much as other code.
	dearSource, dearFactor = "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/", 5
)

// listed is a package that is to be compiled.
type listed struct {
	name, dir string
	files     []string
}

// work is how much there is to do for the package.
func (p listed) work() int64 {
	var size int64
	for _, file := range p.files {
		if info, err := os.Stat(filepath.Join(p.dir, file)); err == nil {
			size += info.Size()
		}
	}
	if strings.HasPrefix(p.name, dearSource) {
		size *= dearFactor
	}
	return size/1000 + 1
}

// reporter says how far a build is. It remembers the packages that were compiled in a file, as a build that goes on where
// another was interrupted has less to do.
type reporter struct {
	out     io.Writer
	file    *os.File
	finish  chan struct{}
	stopped sync.WaitGroup

	mu         sync.Mutex
	began      time.Time
	downloaded int
	packages   map[string]bool  // all of them
	work       map[string]int64 // by package, of what is not compiled; nil until the packages are known
	left, all  int64
	before     int64 // what was left when this build began to compile
	count      int   // packages that are not compiled
}

func newReporter(out io.Writer, file string) *reporter {
	r := &reporter{out: out, finish: make(chan struct{}), began: time.Now()}
	r.file, _ = os.OpenFile(file, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600) // without it, the estimate is worse
	r.say()
	r.stopped.Go(func() {
		tick := time.NewTicker(reportInterval)
		defer tick.Stop()
		for {
			select {
			case <-r.finish:
				return
			case <-tick.C:
				r.say()
			}
		}
	})
	return r
}

func (r *reporter) stop() {
	close(r.finish)
	r.stopped.Wait()
	_ = r.file.Close()
}

// downloads counts the modules that the go command says it downloads, and says whether the line is one of these.
func (r *reporter) downloads(line string) bool {
	if !strings.HasPrefix(line, "go: downloading") {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.downloaded++
	return true
}

// compiles tells what there is to compile.
func (r *reporter) compiles(packages []listed) {
	done := map[string]bool{}
	if text, err := io.ReadAll(r.file); err == nil {
		for line := range strings.Lines(string(text)) {
			done[strings.TrimSpace(line)] = true
		}
	}
	r.mu.Lock()
	r.work, r.packages = map[string]int64{}, map[string]bool{}
	for _, p := range packages {
		work := p.work()
		r.all += work
		r.packages[p.name] = true
		if !done[p.name] {
			r.work[p.name] = work
			r.left += work
		}
	}
	r.count, r.before, r.began = len(r.work), r.left, time.Now()
	r.mu.Unlock()
	r.say()
}

// compiled notes a package that the go command says it compiles, and says whether the line names one. A package that was thought to be
// compiled is named again when the build cache was cleaned.
func (r *reporter) compiled(line string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if work, known := r.work[line]; known {
		delete(r.work, line)
		r.left -= work
		_, _ = fmt.Fprintln(r.file, line)
	}
	return r.packages[line]
}

// say prints a line.
func (r *reporter) say() {
	r.mu.Lock()
	defer r.mu.Unlock()
	usual := usualRate * float64(min(runtime.NumCPU(), 8))
	if r.work == nil {
		fmt.Fprintf(r.out, "0 %%: %d modules downloaded, about %s left\n", r.downloaded, round(usualWork/usual))
		return
	}
	// The usual rate counts as the first minute of measurement.
	const prior = 60
	rate := (float64(r.before-r.left) + usual*prior) / (time.Since(r.began).Seconds() + prior)
	fmt.Fprintf(r.out, "%d %%: %d of %d packages to compile, about %s left\n",
		100*(r.all-r.left)/max(r.all, 1), len(r.work), r.count, round(float64(r.left)/rate))
}

func round(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(10 * time.Second)
}
