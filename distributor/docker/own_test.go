//go:build linux

package docker_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fenceline/fenceline/distributor/content"
	"github.com/fenceline/fenceline/distributor/docker"
)

// own is a Docker engine that a test may kill and whose disk it may fill: a dockerd with
// namespaces of its own, so that nothing of it outlives the test and no other engine notices it.
type own struct {
	t      *testing.T
	dir    string
	kind   kind
	path   string // where programs are looked for
	world  *world
	thread chan func() // run on the thread that has the engine's network
	daemon *exec.Cmd
	opened *os.File // the socket that it listens on, where systemd would have opened it
}

// kind says how an engine is unlike others.
type kind struct {
	today  bool                            // it is the one that scripts/programs builds, with its default store; else the machine's program with the classic one
	old    bool                            // it is Docker 1.3, which scripts/oldengine builds
	disk   string                          // MiB of the disk with its images; "" is the machine's
	loop   bool                            // that disk is a file with an ext4, on a loop device; else it is memory, whose size can be changed
	opened bool                            // its socket is open while it is down, as under systemd
	blind  bool                            // the agent reaches no registry, so that it can't tell what a pull needs
	behind func(http.Handler) http.Handler // what its registry is behind, or nil
}

// eachKind runs a test on engines of its own: the machine's program, and that of today.
func eachKind(t *testing.T, test func(*testing.T, kind)) {
	t.Run("the machine's", func(t *testing.T) { test(t, kind{}) })
	t.Run("today's", func(t *testing.T) { test(t, kind{today: true}) })
}

// ownEngine starts an engine, and a registry that only it reaches.
func ownEngine(t *testing.T, k kind) *own {
	t.Helper()
	if k.old {
		needsOldCgroups(t)
	}
	t.Parallel() // most of such a test is waiting
	if os.Geteuid() != 0 {
		t.Fatal("this test starts a dockerd of its own, which needs root: run it as root (sudo -E make test)")
	}
	path := os.Getenv("PATH")
	if k.today {
		path = filepath.Dir(made(t, "engine/dockerd", "scripts/programs engine")) + ":" + path
	} else if k.old {
		path = filepath.Dir(made(t, "oldengine/docker", "scripts/oldengine")) + ":" + path
	} else if _, err := exec.LookPath("dockerd"); err != nil {
		t.Fatalf("this test starts a dockerd of its own: run make setup, or install Docker Engine: %v", err)
	}
	// Paths of sockets are short.
	dir, err := os.MkdirTemp("", "own")
	if err != nil {
		t.Fatal(err)
	}
	o := &own{t: t, dir: dir, kind: k, path: path, thread: make(chan func())}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	if err := os.MkdirAll(o.store(), 0o711); err != nil {
		t.Fatal(err)
	}
	if k.disk != "" {
		if k.loop {
			o.loop()
		} else {
			o.disk(0, k.disk)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(o.store(), unix.MNT_DETACH); err != nil {
				t.Errorf("cleaning up: %v", err)
			}
		})
	}
	o.isolate()
	o.world = o.site().newWorld(t, k.behind)
	if k.opened {
		o.open()
	}
	o.start()
	t.Cleanup(func() { o.stop(syscall.SIGTERM) })
	return o
}

func (o *own) root() string   { return filepath.Join(o.dir, "root") }
func (o *own) sock() string   { return filepath.Join(o.dir, "sock") }
func (o *own) socket() string { return "unix://" + o.sock() }

// store is the folder with the images: that of the containerd of an engine of today, or the engine's own.
func (o *own) store() string {
	if o.kind.today {
		return filepath.Join(o.dir, "images")
	}
	return o.root()
}

// open opens the engine's socket, and leaves it open while the engine is down.
func (o *own) open() {
	o.t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: o.sock(), Net: "unix"})
	if err != nil {
		o.t.Fatal(err)
	}
	defer l.Close()
	l.SetUnlinkOnClose(false)
	if o.opened, err = l.File(); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = o.opened.Close() })
}

// disk mounts the disk with the images, or with unix.MS_REMOUNT changes its size.
func (o *own) disk(flags uintptr, mib string) {
	o.t.Helper()
	if err := unix.Mount("tmpfs", o.store(), "tmpfs", flags, "size="+mib+"m"); err != nil {
		o.t.Fatalf("mounting a small disk: %v", err)
	}
}

// loop mounts the disk with the images from a file.
func (o *own) loop() {
	o.t.Helper()
	file := filepath.Join(o.dir, "disk")
	for _, command := range [][]string{
		{"truncate", "-s", o.kind.disk + "M", file}, {"mkfs.ext4", "-q", "-m", "0", file}, {"mount", "-o", "loop", file, o.store()},
	} {
		if said, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			o.t.Fatalf("making a small disk on a loop device, which needs root, e2fsprogs and /dev/loop-control: %v: %v: %s", command, err, said)
		}
	}
}

// isolate makes the thread with a network of its own. It ends with the test, and so does what it started.
func (o *own) isolate() {
	o.t.Helper()
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		ready <- loopback()
		for f := range o.thread {
			f()
		}
	}()
	o.t.Cleanup(func() { close(o.thread) })
	if err := <-ready; err != nil {
		o.t.Fatalf("making a network namespace: %v", err)
	}
}

// loopback moves the calling thread to a new network that has a loopback interface.
func loopback() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo)
}

// on runs f on the thread with the engine's network.
func (o *own) on(f func() error) {
	o.t.Helper()
	done := make(chan error)
	o.thread <- func() { done <- f() }
	if err := <-done; err != nil {
		o.t.Fatal(err)
	}
}

// site is where images for the engine come from: registries in the engine's network, where the test
// can't reach them, so that pushes go to their handlers.
func (o *own) site() *site {
	return &site{host: o.socket(), reach: &http.Transport{DialContext: o.dial, DisableKeepAlives: true}, apart: true, listen: func(t *testing.T) (listener net.Listener) {
		o.on(func() (err error) {
			listener, err = net.Listen("tcp", "127.0.0.1:0")
			return err
		})
		return listener
	}}
}

// direct sends requests to a handler without a network between.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	d.ServeHTTP(recorder, r)
	answer := recorder.Result()
	answer.Request = r
	return answer, nil
}

// start starts dockerd, and returns when it answers. It hides the machine's own containerd,
// which would be used for both engines.
func (o *own) start() {
	o.t.Helper()
	const script = `mount -t proc proc /proc
[ ! -d /run/containerd ] || mount -t tmpfs none /run/containerd
echo "$2" >"$0/config.json"
rm -f "$0/pid" "$0/exec/containerd/containerd.pid" # of a killed one: these numbers are soon another's here
rm -f "$0/containerd.sock"
if [ -n "$3" ]; then
  containerd --config "$3" &
  until [ -S "$0/containerd.sock" ]; do sleep 0.1; done # dockerd ends where nothing listens there yet
fi
if [ -n "$4" ]; then
  exec docker -d -H "$1" -g "$0/root" -p "$0/pid" --bridge none --iptables=false -s vfs
fi
exec dockerd ${3:+--containerd "$0/containerd.sock"} --config-file "$0/config.json" --data-root "$0/root" --exec-root "$0/exec" --pidfile "$0/pid" \
  --host "$1" --exec-opt native.cgroupdriver=cgroupfs \
  --bridge none --iptables=false --ip6tables=false`
	log, err := os.OpenFile(filepath.Join(o.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		o.t.Fatal(err)
	}
	defer log.Close()
	host := o.socket()
	if o.opened != nil {
		host = "fd://"
	}
	config, containerd := `{"storage-driver": "overlay2", "features": {"containerd-snapshotter": false}}`, ""
	if o.kind.today {
		config = `{"seccomp-profile": "unconfined"}` // its runc has no seccomp
		containerd = o.containerd()
	}
	old := ""
	if o.kind.old {
		old = "yes"
	}
	o.daemon = exec.Command("sh", "-e", "-c", script, o.dir, host, config, containerd, old)
	o.daemon.Env = append(os.Environ(), "PATH="+o.path)
	o.daemon.Stdout, o.daemon.Stderr = log, log
	if o.opened != nil {
		o.daemon.ExtraFiles = []*os.File{o.opened}
		o.daemon.Env = append(o.daemon.Env, "LISTEN_FDS=1", "LISTEN_PID=1") // it is the first in its PID namespace
	}
	o.daemon.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	o.on(o.daemon.Start)
	e := o.client()
	o.until("the engine answers", func(ctx context.Context) bool {
		_, err := e.Info(ctx)
		return err == nil
	})
}

// containerd writes the configuration of the containerd that an engine of today works with. As on most
// machines it keeps images elsewhere than the engine keeps the rest.
func (o *own) containerd() string {
	o.t.Helper()
	file := filepath.Join(o.dir, "containerd.toml")
	text := fmt.Sprintf("version = 3\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.cri.v1.runtime\", \"io.containerd.cri.v1.images\"]\n[grpc]\naddress = %q\n",
		o.store(), filepath.Join(o.dir, "exec", "containerd-state"), filepath.Join(o.dir, "containerd.sock"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
	return file
}

// dial connects to where the engine can.
func (o *own) dial(_ context.Context, network, address string) (c net.Conn, err error) {
	done := make(chan error)
	o.thread <- func() {
		c, err = net.Dial(network, address)
		done <- err
	}
	return c, <-done
}

// client is a client of the engine that reaches what the engine does.
func (o *own) client() *docker.Engine {
	o.t.Helper()
	var through http.RoundTripper = &http.Transport{DialContext: o.dial, DisableKeepAlives: true}
	if o.kind.blind {
		through = nil
	}
	e, err := docker.New(docker.Config{Host: o.socket(), Transport: through})
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = e.Close() })
	e.FeedFrom(content.New(content.Config{Transport: through}))
	return e
}

// stop ends dockerd, and with it all that it started.
func (o *own) stop(s os.Signal) {
	if o.daemon == nil {
		return
	}
	daemon := o.daemon
	o.daemon = nil
	if err := daemon.Process.Signal(s); err != nil {
		o.t.Errorf("stopping the engine: %v", err)
	}
	overdue := time.AfterFunc(30*time.Second, func() { _ = daemon.Process.Kill() })
	defer overdue.Stop()
	_ = daemon.Wait() // it ends by the signal
}

// until waits for a condition.
func (o *own) until(what string, holds func(context.Context) bool) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(o.dir, "log"))
			lines := strings.Split(string(log), "\n")
			o.t.Fatalf("it did not come to pass that %s; the engine's last lines:\n%s", what, strings.Join(lines[max(len(lines)-20, 0):], "\n"))
		}
	}
}
