package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// ignored tells what of a folder no build of it sees, so that it isn't sent either: what the
// .dockerignore names. A file DOCKERFILE.dockerignore takes its place, as in BuildKit. The Dockerfile
// and the ignore files themselves are always sent.
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
func (i *ignored) has(name string) (bool, error) {
	for _, s := range i.sent {
		if name == s {
			return false, nil
		}
	}
	return i.patterns.MatchesOrParentMatches(name)
}

// whole tells whether nothing inside a folder that is left out is sent.
func (i *ignored) whole(folder string) bool {
	if i.patterns.Exclusions() {
		return false
	}
	for _, s := range i.sent {
		for p := path.Dir(s); p != "."; p = path.Dir(p) {
			if p == folder {
				return false
			}
		}
	}
	return true
}
