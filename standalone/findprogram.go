package standalone

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// FindProgram returns the path of a program that runs as a child: the given one, or that in
// the folder bin, or that in PATH. The error wraps ErrNoProgram and says how to get it.
func FindProgram(name, given, bin string) (string, error) {
	if given != "" {
		path, err := exec.LookPath(given)
		if err != nil {
			return "", fmt.Errorf("%w: %s: %w", ErrNoProgram, name, err)
		}
		return filepath.Abs(path)
	}
	if path, err := exec.LookPath(filepath.Join(bin, name)); err == nil {
		return filepath.Abs(path)
	}
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	return "", fmt.Errorf("%w: %s is neither in %s nor in PATH (%s): run `make setup` in fenceline's checkout, or install BuildKit",
		ErrNoProgram, name, bin, os.Getenv("PATH"))
}
