package standalone

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// BuildLimits bound what all RUN steps have together, so that one can't take the machine from the roles beside it.
// 0 means no bound.
type BuildLimits struct {
	Memory    int64 // bytes
	Processes int   // with threads
}

// DefaultProcesses is what build steps may have of processes and threads, where nothing else is said.
const DefaultProcesses = 8192

// DefaultMemory is three quarters of this machine's memory.
func DefaultMemory() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit) / 4 * 3
}

// stepGroup is the control group in which buildkitd puts all steps.
type stepGroup struct {
	name string // for buildkitd
}

// cgroupRoot is where the kernel shows control groups.
const cgroupRoot = "/sys/fs/cgroup"

// makeStepGroup makes a group with bounds, for the steps of the buildkitd over a folder, in place of one that was left behind.
func makeStepGroup(dir string, l BuildLimits) (*stepGroup, error) {
	g := &stepGroup{name: fmt.Sprintf("/fenceline-%x", sha256.Sum256([]byte(dir)))[:23]}
	if err := g.remove(); err != nil {
		return nil, fmt.Errorf("bounding what build steps use: what was left behind is still there: %w", err)
	}
	var err error
	if _, unified := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); unified == nil {
		err = g.unified(l)
	} else {
		err = errors.Join(
			g.bound("memory", "memory.limit_in_bytes", l.Memory),
			g.bound("pids", "pids.max", int64(l.Processes)),
		)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bounding what build steps use: %w", err), g.remove())
	}
	return g, nil
}

// unified makes the group of version 2.
func (g *stepGroup) unified(l BuildLimits) error {
	control := filepath.Join(cgroupRoot, "cgroup.subtree_control")
	for _, controller := range []string{"memory", "pids"} {
		if on, err := os.ReadFile(control); err != nil || !strings.Contains(" "+strings.TrimSpace(string(on))+" ", " "+controller+" ") {
			if err := os.WriteFile(control, []byte("+"+controller), 0o644); err != nil {
				return err
			}
		}
	}
	return errors.Join(g.bound("", "memory.max", l.Memory), g.bound("", "pids.max", int64(l.Processes)))
}

// bound makes the group below one controller's folder and sets its limit.
func (g *stepGroup) bound(controller, file string, limit int64) error {
	if limit == 0 {
		return nil
	}
	dir := filepath.Join(cgroupRoot, controller, g.name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if whole := filepath.Join(dir, "memory.use_hierarchy"); controller == "memory" {
		_ = os.WriteFile(whole, []byte("1"), 0o644) // where it isn't so already, or can't be told any more
	}
	return os.WriteFile(filepath.Join(dir, file), []byte(strconv.FormatInt(limit, 10)), 0o644)
}

// settings are those of buildkitd, in TOML.
func (g *stepGroup) settings() string { return fmt.Sprintf("defaultCgroupParent = %q\n", g.name) }

// How long the removal of a group tries again: the kernel keeps one that has processes, also such as are ending.
const (
	groupEnd  = 10 * time.Second
	groupPoll = 20 * time.Millisecond
)

// remove takes the group away, also where buildkitd made it for a controller without a bound, with what is left below it:
// the groups of a step whose runc was killed while it made them, of which nothing else knows. What runs there is ended.
func (g *stepGroup) remove() error {
	for until := time.Now().Add(groupEnd); ; {
		err := g.removeOnce()
		if err == nil || time.Now().After(until) {
			return err
		}
		<-time.After(groupPoll)
	}
}

func (g *stepGroup) removeOnce() error {
	all, err := filepath.Glob(filepath.Join(cgroupRoot, "*", g.name))
	for _, dir := range append(all, filepath.Join(cgroupRoot, g.name)) {
		for _, d := range slices.Backward(groupsFrom(dir)) { // inner ones first
			gone := unix.Rmdir(d)
			if errors.Is(gone, unix.EBUSY) {
				endProcesses(d)
			}
			if gone != nil && !errors.Is(gone, unix.ENOENT) {
				err = errors.Join(err, fmt.Errorf("removing %s: %w", d, gone))
			}
		}
	}
	return err
}

// groupsFrom lists a group's folder and those below it, outer ones first.
func groupsFrom(dir string) (all []string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			all = append(all, path)
		}
		return nil // what is gone meanwhile needs no removal
	})
	return all
}

// endProcesses kills what runs in a group.
func endProcesses(dir string) {
	pids, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs")) // empty where there are none, or the group is gone
	for line := range strings.FieldsSeq(string(pids)) {
		if pid, err := strconv.Atoi(line); err == nil && pid > 1 {
			_ = unix.Kill(pid, unix.SIGKILL) // or it has ended by itself
		}
	}
}
