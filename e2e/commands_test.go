package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/demo/site"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// fails runs a command that has to fail with a status, and returns what it said.
func fails(t *testing.T, state string, status int, args ...string) string {
	t.Helper()
	out, err := site.Fenceline{Program: program(), State: state}.Run(t.Context(), args...)
	var failure *site.CommandError
	if !errors.As(err, &failure) {
		t.Fatalf("fenceline %s: %v, with %q; want status %d", strings.Join(args, " "), err, out, status)
	}
	if failure.Status != status {
		t.Errorf("fenceline %s ended with status %d, want %d", strings.Join(args, " "), failure.Status, status)
	}
	if out != "" {
		t.Errorf("fenceline %s wrote %q to stdout, which is for results", strings.Join(args, " "), out)
	}
	return failure.Stderr
}

func TestUsageErrors(t *testing.T) {
	for name, test := range map[string]struct {
		args, says []string
	}{
		"unknown command":   {[]string{"rolback"}, []string{"rolback", "did you mean", "rollback"}},
		"unknown flag":      {[]string{"status", "--colour"}, []string{"--colour", "fenceline status --help"}},
		"unknown format":    {[]string{"status", "-o", "xml"}, []string{"xml", "json"}},
		"unknown role":      {[]string{"run", "cook"}, []string{"cook", "fenceline run --help"}},
		"missing argument":  {[]string{"cancel"}, []string{"BUILD", "--help"}},
		"too many":          {[]string{"rollback", "a", "b"}, []string{"rollback", "--help"}},
		"unknown component": {[]string{"config", "get", "router", "x"}, []string{"router", "fence"}},
	} {
		t.Run(name, func(t *testing.T) {
			says(t, fails(t, shared.get(t).State, 2, test.args...), test.says...)
		})
	}
}

func TestNoServer(t *testing.T) {
	says(t, fails(t, t.TempDir(), 1, "status"), "client.json", "fenceline up")
}

var errRuns = errors.New("it still runs")

// upFails starts `fenceline up` where it has to refuse, and returns what it said.
func (s *stack) upFails(t *testing.T) string {
	t.Helper()
	return refuses(t, site.Program{Path: s.Program, Args: s.upArgs(), Dir: s.dir})
}

func fresh(t *testing.T) *stack {
	t.Helper()
	s, err := newStack(t.TempDir(), []pipeline{{name: "one"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.git.Close() })
	return s
}

func TestUpRefuses(t *testing.T) {
	t.Run("a folder that is in use", func(t *testing.T) {
		running := shared.get(t)
		defer running.unharmed(t, "flow")()
		s := fresh(t)
		s.State = running.State
		says(t, s.upFails(t), s.State, fmt.Sprintf("held by process %d", running.up.PID()), "stop that one, or use a folder of its own")
	})
	t.Run("a folder of another version", func(t *testing.T) {
		s := fresh(t)
		files := map[string]string{"version": "99\n", "nats/jetstream/kept": "of another version\n"}
		for name, content := range files {
			path := filepath.Join(s.State, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		says(t, s.upFails(t), s.State, "99", "run the fenceline that made it, or start with a new folder")
		for name, content := range files {
			if got := read(t, filepath.Join(s.State, name)); got != content {
				t.Errorf("%s of the folder has %q now, not %q", name, got, content)
			}
		}
	})
	for _, port := range []struct {
		flag    string
		address func(*stack) *string
	}{
		{"--listen", func(s *stack) *string { return &s.http }},
		{"--registry-listen", func(s *stack) *string { return &s.registry }},
		{"--nats-listen", func(s *stack) *string { return &s.nats }},
	} {
		t.Run("a port in use: "+port.flag, func(t *testing.T) {
			s := fresh(t)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			*port.address(s) = l.Addr().String()
			says(t, s.upFails(t), l.Addr().String(), "another process uses the port", "choose another with "+port.flag)
		})
	}
	t.Run("a pipeline file with mistakes", func(t *testing.T) {
		s := fresh(t)
		bad := strings.Replace(read(t, s.config()), "image:", "imagge:", 1)
		if err := os.WriteFile(s.config(), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		says(t, s.upFails(t), "fenceline.yaml:5", "imagge", "did you mean")
	})
}

// TestShutdown stops `fenceline up` as Ctrl-C does: it ends soon, with status 0, and leaves
// no process behind.
func TestShutdown(t *testing.T) {
	s := own(t, []pipeline{{name: "one"}})
	if found := running(t, s.dir); len(found) < 2 {
		t.Fatalf("there run only %q, without buildkitd", found)
	}
	began := time.Now()
	if err := s.up.Stop(grace); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > grace-5*time.Second {
		t.Errorf("it took %v to end", took)
	}
	for _, command := range running(t, s.dir) {
		t.Errorf("a process is left: %s", command)
	}
	for _, address := range []string{s.http, s.registry, s.nats} {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			t.Errorf("something still listens on %s", address)
		}
	}
}

// running are the commands of processes that were started with something below a folder.
func running(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, f := range files {
		command, err := os.ReadFile(f) // one that has ended meanwhile has none
		if err == nil && strings.Contains(string(command), dir+"/") {
			commands = append(commands, strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return commands
}
