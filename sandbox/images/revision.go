package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// semver is a version as services/VERSION holds it. A tag cannot hold a "+".
var semver = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

// revision says which content the services folder has.
type revision struct {
	version string
	// id is the last commit that changed the folder, or the git tree of its files if these are not what the commit holds.
	id string
	// tree is the git tree of the files in either case.
	tree string
	// files are those of the folder that git knows or would take, relative to it.
	files []string
}

// tag is the tag of the images made of this content.
func (r revision) tag() string { return "v" + r.version + "-" + r.id[:12] }

// readRevision finds the revision of repo's services folder. It writes nothing into the checkout: a build by root must not
// leave files there that its owner cannot change.
func readRevision(ctx context.Context, repo string) (revision, error) {
	version, err := os.ReadFile(filepath.Join(repo, "services", "VERSION"))
	if err != nil {
		return revision{}, fmt.Errorf("the version of the services: %w; write one such as 0.1.0 into it", err)
	}
	r := revision{version: strings.TrimSpace(string(version))}
	if !semver.MatchString(r.version) {
		return revision{}, fmt.Errorf(`services/VERSION %q: not a semantic version; write three numbers such as "0.1.0"`, r.version)
	}
	git, done, err := openRepository(ctx, repo)
	if err != nil {
		return revision{}, err
	}
	defer done()
	if _, err := git.run(ctx, "add", "--", "services"); err != nil {
		return revision{}, err
	}
	listed, err := git.run(ctx, "ls-files", "-z", "--", "services")
	if err != nil {
		return revision{}, err
	}
	for name := range strings.SplitSeq(strings.TrimRight(listed, "\x00"), "\x00") {
		r.files = append(r.files, strings.TrimPrefix(name, "services/"))
	}
	if r.tree, err = git.run(ctx, "write-tree", "--prefix=services/"); err != nil {
		return revision{}, err
	}
	r.id = r.tree
	// An error says that there is no commit yet, or none with this folder.
	if committed, err := git.run(ctx, "rev-parse", "--verify", "--quiet", "HEAD:services"); err == nil && committed == r.tree {
		if r.id, err = git.run(ctx, "log", "-1", "--format=%H", "HEAD", "--", "services"); err != nil {
			return revision{}, err
		}
	}
	return r, nil
}

// repository runs git on a checkout with an index and an object store of its own.
type repository struct {
	repo string
	env  []string
}

func openRepository(ctx context.Context, repo string) (_ *repository, done func(), err error) {
	repo, err = filepath.Abs(repo)
	if err == nil {
		repo, err = filepath.EvalSymlinks(repo)
	}
	if err != nil {
		return nil, nil, err
	}
	g := &repository{repo: repo}
	for _, v := range os.Environ() {
		// In a hook, git's own variables point elsewhere.
		if !strings.HasPrefix(v, "GIT_") {
			g.env = append(g.env, v)
		}
	}
	top, err := g.run(ctx, "rev-parse", "--show-toplevel")
	if errors.Is(err, exec.ErrNotFound) {
		return nil, nil, fmt.Errorf("git is not on PATH: install it; tags of images name a git revision: %w", err)
	}
	if err != nil || top != repo {
		return nil, nil, fmt.Errorf("%s is not the top of a git checkout, and tags of images name a git revision: clone the repository instead of copying its files, or run `git init` there", repo)
	}
	objects, err := g.run(ctx, "rev-parse", "--path-format=absolute", "--git-path", "objects")
	if err != nil {
		return nil, nil, err
	}
	work, err := os.MkdirTemp("", "journal-revision-")
	if err != nil {
		return nil, nil, err
	}
	g.env = append(g.env, "GIT_INDEX_FILE="+filepath.Join(work, "index"),
		"GIT_OBJECT_DIRECTORY="+filepath.Join(work, "objects"), "GIT_ALTERNATE_OBJECT_DIRECTORIES="+objects)
	done = func() { _ = os.RemoveAll(work) }
	if err := os.Mkdir(filepath.Join(work, "objects"), 0o700); err != nil {
		done()
		return nil, nil, err
	}
	return g, done, nil
}

func (g *repository) run(ctx context.Context, args ...string) (string, error) {
	// A checkout may belong to another user, as it does when root builds: git would refuse that.
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "safe.directory=" + g.repo}, args...)...)
	cmd.Dir = g.repo
	cmd.Env = g.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}
