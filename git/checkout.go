package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// The bounds of what is checked out, with all submodules: those of an uploaded context.
const (
	maxCheckoutBytes  = 4 << 30
	maxCheckoutFiles  = 200_000
	maxSubmodules     = 1000
	maxSubmoduleDepth = 20
)

// maxPackBlocks bounds what one fetch may write to a file, in units of 512 bytes: what is packed takes no more than its files.
const maxPackBlocks = maxCheckoutBytes / 512

// TooLargeError tells that a commit has more files than are checked out.
type TooLargeError struct{}

// Error gives the bounds.
func (*TooLargeError) Error() string {
	return fmt.Sprintf("the commit, with its submodules, has more than %d files or %d bytes", maxCheckoutFiles, int64(maxCheckoutBytes))
}

// checkout is what Checkout has done so far.
type checkout struct {
	policy     messages.Submodules
	own        *way   // to the repository itself
	work       string // folder for all that is needed
	fetches    int
	files      int
	bytes      int64
	submodules int
}

// Checkout fetches a commit of a remote with its submodules, into a folder that it makes in work, and returns that folder. No file of git's
// own is in it, and no filter is run that a commit or this machine's configuration names, such as Git LFS's. It ends with
// ctx. Errors are those of Head, a *SubmoduleError, or a *TooLargeError.
func Checkout(ctx context.Context, r Remote, commit, work string, policy messages.Submodules) (string, error) {
	c := &checkout{policy: policy, work: work}
	files := filepath.Join(work, "files")
	err := messages.CheckRepository(r.URL)
	if err != nil {
		err = fmt.Errorf("repository: %w", err)
	} else if err = messages.CheckCommit(commit); err == nil {
		err = os.Mkdir(files, 0o755)
	}
	if err == nil {
		c.own, err = r.open(ctx)
	}
	if err == nil {
		err = c.take(ctx, c.own, commit, place{dir: files})
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", fmt.Errorf("fetching %s of %s: %w", commit, r.URL, err)
	}
	return files, nil
}

// place is where a repository is checked out.
type place struct {
	dir   string
	path  string // in the first repository; "" for itself
	depth int
}

// clone is a bare repository that has a commit.
type clone struct {
	*way
	dir string
}

// git runs git in a clone, without what this machine's configuration says, and writes what it prints.
func (c *clone) git(ctx context.Context, out io.Writer, more []string, args ...string) error {
	env := append([]string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull}, more...)
	said, err := c.start(ctx, out, env, "sh", append([]string{"-c", `umask 022 && exec git --git-dir="$0" "$@"`, c.dir}, args...)...)
	return c.failure(ctx, said, err)
}

// take fetches and writes one repository, and then its submodules.
func (c *checkout) take(ctx context.Context, w *way, commit string, to place) error {
	c.fetches++
	cl := &clone{w, filepath.Join(c.work, "git"+strconv.Itoa(c.fetches))}
	defer os.RemoveAll(cl.dir)
	if err := cl.fetch(ctx, commit); err != nil {
		return err
	}
	links, err := c.list(ctx, cl, commit)
	if err != nil {
		return err
	}
	// The index is git's, in the clone.
	if err := cl.git(ctx, io.Discard, nil, "--work-tree="+to.dir, "read-tree", "--reset", "-u", commit); err != nil {
		return err
	}
	if len(links) == 0 || c.policy == messages.SubmodulesNone {
		return nil
	}
	return c.takeSubmodules(ctx, cl, commit, to, links)
}

// fetch makes the clone, and fetches the commit without its history where the host can leave that out.
func (c *clone) fetch(ctx context.Context, commit string) error {
	format := "sha1"
	if len(commit) > 40 {
		format = "sha256"
	}
	if err := c.git(ctx, io.Discard, nil, "init", "--quiet", "--bare", "--template=", "--object-format="+format); err != nil {
		return err
	}
	said, err := c.fetchRefs(ctx, "--depth=1", commit)
	if err != nil && strings.Contains(said, "shallow") { // a plain web server
		said, err = c.fetchRefs(ctx, "--no-tags", commit)
	}
	if errors.Is(err, ErrNoCommit) && strings.Contains(said, unadvertised) {
		_, err = c.fetchRefs(ctx, "--no-tags", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
	}
	if err != nil {
		return err
	}
	if err := c.git(ctx, io.Discard, nil, "cat-file", "-e", commit+"^{commit}"); err != nil {
		return fmt.Errorf("%w: %s is not among its branches and tags", ErrNoCommit, commit)
	}
	return nil
}

// fetchRefs fetches, and returns what git said.
func (c *clone) fetchRefs(ctx context.Context, option string, refs ...string) (said string, err error) {
	limited := fmt.Sprintf(`ulimit -f %d && exec git --git-dir="$0" "$@"`, maxPackBlocks)
	err = c.follow(ctx, func() error {
		args := append([]string{
			"-c", limited, c.dir, "-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.hooksPath=" + os.DevNull,
			"fetch", "--quiet", option, "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", c.address,
		}, refs...)
		said, err = c.start(ctx, io.Discard, nil, "sh", args...)
		return c.failure(ctx, said, err)
	})
	return said, err
}

// link is a submodule in a tree: a path, and the commit that belongs there.
type link struct{ path, commit string }

// list counts what a commit has, and returns its submodules.
func (c *checkout) list(ctx context.Context, cl *clone, commit string) ([]link, error) {
	l := &listing{checkout: c}
	err := cl.git(ctx, l, nil, "ls-tree", "-r", "-l", "-z", "--full-tree", commit)
	if l.err != nil {
		err = l.err
	}
	return l.links, err
}

// listing reads what git ls-tree prints.
type listing struct {
	*checkout
	rest  []byte
	links []link
	err   error
}

// Write takes in what is printed, and refuses more once the bounds are passed, which ends git.
func (l *listing) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for l.err == nil {
		entry, rest, ok := bytes.Cut(l.rest, []byte{0})
		if !ok {
			return len(b), nil
		}
		l.rest = rest
		l.entry(string(entry))
	}
	return 0, l.err
}

// entry takes in one: MODE TYPE OBJECT SIZE, a tab, and the path.
func (l *listing) entry(text string) {
	about, path, _ := strings.Cut(text, "\t")
	fields := strings.Fields(about)
	if len(fields) != 4 {
		l.err = fmt.Errorf("git lists %q", clip(text))
		return
	}
	l.files++
	if fields[0] == "160000" {
		l.links = append(l.links, link{path, fields[2]})
	} else if n, err := strconv.ParseInt(fields[3], 10, 64); err == nil {
		l.bytes += n
	}
	if l.files > maxCheckoutFiles || l.bytes > maxCheckoutBytes {
		l.err = &TooLargeError{}
	}
}
