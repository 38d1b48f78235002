package standalone

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestStepGroupBounds has a shell in the group that wants more processes than it may have.
func TestStepGroupBounds(t *testing.T) {
	g, err := makeStepGroup(t.TempDir(), BuildLimits{Memory: 64 << 20, Processes: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.remove(); err != nil {
			t.Error(err)
		}
	}()
	for limit, files := range map[string][]string{"67108864": {"memory/%s/memory.limit_in_bytes", "%s/memory.max"}, "10": {"pids/%s/pids.max", "%s/pids.max"}} {
		var got []byte
		for _, file := range files { // of either version
			if content, err := os.ReadFile(filepath.Join(cgroupRoot, fmt.Sprintf(file, g.name))); err == nil {
				got = content
			}
		}
		if strings.TrimSpace(string(got)) != limit {
			t.Errorf("of %v one should have %s: %q", files, limit, got)
		}
	}
	const fork = `set -e; for dir; do echo $$ >"$dir/cgroup.procs"; done; i=0; while [ $i -lt 20 ]; do sleep 600 >/dev/null 2>&1 & i=$((i+1)); done`
	var dirs []string
	for _, pattern := range []string{"pids", "memory", "."} {
		found, err := filepath.Glob(filepath.Join(cgroupRoot, pattern, g.name))
		if err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, found...)
	}
	out, err := exec.Command("sh", append([]string{"-c", fork + "", "sh"}, dirs...)...).CombinedOutput()
	if err == nil {
		t.Errorf("20 processes were made in %v: %s", dirs, out)
	}
}

// TestStepGroupIsRemovedWithWhatIsBelow has what a killed runc leaves: groups of a step, made for some controllers
// only, and a process in one of them.
func TestStepGroupIsRemovedWithWhatIsBelow(t *testing.T) {
	g, err := makeStepGroup(t.TempDir(), BuildLimits{Memory: 1 << 30, Processes: 100})
	if err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(filepath.Join(cgroupRoot, "*", g.name))
	if err != nil {
		t.Fatal(err)
	}
	if own := filepath.Join(cgroupRoot, g.name); len(groupsFrom(own)) > 0 {
		all = append(all, own)
	}
	if len(all) == 0 {
		t.Fatalf("no group %s below %s", g.name, cgroupRoot)
	}
	left := exec.Command("sleep", "600")
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- left.Wait() }()
	for _, dir := range all {
		step := filepath.Join(dir, "buildkit", "step")
		if err := os.MkdirAll(step, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(step, "cgroup.procs"), []byte(strconv.Itoa(left.Process.Pid)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.remove(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the process ended by itself")
	}
	for _, dir := range all {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is still there", dir)
		}
	}
	if err := g.remove(); err != nil {
		t.Errorf("removing it once more: %v", err)
	}
}
