package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fenceline/fenceline/cli"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/standalone"
)

// disk mounts a file system of its own in a file without blocks, which takes root.
func disk(t *testing.T, size int64) (dir string) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for _, args := range [][]string{{"mkfs.ext4", "-q", "-F", "-m", "0", image}, {"mount", "-o", "loop", image, dir}} {
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

// fill takes all that is free on a disk, and what becomes free.
func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "filler"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		var s syscall.Statfs_t
		info, err := f.Stat()
		if err == nil {
			err = syscall.Statfs(dir, &s)
		}
		if err != nil {
			t.Fatal(err)
		}
		if s.Bavail == 0 {
			return
		}
		step := int64(s.Bavail) * s.Bsize
		for step > 0 && syscall.Fallocate(int(f.Fd()), 0, info.Size(), step) != nil {
			step /= 2 // the disk needs some for itself
		}
		if step < s.Bsize {
			return
		}
	}
}

// TestUpOnAFullDisk has somebody fill the disk of `up` to the last block, and make room again.
func TestUpOnAFullDisk(t *testing.T) {
	mount := disk(t, 16<<30)
	dir := t.TempDir()
	args := upArgs(t, dir)
	state := filepath.Join(mount, "state")
	args[2] = state
	t.Setenv(settings.StateVariable, state)
	log, stop := start(t, "fenceline status", args...)
	c, err := standalone.ReadClient(state)
	if err != nil {
		t.Fatal(err)
	}
	push := func(n string) said {
		in := strings.Repeat("0", 40) + " " + strings.Repeat(n, 40) + " refs/heads/main\n"
		return withInput(t, in, "notify", "--url", c.Producer+"/hooks/generic", "--repository", repository, "--secret-file", filepath.Join(dir, "hook"))
	}
	if s := push("1"); s.status != cli.ExitDone || !strings.Contains(s.out, "order 1") {
		t.Fatalf("a push: %+v", s)
	}
	within := func(what string, holds func() bool) {
		t.Helper()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for late := time.After(2 * time.Minute); !holds(); {
			select {
			case <-late:
				t.Fatalf("it did not come to pass that %s: %s", what, log)
			case <-tick.C:
			}
		}
	}
	within("a push is refused as the documentation has it", func() bool {
		fill(t, mount)
		s := push("2")
		return s.status == cli.ExitFailed && strings.Contains(s.err, "503 Service Unavailable")
	})
	within("status says why", func() bool {
		fill(t, mount)
		s := fenceline(t, "status")
		return strings.Contains(s.out+s.err, "the disk is full") && strings.Contains(s.out+s.err, "make room there")
	})
	if s := fenceline(t, "doctor", "controller"); s.status != cli.ExitFailed || !strings.Contains(s.out, "the disk is full") {
		t.Errorf("doctor: %+v", s)
	}
	if err := os.Remove(filepath.Join(mount, "filler")); err != nil {
		t.Fatal(err)
	}
	within("a push is taken again", func() bool { s := push("3"); return s.status == cli.ExitDone && strings.Contains(s.out, "build base-") })
	within("what was accepted is there", func() bool {
		s := fenceline(t, "builds", "-o", "json")
		return strings.Contains(s.out, strings.Repeat("1", 40)) && strings.Contains(s.out, strings.Repeat("3", 40))
	})
	within("status has no problem with the disk", func() bool {
		s := fenceline(t, "status")
		return s.status == cli.ExitDone && !strings.Contains(s.out, "the disk is full")
	})
	if code := stop(); code != cli.ExitDone {
		t.Errorf("it ended with %d: %s", code, log)
	}
}

// TestUpStopsOnAFullDisk is told to stop while it can't store.
func TestUpStopsOnAFullDisk(t *testing.T) {
	mount := disk(t, 16<<30)
	dir := t.TempDir()
	args := upArgs(t, dir)
	args[2] = filepath.Join(mount, "state")
	waiting := "it is started again once there is room"
	log, stop := start(t, "fenceline status", append(args, "--grace", "1s")...)
	full := log.Await(waiting)
	c, err := standalone.ReadClient(args[2])
	if err != nil {
		t.Fatal(err)
	}
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		fill(t, mount)
		in := strings.Repeat("0", 40) + " " + commit + " refs/heads/main\n"
		_ = withInput(t, in, "notify", "--url", c.Producer+"/hooks/generic", "--repository", repository, "--secret-file", filepath.Join(dir, "hook"))
		select {
		case <-full:
		case <-tick.C:
			continue
		}
		tick.Stop()
		break
	}
	fill(t, mount)
	began := time.Now()
	stop() // with whatever status: what was under way goes on at the next start
	if took := time.Since(began); took > time.Second+settings.StopMargin+10*time.Second {
		t.Errorf("it took %s to end: %s", took, log)
	}
}
