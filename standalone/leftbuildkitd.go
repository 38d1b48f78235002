package standalone

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// endLeftover ends the buildkitd that a pid file names, if it really is one on this root: a
// number of a process that is long gone may be another's by now.
func endLeftover(ctx context.Context, pidFile, root string) error {
	content, err := os.ReadFile(pidFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for a buildkitd that was left behind: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || pid <= 1 {
		return nil // cut off by a crash: it is written anew
	}
	// Opened before the process is looked at: it names this one even when the number is given to another.
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at process %d, which may be a buildkitd that was left behind: %w", pid, err)
	}
	defer func() { _ = unix.Close(fd) }() // a descriptor that only named a process
	if !isBuildkitd(pid, root) {
		return nil
	}
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := unix.PidfdSendSignal(fd, signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("ending buildkitd %d, which was left behind: %w", pid, err)
		}
		if ended, err := awaitEnd(ctx, fd, buildkitdGrace); ended || err != nil {
			return err
		}
	}
	return fmt.Errorf("buildkitd %d, which was left behind on %s, does not end: end it by hand", pid, root)
}

// isBuildkitd tells whether a process is a buildkitd with our root, by its command line. The
// program may have any name.
func isBuildkitd(pid int, root string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
	i := slices.Index(args, "--root")
	return i > 0 && i+1 < len(args) && args[i+1] == root && slices.Contains(args, "--oci-worker-binary")
}

// awaitEnd waits until the process of a pidfd has ended, for the given time at most.
func awaitEnd(ctx context.Context, fd int, wait time.Duration) (bool, error) {
	deadline := time.Now().Add(wait)
	for time.Now().Before(deadline) {
		if err := ctx.Err(); err != nil {
			return false, fmt.Errorf("waiting for a buildkitd that was left behind: %w", err)
		}
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 100) // ms, so that ctx is looked at
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false, fmt.Errorf("waiting for a buildkitd that was left behind: %w", err)
		}
		if n > 0 {
			return true, nil
		}
	}
	return false, nil
}
