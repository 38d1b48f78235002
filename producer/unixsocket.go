package producer

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// DefaultSocketMode is the mode of a Unix socket: its user and group connect.
const DefaultSocketMode fs.FileMode = 0o660

// maxSocketPath is what sockaddr_un of unix(7) holds, less the 0 at its end.
const maxSocketPath = 107

// ListenUnix listens on a Unix socket at a path, with a mode. A socket that a process left there which is gone is replaced; whatever
// else stands there stays, and is an error. It is there with its mode from the first moment on, and gone with the listener.
func ListenUnix(path string, mode fs.FileMode) (net.Listener, error) {
	l, err := listenUnix(path, mode)
	if err != nil {
		return nil, fmt.Errorf("listening on the Unix socket %s: %w", path, err)
	}
	return l, nil
}

func listenUnix(path string, mode fs.FileMode) (net.Listener, error) {
	temporary := path + "." + strconv.Itoa(os.Getpid())
	switch {
	case !filepath.IsAbs(path):
		return nil, errors.New("its path has to begin with /")
	case len(temporary) > maxSocketPath:
		return nil, fmt.Errorf("its path has %d bytes, and a socket's may have %d: choose a shorter one, such as /run/fenceline/producer.sock", len(path), maxSocketPath-len(temporary)+len(path))
	}
	unlock, err := lockFolder(filepath.Dir(path), folderWait)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := vacant(path); err != nil {
		return nil, err
	}
	_ = os.Remove(temporary) // of a process of this number that was killed here
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	s := &unixListener{UnixListener: l, path: path}
	if err = os.Chmod(temporary, mode); err == nil {
		s.info, err = os.Lstat(temporary)
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(temporary))
	}
	return s, nil
}

// vacant tells whether a socket can be put at a path: nothing is there, or one that nobody listens on.
func vacant(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is something else, which stays: remove it, or choose another path")
	}
	const most = 2 * time.Second // a full backlog has a dial wait
	conn, err := net.DialTimeout("unix", path, most)
	switch {
	case err == nil:
		_ = conn.Close()
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("a socket is there that this user may not look at: %w", err)
	}
	return errors.New("another process listens on it: stop it, or choose another path")
}

// folderWait is how long a process waits for others that put sockets into the same folder, which takes them a moment. Whoever
// may read the folder may also hold its lock for ever.
const folderWait = 5 * time.Second

// lockFolder has processes that put sockets into a folder do it one after the other.
func lockFolder(folder string, wait time.Duration) (unlock func(), err error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, fmt.Errorf("its folder: %w", err)
	}
	for end := time.Now().Add(wait); ; <-time.After(10 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = f.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return nil, errors.Join(fmt.Errorf("locking its folder: %w", err), f.Close())
		case time.Now().After(end):
			return nil, errors.Join(fmt.Errorf("another process has its folder %s locked for more than %v: stop that one (fuser names it), or choose a folder of the producer's own", folder, wait), f.Close())
		}
	}
}

// unixListener is a listener whose socket goes with it.
type unixListener struct {
	*net.UnixListener
	path   string
	info   fs.FileInfo // of the socket
	closed sync.Once
}

// Addr is where it is found, which is not where it was made.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Accept waits for a connection.
func (l *unixListener) Accept() (net.Conn, error) {
	c, err := l.UnixListener.Accept()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Close ends it and removes its socket, unless another one has taken the place.
func (l *unixListener) Close() error {
	err := l.UnixListener.Close()
	l.closed.Do(func() {
		unlock, locked := lockFolder(filepath.Dir(l.path), folderWait)
		if locked != nil {
			return // with the folder the socket is gone, too; where it is another's lock, who listens next replaces it
		}
		defer unlock()
		if now, gone := os.Lstat(l.path); gone == nil && os.SameFile(now, l.info) {
			err = errors.Join(err, os.Remove(l.path))
		}
	})
	return err
}

// ListenSystemd takes the one socket that systemd listens on for this process (sd_listen_fds(3)): connections wait there while
// the process is started again.
func ListenSystemd() (net.Listener, error) {
	const first = 3
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	switch {
	case pid != strconv.Itoa(os.Getpid()) || count == "":
		return nil, errors.New("listening on systemd's socket: none was handed over: start it by a socket unit, such as fenceline-producer.socket")
	case strings.TrimSpace(count) != "1":
		return nil, fmt.Errorf("listening on systemd's socket: %s were handed over: give the socket unit one ListenStream", count)
	}
	syscall.CloseOnExec(first)
	f := os.NewFile(first, "LISTEN_FD_3")
	l, err := net.FileListener(f)
	_ = f.Close() // the listener has its own
	if err != nil {
		return nil, fmt.Errorf("listening on systemd's socket: %w: it has to be a ListenStream", err)
	}
	return l, nil
}
