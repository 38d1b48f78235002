package standalone

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

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
