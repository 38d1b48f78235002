package e2e

import (
	"context"
	"errors"
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
	out, err := site.Fenceline{Program: program, State: state}.Run(t.Context(), args...)
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
		args []string
		says string
	}{
		"unknown command":   {[]string{"rolback"}, "rollback"},
		"unknown flag":      {[]string{"status", "--colour"}, "--colour"},
		"unknown format":    {[]string{"status", "-o", "xml"}, "xml"},
		"unknown role":      {[]string{"run", "cook"}, "cook"},
		"missing argument":  {[]string{"cancel"}, "BUILD"},
		"too many":          {[]string{"rollback", "a", "b"}, "rollback"},
		"unknown component": {[]string{"config", "get", "router", "x"}, "fence"},
	} {
		t.Run(name, func(t *testing.T) {
			said := fails(t, shared.get(t).State, 2, test.args...)
			if !strings.Contains(said, test.says) {
				t.Errorf("it says %q, without %q", said, test.says)
			}
		})
	}
}

func TestNoServer(t *testing.T) {
	dir := t.TempDir()
	said := fails(t, dir, 1, "status")
	for _, want := range []string{"client.json", "fenceline up"} {
		if !strings.Contains(said, want) {
			t.Errorf("it says %q, without %q", said, want)
		}
	}
}

// upFails starts `fenceline up` where it has to refuse, and returns what it said.
func upFails(t *testing.T, s *stack) string {
	t.Helper()
	args := []string{"up", "--state", s.State, "--config", s.config(), "--listen", s.http, "--registry-listen", s.registry,
		"--nats-listen", s.nats, "--buildkitd", tool("buildkitd"), "--runc", tool("runc")}
	p, err := site.Start(site.Program{Path: s.Program, Args: args, Dir: s.dir})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	await(t, "fenceline up to refuse", func(context.Context) error {
		select {
		case <-p.Done():
			return nil
		default:
			return errors.New("it runs: " + p.Tail(20))
		}
	})
	if p.ExitCode() != 1 {
		t.Errorf("it ended with status %d, want 1:\n%s", p.ExitCode(), p.Tail(20))
	}
	return p.Output()
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
		s := fresh(t)
		s.State = shared.get(t).State
		if said := upFails(t, s); !strings.Contains(said, s.State) || !strings.Contains(said, "process") {
			t.Errorf("it says %q, without the folder and the process", said)
		}
		shared.get(t).must(t, "status")
	})
	t.Run("a folder of another version", func(t *testing.T) {
		s := fresh(t)
		if err := os.MkdirAll(s.State, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.State, "version"), []byte("99\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if said := upFails(t, s); !strings.Contains(said, "99") || !strings.Contains(said, s.State) {
			t.Errorf("it says %q, without the folder and its version", said)
		}
		if got := read(t, filepath.Join(s.State, "version")); got != "99\n" {
			t.Errorf("it wrote %q over the folder's version", got)
		}
	})
	for _, port := range []string{"http", "registry", "nats"} {
		t.Run("a port in use: "+port, func(t *testing.T) {
			s := fresh(t)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			*map[string]*string{"http": &s.http, "registry": &s.registry, "nats": &s.nats}[port] = l.Addr().String()
			if said := upFails(t, s); !strings.Contains(said, l.Addr().String()) {
				t.Errorf("it says %q, without the address", said)
			}
		})
	}
	t.Run("a pipeline file with mistakes", func(t *testing.T) {
		s := fresh(t)
		bad := strings.Replace(read(t, s.config()), "image:", "imagge:", 1)
		if err := os.WriteFile(s.config(), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if said := upFails(t, s); !strings.Contains(said, "fenceline.yaml:5") || !strings.Contains(said, "imagge") {
			t.Errorf("it says %q, without file, line and field", said)
		}
	})
}

// TestShutdown stops `fenceline up` as Ctrl-C does: it ends soon, with status 0, and leaves
// no process behind.
func TestShutdown(t *testing.T) {
	s := own(t, []pipeline{{name: "one"}})
	began := time.Now()
	if err := s.up.Stop(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v to end", took)
	}
	for _, address := range []string{s.http, s.registry, s.nats} {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			t.Errorf("something still listens on %s", address)
		}
	}
}
