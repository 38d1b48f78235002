package redistest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// missing is what to do where there is no redis-server.
const missing = "scripts/redis installs it (Debian: apt-get install redis-server; none need run)"

// Server is a redis-server with a folder of its own, reached through a socket there.
type Server struct {
	Socket string // its path

	dir  string
	args []string
	cmd  *exec.Cmd
	log  *log
}

// Serve starts a server in a new folder below dir, and returns once it answers. The arguments are added to
// its command line.
func Serve(dir string, args ...string) (*Server, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, fmt.Errorf("%w: %s", err, missing)
	}
	dir, err := os.MkdirTemp(dir, "redis-") // a test's own folder can be too long for a socket
	if err != nil {
		return nil, fmt.Errorf("making a folder for Redis: %w", err)
	}
	s := &Server{Socket: filepath.Join(dir, "redis.sock"), dir: dir, args: args}
	return s, s.Start()
}

// Start starts a server that was stopped, with what it had stored.
func (s *Server) Start() error {
	args := append([]string{"--port", "0", "--unixsocket", s.Socket, "--dir", s.dir, "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no"}, s.args...)
	s.cmd = exec.Command("redis-server", args...)
	s.log = &log{ready: make(chan struct{}), ended: make(chan struct{})}
	out, in, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making a pipe for Redis: %w", err)
	}
	s.cmd.Stdout, s.cmd.Stderr = in, in
	err = s.cmd.Start()
	in.Close()
	if err != nil {
		out.Close()
		return fmt.Errorf("starting Redis: %w", err)
	}
	go s.log.read(out)
	select {
	case <-s.log.ready:
		return nil
	case <-s.log.ended:
		err = errors.New("it ended")
	case <-time.After(time.Minute):
		err = errors.New("it is not ready after a minute")
	}
	return errors.Join(fmt.Errorf("starting Redis: %w: %s", err, s.log.text()), s.Kill())
}

// Kill ends the server at once.
func (s *Server) Kill() error {
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending Redis: %w", err)
	}
	_ = s.cmd.Wait()
	return nil
}

// Signal sends the server a signal: SIGSTOP has it answer no more, until SIGCONT.
func (s *Server) Signal(signal syscall.Signal) error { return s.cmd.Process.Signal(signal) }

// Remove ends the server and removes its folder.
func (s *Server) Remove() error { return errors.Join(s.Kill(), os.RemoveAll(s.dir)) }

// CLI runs redis-cli with a command, whose last argument is what stdin has, unless that is "".
func (s *Server) CLI(stdin string, args ...string) (string, error) {
	args = append([]string{"-s", s.Socket, "-e"}, args...)
	if stdin != "" {
		args = append([]string{"-x"}, args...)
	}
	cmd := exec.Command("redis-cli", args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("redis-cli %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}

// Start starts a server that ends with the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s, err := Serve("", args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Remove(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Do is CLI for tests.
func (s *Server) Do(t testing.TB, args ...string) string {
	t.Helper()
	out, err := s.CLI("", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Put sets a key to a text as it is.
func (s *Server) Put(t testing.TB, key, text string) {
	t.Helper()
	if _, err := s.CLI(text, "set", key); err != nil {
		t.Fatal(err)
	}
}

// URI is where clients connect.
func (s *Server) URI() string { return "unix://" + s.Socket }

// log reads what a server says.
type log struct {
	ready, ended chan struct{}

	mu   sync.Mutex
	said bytes.Buffer
}

func (l *log) read(out io.ReadCloser) {
	defer out.Close()
	defer close(l.ended)
	told := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		l.mu.Lock()
		l.said.Write(append(lines.Bytes(), '\n'))
		l.mu.Unlock()
		// Of its two ways to be reached the socket is told last.
		if !told && bytes.Contains(lines.Bytes(), []byte("ready to accept connections at")) {
			told = true
			close(l.ready)
		}
	}
}

func (l *log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.String()
}
