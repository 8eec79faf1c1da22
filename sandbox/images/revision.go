package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"example.com/journal/sandbox/internal/command"
)

// semver is a version as services/VERSION holds it. A tag cannot hold a "+".
var semver = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

// revision says which content the services folder has.
type revision struct {
	version string
	// id is the last commit that changed the folder, or content if the files are not what the commit holds.
	id string
	// content is a hash of the files.
	content string
	// files are those of the folder that git knows or would take, relative to it.
	files []string
}

// tag is the tag of the images made of this content.
func (r revision) tag() string { return "v" + r.version + "-" + r.id[:12] }

// readRevision finds the revision of repo's services folder. It writes nothing into the checkout: a build by root must not
// leave files there that its owner cannot change.
func readRevision(ctx context.Context, repo string) (revision, error) {
	services := filepath.Join(repo, "services")
	version, err := os.ReadFile(filepath.Join(services, "VERSION"))
	if err != nil {
		return revision{}, fmt.Errorf("the version of the services: %w; write one such as 0.1.0 into it", err)
	}
	r := revision{version: strings.TrimSpace(string(version))}
	if !semver.MatchString(r.version) {
		return revision{}, fmt.Errorf(`services/VERSION %q: not a semantic version; write three numbers such as "0.1.0"`, r.version)
	}
	git := func(args ...string) (string, error) {
		// A checkout may belong to another user, as it does when root builds: git would refuse that.
		cmd := exec.CommandContext(ctx, "git", append([]string{"--no-optional-locks", "-c", "safe.directory=*"}, args...)...)
		cmd.Dir = repo
		// In a hook, git's own variables point elsewhere.
		cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GIT_") })
		out, err := command.Output(cmd)
		return strings.TrimSpace(out), err
	}
	prefix, err := git("rev-parse", "--show-prefix")
	if errors.Is(err, exec.ErrNotFound) {
		return revision{}, fmt.Errorf("git is not on PATH: install it; tags of images name a git revision: %w", err)
	}
	if err != nil || prefix != "" {
		return revision{}, fmt.Errorf("%s is not the top of a git checkout, and tags of images name a git revision: clone the repository instead of copying its files, or run `git init` there", repo)
	}
	listed, err := git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", "services")
	if err != nil {
		return revision{}, err
	}
	hash := sha256.New()
	for _, name := range slices.Sorted(strings.SplitSeq(strings.Trim(listed, "\x00"), "\x00")) {
		content, err := os.ReadFile(filepath.Join(repo, name))
		if errors.Is(err, fs.ErrNotExist) { // deleted, and not committed
			continue
		}
		if err != nil {
			return revision{}, err
		}
		name = strings.TrimPrefix(name, "services/")
		r.files = append(r.files, name)
		fmt.Fprintf(hash, "%q %x\n", name, sha256.Sum256(content))
	}
	r.content = hex.EncodeToString(hash.Sum(nil))
	r.id = r.content
	changes, err := git("status", "--porcelain", "--", "services")
	if err != nil || changes != "" {
		return r, err
	}
	// There may be no commit of the folder, where git ignores it.
	if commit, err := git("log", "-1", "--format=%H", "HEAD", "--", "services"); err == nil && commit != "" {
		r.id = commit
	}
	return r, nil
}
