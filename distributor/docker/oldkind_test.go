//go:build linux

package docker_test

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// needsOldCgroups skips a test with Docker 1.3 where that can't start a container, whatever is installed there. scripts/oldengine
// says so in make test. Where it can, its absence fails the test.
func needsOldCgroups(t *testing.T) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOARCH != "amd64" || !hasOldCgroups(string(mounts)) {
		t.Skip("Docker 1.3 runs on amd64 with cgroups of version 1 alone, whose devices are not mounted here")
	}
}

// hasOldCgroups tells whether the devices of cgroups of version 1 are among the mounts, as proc_pid_mounts(5) lists them.
func hasOldCgroups(mounts string) bool {
	for line := range strings.Lines(mounts) {
		if w := strings.Fields(line); len(w) > 3 && w[2] == "cgroup" && slices.Contains(strings.Split(w[3], ","), "devices") {
			return true
		}
	}
	return false
}

func TestWhereDocker13Runs(t *testing.T) {
	for mounts, want := range map[string]bool{
		"cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate,memory_recursiveprot 0 0\n":               false,
		"cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n": false,
		"tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0\ncgroup /sys/fs/cgroup/devices cgroup rw,relatime,devices 0 0\n":         true,
		"cgroup /cgroup cgroup rw,cpu,devices,memory 0 0\n":                                                                  true,
	} {
		if got := hasOldCgroups(mounts); got != want {
			t.Errorf("on a machine with %q it is said to run: %v", mounts, got)
		}
	}
}
