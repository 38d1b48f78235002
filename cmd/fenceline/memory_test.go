package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

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
	return mapFile(t, "/proc/self/exe", rights)
}

func mapFile(t *testing.T, name string, rights int) []byte {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	about, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	all, err := unix.Mmap(int(file.Fd()), 0, int(about.Size()), rights, unix.MAP_PRIVATE)
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
	for way, single := range map[string]*singlePages{"as the kernel maps": nil, "one by one": singly(t)} {
		before := mapped(t)
		if err := unmapFile(single); err != nil {
			t.Fatal(err)
		}
		if after := mapped(t); after > before/2 {
			t.Errorf("%s: %d KiB of files are mapped, of %d before", way, after, before)
		}
		if got := sum(); got != content {
			t.Errorf("%s: its pages add up to %d, and to %d before", way, got, content)
		}
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
	if err := unmapFile(nil); err != nil {
		t.Fatal(err)
	}
	if got := string(all[:len(linked)]); got != linked {
		t.Errorf("what was written there is %q now", got)
	}
}

// singly opens what has pages mapped one by one; nil where the kernel has no such thing, or keeps it from this process.
func singly(t *testing.T) *singlePages {
	t.Helper()
	s, err := openSinglePages()
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

// touchFar covers a mapping, reads from a page of each megabyte, and holds that no others are mapped where the kernel can do that.
func touchFar(t *testing.T, s *singlePages, all []byte, far int) {
	t.Helper()
	at := uintptr(unsafe.Pointer(&all[0]))
	for range 2 { // as each time that is given back
		if err := s.cover(at, at+uintptr(len(all)+os.Getpagesize()-1)&^uintptr(os.Getpagesize()-1)); err != nil {
			t.Fatal(err)
		}
	}
	want, sum := 0, 0
	for i := far / 2; i < len(all); i += far {
		sum += int(all[i])
		want += os.Getpagesize()
	}
	if got := resident(t, all); s != nil && got != want || got < want {
		t.Errorf("%d bytes are mapped where %d were used (%d)", got, want, sum)
	}
}

// TestUsedPagesAloneAreMappedOfANewFile, of which the page cache may keep 2 MB together.
func TestUsedPagesAloneAreMappedOfANewFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "new")
	if err := os.WriteFile(name, make([]byte, 16<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	touchFar(t, singly(t), mapFile(t, name, unix.PROT_READ), 1<<20)
}

// TestUsedPagesAloneAreMapped where the kernel can do that, and what is done to them is done as ever.
func TestUsedPagesAloneAreMapped(t *testing.T) {
	const far = 1 << 20
	all := mapProgram(t, unix.PROT_READ)
	touchFar(t, singly(t), all, far)

	if err := unix.Mprotect(all, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		t.Fatal(err)
	}
	const written = "written"
	copy(all[far/2:], written)
	copy(all[far/4:], written)
	if got := string(all[far/2:][:len(written)]) + string(all[far/4:][:len(written)]); got != written+written {
		t.Errorf("%q is there, where %q was written twice", got, written)
	}
	if out, err := exec.Command("/proc/self/exe", "-test.list=^TestUsedPagesAloneAreMapped$").CombinedOutput(); err != nil || !strings.Contains(string(out), t.Name()) {
		t.Errorf("a program that it starts says %q: %v", out, err)
	}
}

// resident is how much of what is mapped there is in memory.
func resident(t *testing.T, mapping []byte) (n int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	_, about, ok := strings.Cut("\n"+string(b), fmt.Sprintf("\n%x-", uintptr(unsafe.Pointer(&mapping[0]))))
	_, about, _ = strings.Cut(about, "\nRss:")
	if _, err := fmt.Sscan(about, &n); !ok || err != nil {
		t.Fatalf("no Rss of the mapping in smaps: %v", err)
	}
	return n * 1024
}
