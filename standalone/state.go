package standalone

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Layout is the number of the state folder's layout that this package reads and writes. It
// changes when an older binary could not make sense of the folder.
const Layout = 3

// adoptable is the layout before, in which no account has the streams. Start makes such a folder one of Layout.
const adoptable = 2

// State is a state folder that this process has to itself until Close.
type State struct {
	dir  string // absolute
	lock *os.File
}

// The parts of a state folder that this package makes. Besides them, bin holds the programs
// that `make setup` builds.
const (
	partVersion = "version"
	partLock    = "lock"
	partNATS    = "nats"
	partStore   = "registry"
	partBuild   = "buildkit"
	partSecrets = "secrets"
	partLog     = "log"
	partClient  = "client.json"
	partDocker  = "docker-config"
	partPulls   = "docker-config-node"
)

// OpenState opens the state folder dir, making it at first use, and locks it. The error
// wraps ErrInUse, naming the process, when another has it open, and ErrLayout when it was
// made by a fenceline with another layout.
func OpenState(dir string) (*State, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening state folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making state folder: %w", err)
	}
	s := &State{dir: dir}
	if err := s.takeLock(); err != nil {
		return nil, err
	}
	if err := s.checkLayout(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	for _, part := range []string{partNATS, partStore, partBuild, partSecrets, partLog, partDocker, partPulls} {
		if err := os.MkdirAll(s.Path(part), 0o700); err != nil {
			return nil, errors.Join(fmt.Errorf("making state folder: %w", err), s.Close())
		}
	}
	return s, nil
}

// Path is the path of something in the folder.
func (s *State) Path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// Close gives the folder free.
func (s *State) Close() error { return s.lock.Close() }

func (s *State) takeLock() error {
	path := s.Path(partLock)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("locking state folder: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder, _ := io.ReadAll(io.LimitReader(f, 20))
		f.Close()
		return fmt.Errorf("%w: %s is held by process %s: stop that one, or use a folder of its own", ErrInUse, s.dir, describePID(string(holder)))
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("locking %s: %w", path, err)
	}
	s.lock = f
	return nil
}

// describePID is the process's number, or a remark where the lock file doesn't have it yet.
func describePID(content string) string {
	if pid := strings.TrimSpace(content); pid != "" {
		return pid
	}
	return "(starting)"
}

func (s *State) checkLayout() error {
	path := s.Path(partVersion)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := s.checkFresh(); err != nil {
			return err
		}
		return s.writeLayout()
	case err != nil:
		return fmt.Errorf("reading the version of the state folder: %w", err)
	}
	found := strings.TrimSpace(string(b))
	if found == strconv.Itoa(Layout) || found == strconv.Itoa(adoptable) {
		return nil
	}
	return fmt.Errorf("%w: %s says layout %q and this fenceline works with %d: run the fenceline that made it, or start with a new folder (in fenceline's checkout: make clean)",
		ErrLayout, path, found, Layout)
}

// writeLayout gives the folder the number of this package's layout.
func (s *State) writeLayout() error {
	return WriteFile(s.Path(partVersion), []byte(strconv.Itoa(Layout)+"\n"), 0o600)
}

// checkFresh refuses a folder without a version that has parts of a state folder already.
func (s *State) checkFresh() error {
	for _, part := range []string{partNATS, partStore, partSecrets} {
		if _, err := os.Lstat(s.Path(part)); err == nil {
			return fmt.Errorf("%w: %s has %q but no version file: give the path of a new folder, or put back the file %s (a line with %d, if this fenceline made it)",
				ErrLayout, s.dir, part, s.Path(partVersion), Layout)
		}
	}
	return nil
}
