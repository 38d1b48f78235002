package git

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// ErrNoFile tells that the commit has no such file.
var ErrNoFile = errors.New("no such file")

// File reads a file of a remote as it is at a commit, by its path from the root. Of a host that leaves out contents when asked
// to, as all of today's do, nothing else is fetched but folders. It ends with its context, or after Timeout. Errors are
// those of Compare, and ErrNoFile.
func File(ctx context.Context, r Remote, commit, path string) ([]byte, error) {
	content, err := r.file(ctx, commit, path)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s of %s at %s: %w", path, r.URL, commit, err)
	}
	return content, nil
}

func (r Remote) file(ctx context.Context, commit, path string) ([]byte, error) {
	if err := messages.CheckRepository(r.URL); err != nil {
		return nil, fmt.Errorf("repository: %w", err)
	}
	if err := messages.CheckCommit(commit); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	in, done, err := r.fetched(ctx, maxFetchBlocks, []string{"--depth=1", "--filter=blob:none"}, commit)
	if err != nil {
		return nil, err
	}
	defer done()
	listed, err := in("ls-tree", "-z", "--full-tree", commit, "--", ":(literal)"+path)
	if err != nil {
		return nil, err
	}
	entry, _, _ := strings.Cut(listed, "\x00")
	about, name, _ := strings.Cut(entry, "\t")
	mode, rest, _ := strings.Cut(about, " ")
	kind, object, _ := strings.Cut(rest, " ")
	switch {
	case name != path:
		return nil, ErrNoFile
	case kind != "blob" || !strings.HasPrefix(mode, "100"):
		return nil, fmt.Errorf("%w: it is a link or a folder", ErrNoFile)
	}
	content, err := in("cat-file", "blob", object)
	if err == nil && len(content) >= maxOutput {
		err = fmt.Errorf("it has %d bytes or more", maxOutput)
	}
	return []byte(content), err
}
