package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
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

// mapProgram maps the program's file once more, so that nothing of it that others map is changed.
func mapProgram(t *testing.T, rights int) []byte {
	t.Helper()
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	about, err := program.Stat()
	if err != nil {
		t.Fatal(err)
	}
	all, err := unix.Mmap(int(program.Fd()), 0, int(about.Size()), rights, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(all) })
	return all
}

// TestPagesOfTheProgramAreGivenBack, and come again where they are needed: the program goes on.
func TestPagesOfTheProgramAreGivenBack(t *testing.T) {
	all := mapProgram(t, unix.PROT_READ)
	sum := func() (n int) {
		for at := 0; at < len(all); at += os.Getpagesize() {
			n += int(all[at])
		}
		return n
	}
	content := sum()
	before := mapped(t)
	if err := unmapFile(); err != nil {
		t.Fatal(err)
	}
	if after := mapped(t); after > before/2 {
		t.Errorf("%d KiB of files are mapped, of %d before", after, before)
	}
	if got := sum(); got != content {
		t.Errorf("its pages add up to %d, and to %d before", got, content)
	}
	if cmd := newRoot(); cmd.Name() != "fenceline" || len(cmd.Commands()) < 20 {
		t.Errorf("the program is broken: %+v", cmd.Commands())
	}
}

// TestPagesThatWereWrittenAreKept though nobody can write to them any more: what a linker at run time put there is nowhere else.
func TestPagesThatWereWrittenAreKept(t *testing.T) {
	all := mapProgram(t, unix.PROT_READ|unix.PROT_WRITE)
	const linked = "linked"
	copy(all, linked)
	if err := unix.Mprotect(all, unix.PROT_READ); err != nil {
		t.Fatal(err)
	}
	if err := unmapFile(); err != nil {
		t.Fatal(err)
	}
	if got := string(all[:len(linked)]); got != linked {
		t.Errorf("what was written there is %q now", got)
	}
}
