package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// mapped is how much of files this process has mapped, in KiB.
func mapped(t *testing.T) (kib int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "RssFile:"); ok {
			if _, err := fmt.Sscan(rest, &kib); err != nil {
				t.Fatal(err)
			}
		}
	}
	return kib
}

// TestPagesOfTheProgramAreGivenBack, and come again where they are needed: the program goes on.
func TestPagesOfTheProgramAreGivenBack(t *testing.T) {
	before := mapped(t)
	if err := unmapFile(); err != nil {
		t.Fatal(err)
	}
	if after := mapped(t); after > before/2 {
		t.Errorf("%d KiB of files are mapped, of %d before", after, before)
	}
	if cmd := newRoot(); cmd.Name() != "fenceline" || len(cmd.Commands()) < 20 {
		t.Errorf("the program is broken: %+v", cmd.Commands())
	}
}
