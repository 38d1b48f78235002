package exec_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/exec"
	"github.com/fenceline/fenceline/fence/fencetest"
	"github.com/fenceline/fenceline/freeport"
)

// example are the commands of an example, for each fleet a setting.
func example(t *testing.T, name string) *exec.Commands {
	t.Helper()
	script, err := filepath.Abs(filepath.Join("../../examples/fence", name))
	if err == nil {
		_, err = os.Stat(script) // so that go test takes no result for one of another script
	}
	if err != nil {
		t.Fatal(err)
	}
	return commands(t, exec.Config{Get: "'" + script + "' get {fleet}", Set: "'" + script + "' set {fleet}"})
}

// needed is a program that a test runs.
func needed(t *testing.T, name, from string) string {
	t.Helper()
	path, err := osexec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: scripts/etcd installs it (Debian: apt-get install %s)", name, from)
	}
	return path
}

func freePort(t *testing.T) string {
	t.Helper()
	address, err := freeport.Of("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// etcd is a server of a test, in a folder of its own.
type etcd struct {
	dir, client, peer string
	running           *osexec.Cmd
}

func (e *etcd) start(t *testing.T) {
	t.Helper()
	e.running = osexec.Command(needed(t, "etcd", "etcd-server"), "--data-dir", e.dir, "--listen-client-urls", e.client, "--advertise-client-urls", e.client, //nolint:noctx // the test's own; ended below
		"--listen-peer-urls", e.peer, "--initial-advertise-peer-urls", e.peer, "--initial-cluster", "default="+e.peer, "--logger", "zap")
	var said bytes.Buffer
	e.running.Stdout, e.running.Stderr = &said, &said
	if err := e.running.Start(); err != nil {
		t.Fatal(err)
	}
	e.await(t, func() string { return said.String() })
}

// await waits until it answers.
func (e *etcd) await(t *testing.T, said func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		if _, err := e.ctl(ctx, t, "get", "x"); err == nil {
			return
		}
	}
	t.Fatalf("etcd does not answer: %s", said())
}

func (e *etcd) stop() {
	_ = e.running.Process.Kill()
	_ = e.running.Wait()
}

func (e *etcd) ctl(ctx context.Context, t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := osexec.CommandContext(ctx, needed(t, "etcdctl", "etcd-client"), append([]string{"--command-timeout=20s", "--dial-timeout=20s"}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestEtcd runs the example on a real etcd.
func TestEtcd(t *testing.T) {
	t.Setenv("ETCDCTL_API", "3")
	fencetest.Run(t, func(t *testing.T) fencetest.Store {
		e := &etcd{dir: t.TempDir(), client: "http://" + freePort(t), peer: "http://" + freePort(t)}
		t.Setenv("ETCDCTL_ENDPOINTS", e.client)
		e.start(t)
		t.Cleanup(func() { e.stop() })
		c := example(t, "etcd")
		lose := lossy(t)
		return fencetest.Store{
			Open: func() fence.Backend { return c.Fleet("default") },
			Stranger: func(value string) {
				args := []string{"put", "/fence/default/docker/image", value}
				if value == "" {
					args = []string{"del", "/fence/default/docker/image"}
				}
				if out, err := e.ctl(t.Context(), t, args...); err != nil {
					t.Fatalf("etcdctl %v: %v: %s", args, err, out)
				}
			},
			Away: func() func() {
				e.stop()
				return func() { e.start(t) }
			},
			Stall: func() func() {
				_ = e.running.Process.Signal(syscall.SIGSTOP)
				return func() {
					_ = e.running.Process.Signal(syscall.SIGCONT)
					e.await(t, func() string { return "it was stopped" })
				}
			},
			LoseAnswer: lose,
		}
	})
}

// lossy puts an etcdctl before the real one in PATH that fails after each transaction, once its answer is to
// get lost.
func lossy(t *testing.T) func() func() {
	t.Helper()
	dir := t.TempDir()
	program(t, dir, "etcdctl", fmt.Sprintf("#!/bin/sh\n'%s' \"$@\" || exit\ncase \"$*\" in *txn*) if [ -e '%s/lose' ]; then exit 1; fi ;; esac\n", needed(t, "etcdctl", "etcd-client"), dir))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() func() {
		if err := os.WriteFile(filepath.Join(dir, "lose"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return func() { _ = os.Remove(filepath.Join(dir, "lose")) }
	}
}

// consulStandIn answers as consul's kv commands are documented to: Debian has no consul.
const consulStandIn = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
case $(cat mode 2>/dev/null) in
away) echo 'Error querying Consul agent: connection refused'; exit 1 ;;
stall) sleep 3600 ;;
esac
exec 9>lock; flock 9
index=$(cat index 2>/dev/null)
case "$2" in
get)
	if ! [ -e value ]; then echo "Error! No key exists at: $4"; exit 1; fi
	printf 'CreateIndex      1\nFlags            0\nKey              %s\nLockIndex        0\nModifyIndex      %s\nSession          -\nValue            %s\n' "$4" "$index" "$(cat value)" ;;
put)
	want=${4#-modify-index=}
	[ -e value ] || index=0
	if [ "$want" != "$index" ]; then echo "Error! Did not write to $5: CAS failed"; exit 1; fi
	echo $((next = $(cat count 2>/dev/null || echo 1) + 1)) >count
	printf %s "$6" >value.new && mv value.new value && cp count index
	if [ "$(cat mode 2>/dev/null)" = lose ]; then echo 'Error! EOF'; exit 1; fi
	echo "Success! Data written to: $5" ;;
esac
`

func TestConsul(t *testing.T) {
	fencetest.Run(t, func(t *testing.T) fencetest.Store {
		dir := t.TempDir()
		program(t, dir, "consul", consulStandIn)
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		c := example(t, "consul")
		write := func(file, text string) {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		in := func(mode string) func() func() {
			return func() func() {
				write("mode", mode)
				return func() { _ = os.Remove(filepath.Join(dir, "mode")) }
			}
		}
		return fencetest.Store{
			Open: func() fence.Backend { return c.Fleet("default") },
			Stranger: func(value string) {
				if value == "" {
					_ = os.Remove(filepath.Join(dir, "value"))
					return
				}
				index := fmt.Sprint(time.Now().UnixNano())
				write("value", value)
				write("index", index)
				write("count", index)
			},
			Away: in("away"), Stall: in("stall"), LoseAnswer: in("lose"),
		}
	})
}
