package messages

import (
	"go/build"
	"strings"
	"testing"
)

// The contract may be read by any program: it must not bring a library along.
func TestImportsStandardLibraryOnly(t *testing.T) {
	p, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range p.Imports {
		if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
			t.Errorf("messages imports %s: only the standard library is allowed", path)
		}
	}
}
