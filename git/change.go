package git

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// Change is what a push made of a branch.
type Change struct {
	Paths   []string // of the files that differ between the two commits; a renamed one by both names
	Message string   // of the later commit
}

// maxFetchBlocks bounds what a comparison may fetch, in units of 512 bytes: 64 MB. Of a host that leaves out the files'
// contents when asked to, as all of today's do, that is the folders of some million files.
const maxFetchBlocks = 128 << 10

// Compare finds what differs between two commits of a remote. Neither history nor, where the host can leave them out,
// the files' contents are fetched. With before "" only the message is found. It ends with its context, or after Timeout.
// Errors are those of Head, but ErrNoBranch; ErrNoCommit tells that the host has not, or doesn't give out, one of the two.
func Compare(ctx context.Context, r Remote, before, after string) (Change, error) {
	c, err := r.compare(ctx, before, after, maxFetchBlocks)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return Change{}, fmt.Errorf("comparing commits of %s: %w", r.URL, err)
	}
	return c, nil
}

func (r Remote) compare(ctx context.Context, before, after string, blocks int) (Change, error) {
	if err := messages.CheckRepository(r.URL); err != nil {
		return Change{}, fmt.Errorf("repository: %w", err)
	}
	commits := []string{after}
	if before != "" {
		commits = append(commits, before)
	}
	for _, c := range commits {
		if err := messages.CheckCommit(c); err != nil {
			return Change{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	in, done, err := r.fetched(ctx, blocks, []string{"--depth=1", "--filter=blob:none"}, commits...)
	if err != nil {
		return Change{}, err
	}
	defer done()
	var c Change
	if c.Message, err = in("show", "--no-patch", "--format=%B", after, "--"); err != nil || before == "" {
		return c, err
	}
	listed, err := in("diff-tree", "-r", "-z", "--no-renames", "--name-only", before, after, "--")
	if err != nil {
		return Change{}, err
	}
	if len(listed) >= maxOutput {
		return Change{}, fmt.Errorf("the names of the files that differ are more than %d bytes", maxOutput)
	}
	if listed = strings.TrimSuffix(listed, "\x00"); listed != "" {
		c.Paths = strings.Split(listed, "\x00")
	}
	return c, nil
}

// fetched fetches commits as options say, such as without their history and, where the host can leave them out, the files'
// contents, and returns what runs git in what was fetched. Done removes that.
func (r Remote) fetched(ctx context.Context, blocks int, options []string, commits ...string) (in func(args ...string) (string, error), done func(), err error) {
	w, err := r.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "fenceline-compare-")
	if err != nil {
		return nil, nil, err
	}
	done = func() { _ = os.RemoveAll(dir) }
	in = func(args ...string) (string, error) {
		limited := fmt.Sprintf(`ulimit -f %d && exec git --git-dir="$0" "$@"`, blocks)
		out, _, err := w.exec(ctx, nil, "sh", append([]string{"-c", limited, dir}, args...)...)
		return out, err
	}
	if _, err = in("init", "--quiet", "--bare", "--template="); err == nil {
		err = w.follow(ctx, func() error {
			if _, err := in("config", "remote.origin.url", w.address); err != nil {
				return err
			}
			fetch := append([]string{"fetch", "--quiet"}, options...)
			_, err := in(append(append(fetch, "--no-tags", "--no-recurse-submodules", "origin"), commits...)...)
			return err
		})
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return in, done, nil
}
