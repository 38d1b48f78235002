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
	in, done, err := r.fetched(ctx, blocks, commits...)
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

// fetched fetches commits without their history and, where the host can leave them out, the files' contents, and returns
// what runs git in what was fetched. Done removes that.
func (r Remote) fetched(ctx context.Context, blocks int, commits ...string) (in func(args ...string) (string, error), done func(), err error) {
	dir, err := os.MkdirTemp("", "fenceline-compare-")
	if err != nil {
		return nil, nil, err
	}
	done = func() { _ = os.RemoveAll(dir) }
	in = func(args ...string) (string, error) {
		limited := fmt.Sprintf(`ulimit -f %d && exec git --git-dir="$0" "$@"`, blocks)
		out, _, err := r.exec(ctx, nil, "sh", append([]string{"-c", limited, dir}, args...)...)
		return out, err
	}
	fetch := append([]string{"fetch", "--quiet", "--depth=1", "--filter=blob:none", "--no-tags", "--no-recurse-submodules", "origin"}, commits...)
	for _, args := range [][]string{{"init", "--quiet", "--bare", "--template="}, {"remote", "add", "origin", r.URL}, fetch} {
		if _, err := in(args...); err != nil {
			done()
			return nil, nil, err
		}
	}
	return in, done, nil
}
