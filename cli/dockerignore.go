package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// ignored tells what of a folder no build of it sees, so that it isn't sent either: what the
// .dockerignore names. A file DOCKERFILE.dockerignore takes its place, as in BuildKit. The Dockerfile
// and the ignore files themselves are always sent, and whatever is called like one: the pipeline may
// name another Dockerfile now than its last build had.
type ignored struct {
	patterns *patternmatcher.PatternMatcher
	sent     []string
}

// readIgnored reads a folder's ignore file. Dockerfile is the build's, a path inside the folder.
func readIgnored(dir, dockerfile string) (*ignored, error) {
	i := &ignored{sent: []string{path.Clean(dockerfile), path.Clean(dockerfile) + ".dockerignore", ".dockerignore"}}
	var lines []string
	for _, name := range i.sent[1:] {
		f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		lines, err = ignorefile.ReadAll(f)
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		break
	}
	var err error
	if i.patterns, err = patternmatcher.New(lines); err != nil {
		return nil, fmt.Errorf("reading the .dockerignore of %s: %w", dir, err)
	}
	return i, nil
}

// has tells whether a file or folder is left out. One inside a folder that is left out may still be sent.
func (i *ignored) has(name string, kind fs.FileMode) (bool, error) {
	if i.always(name) && (kind.IsRegular() || kind&fs.ModeSymlink != 0) {
		return false, nil
	}
	return i.patterns.MatchesOrParentMatches(name)
}

// always tells whether a file is sent whatever names it.
func (i *ignored) always(name string) bool {
	base := strings.ToLower(path.Base(name))
	return slices.Contains(i.sent, name) || strings.Contains(base, "dockerfile") || strings.Contains(base, "containerfile") ||
		strings.HasSuffix(base, ".dockerignore")
}
