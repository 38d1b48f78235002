package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// smallDisk mounts a file system of its own in a file without blocks, which takes root.
func smallDisk(t *testing.T, size string) (dir string) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk")
	dir = t.TempDir()
	for _, args := range [][]string{{"truncate", "-s", size, image}, {"mkfs.ext4", "-q", "-F", "-m", "0", image}, {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s: this test mounts a small disk: run it as root where loop devices can be had, with e2fsprogs installed", args[0], err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("unmounting: %v: %s", err, out)
		}
	})
	return dir
}

// TestABuildThatFillsTheDisk is stopped and fails with the reason; `up` goes on, and the next build is
// made.
func TestABuildThatFillsTheDisk(t *testing.T) {
	fleet := fleetOf("disk")
	disk := smallDisk(t, "16G")
	s := ownIn(t, filepath.Join(disk, "stack"), []pipeline{{name: "filling", fleet: fleet}}, "--fleet", fleet, "--node", fleet)
	// Nothing is written but blocks: the disk's own file stays small.
	files := exporting("1")
	files["Dockerfile"] = "ARG BASE\nFROM ${BASE}\nADD hooks /etc/stackato/hooks\nRUN i=0; while fallocate -l 100000000 /filler-$i; do i=$((i+1)); done\n"
	b := s.endedWithin(t, 2*patience, s.build(t, "filling", files))
	if b.State != "failed" || b.Failure == nil || b.Failure.Class != "user" || !strings.Contains(b.Failure.Reason+b.Failure.Detail, "disk") && !strings.Contains(b.Failure.Reason+b.Failure.Detail, "No space left") {
		t.Fatalf("it ended as %+v", b)
	}
	t.Logf("%d attempts: %s", b.Attempt, b.Failure.Reason)
	// The repository that is pushed to is on this disk too, and what a stopped step wrote goes a little later.
	await(t, "the disk has room again", func(context.Context) error {
		var of syscall.Statfs_t
		if err := syscall.Statfs(disk, &of); err != nil {
			return err
		}
		if free := int64(of.Bavail) * of.Bsize; free < 2<<30 {
			return fmt.Errorf("%d MiB are free", free>>20)
		}
		return nil
	})
	if next := s.ended(t, s.build(t, "filling", exporting("2"))); next.State != "succeeded" {
		t.Errorf("the next one ended as %+v", next)
	}
	if _, err := os.Stat(filepath.Join(s.State, "nats.reserve")); err != nil {
		t.Errorf("the room for NATS: %v", err)
	}
}
