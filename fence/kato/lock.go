package kato

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lockEvery is how often a lock that somebody holds is tried again.
const lockEvery = 20 * time.Millisecond

// DefaultLockFile is what the writers of a host lock: in /run/lock, which services with a /tmp of their own
// share, or in the folder for temporary files where there is no /run/lock.
func DefaultLockFile() string {
	dir := "/run/lock"
	if _, err := os.Stat(dir); err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "fenceline-kato.lock")
}

// openLock opens the lock file, which it makes where there is none. It is only ever read, so that users
// that can't write each other's files can share it.
func openLock(path string) (*os.File, error) {
	const flags = os.O_RDONLY | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	f, err := os.OpenFile(path, flags, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = os.OpenFile(path, flags|os.O_CREATE, 0o644); err == nil { //nolint:gosec // users that run kato share it, and it has nothing in it
			err = f.Chmod(0o644) // whatever the umask
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the lock that all controllers of this host take can't be opened: let this user write in its folder: %w", err)
	}
	return f, nil
}

// lock waits for the lock of this host's writers, as long as a few of them may hold it.
func (k *Kato) lock(ctx context.Context) (unlock func(), err error) {
	f, err := openLock(k.c.LockFile)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeoutCause(ctx, 12*k.c.Limit, errors.New("that is longer than four writers take"))
	defer cancel()
	again := time.NewTicker(lockEvery)
	defer again.Stop()
	for begun := time.Now(); ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("taking the lock %s: %w", k.c.LockFile, err)
		}
		select {
		case <-within.Done():
			f.Close()
			return nil, fmt.Errorf("another process of this host has held the lock %s for %v: %w",
				k.c.LockFile, time.Since(begun).Round(time.Millisecond), context.Cause(within))
		case <-again.C:
		}
	}
}
