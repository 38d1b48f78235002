package standalone

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// leaveStep starts a container the way buildkitd starts a RUN step, and leaves it alone.
func leaveStep(t *testing.T, runc, root string) (pid int, bundle string) {
	t.Helper()
	id := "step-" + messages.NewID()
	bundle = filepath.Join(root, "runc-overlayfs", "executor", id)
	if err := os.MkdirAll(filepath.Join(bundle, "rootfs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(runc, "spec", "--bundle", bundle).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	config := filepath.Join(bundle, "config.json")
	b, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	var spec map[string]any
	if err := json.Unmarshal(b, &spec); err != nil {
		t.Fatal(err)
	}
	process := spec["process"].(map[string]any)
	process["args"], process["terminal"] = []string{"sleep", "600"}, false
	mounts := spec["mounts"].([]any)
	for _, dir := range []string{"/bin", "/lib", "/lib64", "/usr"} {
		if _, err := os.Stat(dir); err == nil {
			mounts = append(mounts, map[string]any{"destination": dir, "type": "bind", "source": dir, "options": []string{"rbind", "ro"}})
		}
	}
	spec["mounts"], spec["root"] = mounts, map[string]any{"path": t.TempDir()}
	spec["linux"].(map[string]any)["cgroupsPath"] = "/fenceline-test/" + id
	if b, err = json.Marshal(spec); err == nil {
		err = os.WriteFile(config, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	pidFile := filepath.Join(t.TempDir(), "pid")
	run := exec.Command(runc, "run", "--detach", "--pid-file", pidFile, "--bundle", bundle, id)
	if err := run.Run(); err != nil { // with its output a pipe, the step would keep that open
		t.Fatalf("starting a container, which this test needs root for: %v", err)
	}
	t.Cleanup(func() { _ = exec.Command(runc, "delete", "--force", id).Run() })
	if b, err = os.ReadFile(pidFile); err != nil {
		t.Fatal(err)
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
		t.Fatal(err)
	}
	return pid, bundle
}

func TestStepsThatWereLeftAreEnded(t *testing.T) {
	bin := os.Getenv("FENCELINE_BIN")
	if bin == "" {
		bin = filepath.Join("..", ".fenceline", "bin")
	}
	runc, err := FindProgram("runc", "", bin)
	if err != nil {
		t.Fatal(err)
	}
	root, other := t.TempDir(), t.TempDir()
	pid, bundle := leaveStep(t, runc, root)
	others, _ := leaveStep(t, runc, other)
	b := &Buildkitd{c: BuildkitdConfig{Runc: runc, Dir: t.TempDir()}, root: root}
	tried, brief := filepath.Join(root, "multiple-lowerdir-check1", "merged"), filepath.Join(b.temporary(), "buildkit-mount1")
	for _, mount := range []string{tried, brief} {
		if err := os.MkdirAll(mount, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(mount, syscall.MNT_DETACH) })
	}
	if err := b.clearSteps(); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(time.Minute); runs(pid); {
		if time.Now().After(late) {
			t.Fatal("the step still runs")
		}
	}
	if _, err := os.Stat(bundle); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder is still there: %v", err)
	}
	if err := os.Remove(tried); err != nil {
		t.Errorf("what it tried at its start is still mounted: %v", err)
	}
	if _, err := os.Stat(b.temporary()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what it had mounted for a moment is still there: %v", err)
	}
	if !runs(others) {
		t.Error("a step of another buildkitd was ended")
	}
	if err := b.clearSteps(); err != nil {
		t.Errorf("with nothing left: %v", err)
	}
}

// runs tells whether a process, which somebody may still have to reap, goes on.
func runs(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && syscall.Kill(pid, 0) == nil && !strings.Contains(string(stat), ") Z ")
}
