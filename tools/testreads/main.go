// Command testreads runs a test binary as `go test -exec` does, and fails if the tests have read files of the repository that
// Go's test cache does not look at: those outside of the module, named in a way that does not begin with the module's folder.
// A change of such a file would leave a cached result as it is. What programs read that tests start is not seen.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		exit := new(exec.ExitError)
		if errors.As(err, &exit) {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "testreads:", err)
		os.Exit(1)
	}
}

// run runs a test binary in the current folder, which is its package's.
func run(args []string) error {
	if len(args) == 0 {
		return errors.New("no program: must be called by go test -exec testreads")
	}
	folder, err := os.Getwd()
	if err != nil {
		return err
	}
	module, err := above(folder, "go.mod")
	if err != nil {
		return err
	}
	repository, err := above(folder, ".git")
	if err != nil {
		return err
	}
	temporary, err := os.MkdirTemp("", "testreads-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	log := filepath.Join(temporary, "log")
	cmd := exec.Command(args[0], append(args[1:], "-test.testlogfile="+log)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	text, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	if unseen := unseen(string(text), folder, module, repository); len(unseen) > 0 {
		return fmt.Errorf(`go's test cache does not see that tests read %s; use os.DirFS(os.Getenv("PWD") + "/../..")`, strings.Join(unseen, ", "))
	}
	return nil
}

// unseen returns the files of the repository that are in a test's log, and that the test cache leaves out.
func unseen(log, folder, module, repository string) []string {
	seen, read := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(log) {
		operation, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if operation == "chdir" {
			folder = name
		}
		if operation != "open" && operation != "stat" {
			continue
		}
		if !filepath.IsAbs(name) {
			name = filepath.Join(folder, name)
		}
		file := filepath.Clean(name)
		if strings.HasPrefix(name+"/", module+"/") {
			seen[file] = true
		} else if strings.HasPrefix(file, repository+"/") {
			read[file] = true
		}
	}
	var files []string
	for file := range read {
		if !seen[file] {
			files = append(files, strings.TrimPrefix(file, repository+"/"))
		}
	}
	slices.Sort(files)
	return files
}

// above returns the nearest folder, from one upward, that has a file of a name.
func above(folder, name string) (string, error) {
	for dir := folder; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("there is no %s in %s or above: must be run in a package of a checkout", name, folder)
		}
	}
}
