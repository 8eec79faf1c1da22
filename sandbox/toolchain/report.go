package toolchain

import (
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"sync"
	"time"
)

// reportInterval is the time between two lines of progress.
const reportInterval = 10 * time.Second

// reporter says how far a build is. It counts source files: their number is closer to the time that a package takes than their
// size. It remembers the packages that were compiled in a file, as a build that goes on where another was interrupted
// has less to do.
type reporter struct {
	out     io.Writer
	file    *os.File
	finish  chan struct{}
	stopped sync.WaitGroup

	mu          sync.Mutex
	began       time.Time
	downloaded  int
	files, left map[string]int // how many each package has, and those that are to compile; nil until the packages are known
	before, of  int            // files and packages that were left when this build began to compile
}

func newReporter(out io.Writer, file string) *reporter {
	r := &reporter{out: out, finish: make(chan struct{}), began: time.Now()}
	r.file, _ = os.OpenFile(file, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600) // without it, the estimate is worse
	r.say()
	r.stopped.Go(func() {
		for {
			select {
			case <-r.finish:
				return
			case <-time.After(reportInterval):
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

// compiles tells what there is to compile: the number of files of each package.
func (r *reporter) compiles(files map[string]int) {
	left := maps.Clone(files)
	done, _ := io.ReadAll(r.file)
	for name := range strings.FieldsSeq(string(done)) {
		delete(left, name)
	}
	r.mu.Lock()
	r.files, r.left, r.before, r.of, r.began = files, left, sum(left), len(left), time.Now()
	r.mu.Unlock()
	r.say()
}

// counts notes a module that the go command says it downloads, or a package that it compiles, and says whether the line is one of
// these. A package that was thought to be compiled is named again when the build cache was cleaned.
func (r *reporter) counts(line string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if strings.HasPrefix(line, "go: downloading") {
		r.downloaded++
		return true
	}
	if _, left := r.left[line]; left {
		delete(r.left, line)
		_, _ = fmt.Fprintln(r.file, line)
	}
	_, known := r.files[line]
	return known
}

// say prints a line.
func (r *reporter) say() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.files == nil {
		fmt.Fprintf(r.out, "0 %%: %d modules downloaded\n", r.downloaded)
		return
	}
	left, all, estimate := sum(r.left), sum(r.files), ""
	if left < r.before {
		rest := time.Since(r.began).Seconds() / float64(r.before-left) * float64(left)
		estimate = fmt.Sprintf(", about %s left", time.Duration(rest*float64(time.Second)).Round(10*time.Second))
	}
	fmt.Fprintf(r.out, "%d %%: %d of %d packages to compile%s\n", 100*(all-left)/max(all, 1), len(r.left), r.of, estimate)
}

func sum(files map[string]int) (total int) {
	for _, count := range files {
		total += count
	}
	return total
}
