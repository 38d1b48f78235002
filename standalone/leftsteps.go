package standalone

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// stepStop bounds the end of one RUN step that was left behind.
const stepStop = 10 * time.Second

// clearSteps ends the RUN steps of a buildkitd that was killed, which run on without it, and
// takes away what it and they had mounted. No step is there after a buildkitd that ended by itself.
func (b *Buildkitd) clearSteps() error {
	bundles, err := filepath.Glob(filepath.Join(b.root, "runc-*", "executor", "*", "config.json"))
	if err != nil {
		return err
	}
	var errs []error
	for _, config := range bundles {
		errs = append(errs, endStep(b.c.Runc, filepath.Base(filepath.Dir(config))))
	}
	// At its start it tries what overlay file systems can do here, in a folder of that name.
	for _, pattern := range []string{"runc-*/executor", "multiple-lowerdir-check*", "net"} {
		dirs, err := filepath.Glob(filepath.Join(b.root, pattern))
		errs = append(errs, err)
		for _, dir := range dirs {
			errs = append(errs, UnmountBelow(dir))
		}
	}
	errs = append(errs, UnmountBelow(b.temporary()))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, config := range bundles { // Remove, which fails on what is still mounted, and never what is below it
		bundle := filepath.Dir(config)
		for _, path := range []string{filepath.Join(bundle, "rootfs"), config, bundle} {
			os.Remove(path)
		}
	}
	os.RemoveAll(b.temporary())
	return nil
}

// endStep kills the container of a step and removes its cgroup. One that has ended is no error.
func endStep(runc, id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), stepStop)
	defer cancel()
	out, err := exec.CommandContext(ctx, runc, "delete", "--force", id).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ending step %s, which a killed buildkitd left behind: %w: %s", id, err, strings.TrimSpace(string(out)))
	}
	return nil
}
