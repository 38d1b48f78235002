package standalone_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fenceline/fenceline/standalone"
)

func TestMountsThatWereLeftAreTakenAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("mounting needs root: run the tests as root, as buildkitd needs it too")
	}
	dir := t.TempDir()
	kept := filepath.Join(t.TempDir(), "kept")
	inner := filepath.Join(dir, "with space", "rootfs")
	for _, p := range []string{inner, kept} {
		if err := os.MkdirAll(p, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", p, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = unix.Unmount(kept, 0) })
	if err := standalone.UnmountBelow(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(inner); err != nil {
		t.Errorf("the mount is still there: %v", err)
	}
	if err := os.Remove(kept); err == nil {
		t.Error("a mount elsewhere was taken away")
	}
}
