package images

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
	"golang.org/x/mod/sumdb/dirhash"

	"example.com/journal/sandbox/internal/command"
)

// revision identifies the content of the services folder.
type revision struct {
	version string
	// id is the last commit that changed the folder, or content if the files differ from that commit.
	id string
	// content is a hash of the files.
	content string
	// files are the files of the folder that git tracks or would add, relative to the checkout.
	files []string
}

// tag is the tag of the images made of this content.
func (r revision) tag() string { return "v" + r.version + "-" + r.id[:12] }

// readRevision finds the revision of repo's services folder. It writes nothing into the checkout, because files written by root
// could not be changed by its owner.
func readRevision(ctx context.Context, repo string) (revision, error) {
	text, err := os.ReadFile(filepath.Join(repo, "services", "VERSION"))
	if err != nil {
		return revision{}, fmt.Errorf("the version of the services: %w; write one such as 0.1.0 into it", err)
	}
	r := revision{version: strings.TrimSpace(string(text))}
	if semver.Canonical("v"+r.version) != "v"+r.version { // a version without "+", which a tag cannot contain
		return revision{}, fmt.Errorf(`services/VERSION %q: not a semantic version; write three numbers such as "0.1.0"`, r.version)
	}
	git := func(args ...string) (string, error) {
		// When root builds, another user may own the checkout, which git would refuse.
		cmd := exec.CommandContext(ctx, "git", append([]string{"--no-optional-locks", "-c", "safe.directory=*"}, args...)...)
		cmd.Dir = repo
		// In a hook, git's own variables point elsewhere.
		cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GIT_") })
		out, err := command.Output(cmd)
		return strings.TrimSpace(out), err
	}
	prefix, err := git("rev-parse", "--show-prefix")
	if err == nil && prefix != "" {
		err = fmt.Errorf("it is the folder %s of one", prefix)
	}
	if err != nil {
		return revision{}, fmt.Errorf("%s is not the top of a git checkout, and tags of images name a git revision: clone the repository instead of copying its files, or run `git init` there: %w", repo, err)
	}
	listed, err := git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", "services")
	if err != nil {
		return revision{}, err
	}
	r.files = slices.DeleteFunc(strings.FieldsFunc(listed, func(r rune) bool { return r == 0 }), func(name string) bool {
		_, err := os.Lstat(filepath.Join(repo, name))
		return err != nil // deleted, and not committed
	})
	hash, err := dirhash.Hash1(r.files, func(name string) (io.ReadCloser, error) { return os.Open(filepath.Join(repo, name)) })
	if err != nil {
		return revision{}, err
	}
	r.content = fmt.Sprintf("%x", sha256.Sum256([]byte(hash))) // in characters that a tag may contain
	r.id = r.content
	changes, err := git("status", "--porcelain", "--", "services")
	if err != nil || changes != "" {
		return r, err
	}
	// The folder may have no commit if git ignores it.
	if commit, err := git("log", "-1", "--format=%H", "HEAD", "--", "services"); err == nil && commit != "" {
		r.id = commit
	}
	return r, nil
}
