package yamlfile

import (
	"fmt"
	"io"
	"os"
)

// maxFileBytes is the most that a file may hold.
const maxFileBytes = 1 << 20

// Content reads a file of at most a megabyte. Errors call it what, as in "reading the pipeline file".
func Content(path, what string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the %s: %w: name an existing file", what, err)
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("reading the %s: %s is a folder: name a file", what, path)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the %s %s: %w", what, path, err)
	}
	if len(content) > maxFileBytes {
		return nil, fmt.Errorf("reading the %s %s: it has more than %d bytes: is it the right file?", what, path, maxFileBytes)
	}
	return content, nil
}
