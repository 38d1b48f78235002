// Package buildkittest runs a real buildkitd and a registry for tests.
package buildkittest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fenceline/fenceline/standalone"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/buildkit/client"
)

// Daemon is a running buildkitd.
type Daemon struct {
	Address string // for buildkit.Config

	command *exec.Cmd
	log     bytes.Buffer
	ended   chan struct{}
}

// Start starts a buildkitd with nothing in its cache, which ends with the test.
func Start(t testing.TB) *Daemon {
	t.Helper()
	// A socket's path may have 107 bytes, fewer than some tests' folders.
	dir, err := os.MkdirTemp("", "bk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(standalone.UnmountBelow(dir), os.RemoveAll(dir)); err != nil {
			t.Errorf("removing what buildkitd left: %v", err)
		}
	})
	return StartIn(t, dir)
}

// StartIn starts a buildkitd with its state in dir, as one did before perhaps.
func StartIn(t testing.TB, dir string) *Daemon {
	t.Helper()
	binary := Program(t, "FENCELINE_BUILDKITD", "bin/buildkitd")
	d := &Daemon{Address: "unix://" + filepath.Join(dir, "s"), ended: make(chan struct{})}
	config := filepath.Join(dir, "buildkitd.toml")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.command = exec.Command(binary, "--config", config, "--root", filepath.Join(dir, "root"), "--addr", d.Address, "--oci-worker-net=host")
	d.command.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "XDG_RUNTIME_DIR="+dir)
	d.command.Stdout, d.command.Stderr = &d.log, &d.log
	d.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := d.command.Start(); err != nil {
		t.Fatalf("starting %s: %v", binary, err)
	}
	go func() {
		_ = d.command.Wait()
		close(d.ended)
	}()
	t.Cleanup(func() {
		d.Signal(t, syscall.SIGCONT)
		d.Signal(t, syscall.SIGTERM)
		select {
		case <-d.ended:
		case <-time.After(time.Minute):
			d.Signal(t, syscall.SIGKILL)
			<-d.ended
		}
		if t.Failed() {
			t.Logf("buildkitd's log:\n%s", d.log.String())
		}
	})
	d.await(t)
	return d
}

func (d *Daemon) await(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c, err := client.New(ctx, d.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Wait(ctx); err != nil {
		t.Fatalf("buildkitd did not start: %v\n%s", err, d.log.String())
	}
}

// Signal sends a signal to the daemon.
func (d *Daemon) Signal(t testing.TB, s syscall.Signal) {
	select {
	case <-d.ended:
	default:
		if err := d.command.Process.Signal(s); err != nil {
			t.Logf("sending %v to buildkitd: %v", s, err)
		}
	}
}

// Kill ends the daemon as a crash would, and waits until it is gone.
func (d *Daemon) Kill(t testing.TB) {
	d.Signal(t, syscall.SIGKILL)
	<-d.ended
}

// Program finds a program or file that "make setup" provides: named by an environment
// variable, or under .fenceline in the checkout.
func Program(t testing.TB, variable, path string) string {
	t.Helper()
	if p := os.Getenv(variable); p != "" {
		return p
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatalf("no go.mod above the test: set %s", variable)
		}
	}
	p := filepath.Join(dir, ".fenceline", filepath.FromSlash(path))
	if _, err := os.Stat(p); err != nil {
		t.Fatalf("this test needs .fenceline/%s: run make setup, or set %s (%v)", path, variable, err)
	}
	return p
}

// Registry is an OCI registry in this process.
type Registry struct {
	Host string // address, for image names

	server *httptest.Server
	answer atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

// NewRegistry starts an empty registry that ends with the test.
func NewRegistry(t testing.TB) *Registry {
	t.Helper()
	r := new(Registry)
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if f := r.answer.Load(); f != nil && (*f)(w, q) {
			return
		}
		inner.ServeHTTP(w, q)
	}))
	t.Cleanup(r.server.Close)
	r.Host = strings.TrimPrefix(r.server.URL, "http://")
	return r
}

// Refuse answers requests with the status that f returns, unless that is 0. A nil f refuses
// nothing any more.
func (r *Registry) Refuse(f func(*http.Request) int) {
	r.Answer(func(w http.ResponseWriter, q *http.Request) bool {
		if f == nil {
			return false
		}
		status := f(q)
		if status != 0 {
			w.WriteHeader(status)
		}
		return status != 0
	})
}

// Answer lets f answer the requests for which it returns true.
func (r *Registry) Answer(f func(http.ResponseWriter, *http.Request) bool) { r.answer.Store(&f) }

// Close ends the registry: nothing answers at its address.
func (r *Registry) Close() { r.server.Close() }

// Image reads an image back.
func (r *Registry) Image(t testing.TB, ref string) v1.Image {
	t.Helper()
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	i, err := remote.Image(parsed)
	if err != nil {
		t.Fatalf("reading %s: %v", ref, err)
	}
	return i
}

// Append makes a tag name its image with more layers.
func (r *Registry) Append(t testing.TB, tag string, layers ...v1.Layer) {
	t.Helper()
	ref, err := name.NewTag(tag)
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(r.Image(t, tag), layers...)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatalf("pushing %s: %v", tag, err)
	}
}

// File is a file of a base image. A Link makes it a symbolic link.
type File struct {
	Name, Content, Link string
	Mode                int64
}

// PushBase pushes an image of these files and returns its reference.
func (r *Registry) PushBase(t testing.TB, repository string, files ...File) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.Name, Mode: f.Mode, Size: int64(len(f.Content)), Typeflag: tar.TypeReg}
		if f.Mode == 0 {
			h.Mode = 0o644
		}
		if f.Link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.Link
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.Content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	if image, err = mutate.ConfigFile(image, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: must(image.ConfigFile()).RootFS,
		Config: v1.Config{Env: []string{"PATH=/bin"}}}); err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewTag(r.Host + "/" + repository)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatalf("pushing %s: %v", ref, err)
	}
	return ref.String()
}

func must(c *v1.ConfigFile, err error) *v1.ConfigFile {
	if err != nil {
		panic(err)
	}
	return c
}

// Busybox pushes a base image with busybox as its shell.
func (r *Registry) Busybox(t testing.TB, repository string, more ...File) string {
	t.Helper()
	b, err := os.ReadFile(Program(t, "FENCELINE_BUSYBOX", "base/busybox"))
	if err != nil {
		t.Fatal(err)
	}
	files := []File{{Name: "bin/busybox", Content: string(b), Mode: 0o755}, {Name: "etc/os-release", Content: "NAME=busybox\n"}}
	for _, n := range []string{"sh", "cat", "echo", "sleep", "mkdir", "true", "false", "touch", "chmod", "ln", "rm", "seq", "ls", "cp"} {
		files = append(files, File{Name: "bin/" + n, Link: "busybox"})
	}
	return r.PushBase(t, repository, append(files, more...)...)
}
