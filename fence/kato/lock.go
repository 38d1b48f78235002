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

// The holder of a lock is looked at each so many tries. It counts as stopped when so many looks in a row say
// so: a debugger stops a process for a moment, too.
const (
	looksAtHolder = 5
	stoppedLooks  = 5
)

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

// passedLock is added to the lock's file for that of the writers which have passed it.
const passedLock = ".passed"

// lock waits for the lock of this host's writers, as long as a few of them may hold it. One whose holder is
// stopped is not waited for: who is stopped writes nothing, and what it writes late, once it is continued, is
// seen by who looks at the fence config then. All who wait may pass it so, and one may get it as its holder is
// killed: behind it is a second lock, for one of these at a time.
func (k *Kato) lock(ctx context.Context) (unlock func(), err error) {
	within, cancel := context.WithTimeoutCause(ctx, 12*k.c.Limit, errors.New("that is longer than four writers take"))
	defer cancel()
	first, err := k.take(within, k.c.LockFile)
	if err != nil {
		return nil, err
	}
	second, err := k.take(within, k.c.LockFile+passedLock)
	if err != nil {
		first()
		return nil, err
	}
	return func() { second(); first() }, nil
}

// take takes one lock, or passes it.
func (k *Kato) take(within context.Context, path string) (unlock func(), err error) {
	f, err := openLock(path)
	if err != nil {
		return nil, err
	}
	unlock = func() { f.Close() }
	again := time.NewTicker(lockEvery)
	defer again.Stop()
	stopped := 0 // looks in a row that saw the holder stopped
	for begun, look := time.Now(), 1; ; look++ {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			_ = unix.Futimes(int(f.Fd()), now()) // for holderOf; the file may be another user's
			return unlock, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			unlock()
			return nil, fmt.Errorf("taking the lock %s: %w", path, err)
		}
		if look%looksAtHolder == 0 {
			if stopped++; !isStopped(holderOf(f)) {
				stopped = 0
			}
			if stopped == stoppedLooks {
				return unlock, nil
			}
		}
		select {
		case <-within.Done():
			defer unlock()
			return nil, fmt.Errorf("another process of this host has held the lock %s for %v: it is %s: %w",
				path, time.Since(begun).Round(time.Millisecond), who(holderOf(f)), context.Cause(within))
		case <-again.C:
		}
	}
}

// now is the present for a file's times.
func now() []unix.Timeval {
	at := unix.NsecToTimeval(time.Now().UnixNano())
	return []unix.Timeval{at, at}
}

func isStopped(h *holder) bool { return h != nil && h.stopped() }

// who says who holds the lock, and what to do.
func who(h *holder) string {
	if h == nil {
		return "none that this one may know, as in another container: on the host, lsof or fuser of that file names it; when it has ended, the lock goes with it"
	}
	return h.String()
}
