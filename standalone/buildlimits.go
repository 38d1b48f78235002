package standalone

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

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

// makeStepGroup makes a group with bounds, for the steps of the buildkitd over a folder. Left over from before, it is used again.
func makeStepGroup(dir string, l BuildLimits) (*stepGroup, error) {
	g := &stepGroup{name: fmt.Sprintf("/fenceline-%x", sha256.Sum256([]byte(dir)))[:23]}
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

// remove takes the group away, which has no steps any more: also where buildkitd made it for a controller without a bound.
func (g *stepGroup) remove() error {
	all, err := filepath.Glob(filepath.Join(cgroupRoot, "*", g.name))
	for _, dir := range append(all, filepath.Join(cgroupRoot, g.name)) {
		for _, d := range []string{filepath.Join(dir, "buildkit"), dir} { // buildkitd has its steps in one below
			if gone := os.Remove(d); gone != nil && !errors.Is(gone, os.ErrNotExist) {
				err = errors.Join(err, gone)
			}
		}
	}
	return err
}
