package docker_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
)

// engine is the machine's Docker engine. Its absence fails the test.
func engine(t *testing.T) *docker.Engine {
	t.Helper()
	e, err := docker.New(docker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := e.Info(ctx); err != nil {
		t.Fatalf("these tests need a Docker engine: run make setup, or set DOCKER_HOST: %v", err)
	}
	return e
}

// busybox is a static shell with its tools, for images made here.
func busybox(t *testing.T) []byte {
	t.Helper()
	file := os.Getenv("FENCELINE_BUSYBOX")
	for dir, _ := os.Getwd(); file == "" && dir != "/"; dir = filepath.Dir(dir) {
		if f := filepath.Join(dir, ".fenceline/base/busybox"); exists(f) {
			file = f
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("these tests need a static busybox: run make setup, or name one in FENCELINE_BUSYBOX: %v", err)
	}
	return b
}

func exists(file string) bool { _, err := os.Stat(file); return err == nil }

// world is a registry of its own with images of its own.
type world struct {
	host, fleet string
	base        v1.Layer
	handler     http.Handler    // of the registry
	options     []remote.Option // of pushes
}

// newWorld serves the registry behind the given middleware.
func newWorld(t *testing.T, behind ...func(http.Handler) http.Handler) *world {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	for _, wrap := range behind {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &world{
		handler: handler,
		host:    strings.TrimPrefix(server.URL, "http://"),
		fleet:   "test-" + messages.NewID(),
		base:    layer(t, map[string]string{"bin/busybox": string(busybox(t)), "bin/sh": "->busybox"}),
	}
}

// layer makes a layer of executable files; a content of "->TARGET" makes a link. Each is
// unlike any other, so that no engine has it already.
func layer(t *testing.T, files map[string]string) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, content string) {
		h.Size, h.Mode = int64(len(content)), 0o755
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	for file, content := range files {
		if link, ok := strings.CutPrefix(content, "->"); ok {
			add(tar.Header{Name: file, Typeflag: tar.TypeSymlink, Linkname: link}, "")
			continue
		}
		add(tar.Header{Name: file, Typeflag: tar.TypeReg}, content)
	}
	add(tar.Header{Name: "unique", Typeflag: tar.TypeReg}, messages.NewID()+fmt.Sprint(rand.Uint64()))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// push makes an image of layers.
func (w *world) push(t *testing.T, layers ...v1.Layer) messages.Image {
	t.Helper()
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", goarch
	config.Config.Cmd = []string{"/bin/sh", "-c", "exit 9"} // must not be what a trial runs
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(w.host + "/" + w.fleet + "@" + digest.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image, w.options...); err != nil {
		t.Fatal(err)
	}
	return messages.Image(ref.String())
}

// hooked makes an image with a shell and hooks.
func (w *world) hooked(t *testing.T, hooks map[string]string, more ...v1.Layer) messages.Image {
	t.Helper()
	return w.push(t, append([]v1.Layer{w.base, hookLayer(t, hooks)}, more...)...)
}

func hookLayer(t *testing.T, hooks map[string]string) v1.Layer {
	files := map[string]string{}
	for name, text := range hooks {
		files[strings.TrimPrefix(path.Join(enginetest.HooksDir, name), "/")] = text
	}
	return layer(t, files)
}

// forget removes everything of the world from the engine.
func (w *world) forget(t *testing.T, e *docker.Engine) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	images, err := e.Images(ctx)
	if err != nil {
		t.Errorf("cleaning up: %v", err)
	}
	for _, i := range images {
		for _, n := range append(i.Digests, i.Tags...) {
			if strings.Contains(n, w.fleet) {
				if err := e.Remove(ctx, n); err != nil {
					t.Errorf("cleaning up: %v", err)
				}
			}
		}
	}
}

const greet = "#!/bin/sh\necho \"${0##*/} $FENCELINE_TRIAL\"\n"

func TestEngineConforms(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) enginetest.Fixture {
		e, w := engine(t), newWorld(t)
		t.Cleanup(func() { w.forget(t, e) })
		hooks := hookLayer(t, map[string]string{"pre-staging": greet, "pre-running": greet})
		one := func(text string) messages.Image { return w.hooked(t, map[string]string{"pre-running": text}) }
		none := "@sha256:" + strings.Repeat("0", 64)
		return enginetest.Fixture{
			Engine:      e,
			Fleet:       w.fleet,
			Good:        w.push(t, w.base, hooks),
			Next:        w.push(t, w.base, hooks, layer(t, map[string]string{"etc/small": "x"})),
			Failing:     one("#!/bin/sh\ni=1; while [ $i -le 30 ]; do echo line $i; i=$((i+1)); done\nexit 3\n"),
			Hanging:     one("#!/bin/sh\necho waiting\nwhile :; do /bin/busybox sleep 1; done\n"),
			Bare:        one("echo bare\n"),
			Plain:       w.push(t, w.base),
			NoShell:     w.push(t, layer(t, map[string]string{"etc/motd": "hello"})),
			Missing:     messages.Image(w.host + "/" + w.fleet + none),
			Unreachable: messages.Image(closedPort(t) + "/" + w.fleet + none),
		}
	})
}

// closedPort is an address at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestAnEngineThatIsGoneIsNamed(t *testing.T) {
	socket := "unix://" + filepath.Join(t.TempDir(), "docker.sock")
	e, err := docker.New(docker.Config{Host: socket})
	if err != nil {
		t.Fatal(err)
	}
	image := messages.Image("registry.example/base@sha256:" + strings.Repeat("0", 64))
	for doing, call := range map[string]func() error{
		"info":   func() error { _, err := e.Info(t.Context()); return err },
		"images": func() error { _, err := e.Images(t.Context()); return err },
		"pull":   func() error { _, err := e.Pull(t.Context(), image, func(int64) {}); return err },
		"free":   func() error { _, err := e.FreeBytes(t.Context()); return err },
		"watch":  func() error { return e.Watch(t.Context(), func() {}) },
		"trial": func() error {
			_, err := e.Trial(t.Context(), distributor.Trial{Image: image, Timeout: time.Minute})
			return err
		},
	} {
		if err := call(); !errors.Is(err, distributor.ErrEngine) || !strings.Contains(err.Error(), socket) {
			t.Errorf("%s: %v, want ErrEngine with the socket named", doing, err)
		}
	}
}

func TestWhatTheEngineSaysOfItself(t *testing.T) {
	e := engine(t)
	info, err := e.Info(t.Context())
	if err != nil || info.Name != "docker" || info.Version == "" || info.API == "" || info.Error != "" {
		t.Errorf("info %+v, error %v", info, err)
	}
	if free, err := e.FreeBytes(t.Context()); err != nil || free == 0 {
		t.Errorf("%d bytes are free, error %v", free, err)
	}
}

func TestAHostThatIsNoAddressIsRefused(t *testing.T) {
	if _, err := docker.New(docker.Config{Host: "no-address"}); err == nil || !strings.Contains(err.Error(), "no-address") {
		t.Fatalf("error %v, want one that names the address", err)
	}
}

// A killed agent leaves its container; only its own successor removes it.
func TestLeftContainersAreRemovedByTheirOwner(t *testing.T) {
	e, w := engine(t), newWorld(t)
	t.Cleanup(func() { w.forget(t, e) })
	image := w.hooked(t, map[string]string{"pre-running": "#!/bin/sh\nexit 0\n"})
	if _, err := e.Pull(t.Context(), image, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	left := w.leave(t, image)
	if n, err := e.RemoveTrials(t.Context(), "somebody.else"); n != 0 || err != nil {
		t.Fatalf("somebody else removed %d, error %v", n, err)
	}
	if got, err := e.Containers(t.Context()); err != nil || contains(got, left) {
		t.Fatalf("a trial's container counts as one of an app: %v, error %v", got, err)
	}
	if n, err := e.RemoveTrials(t.Context(), w.fleet+".node"); n != 1 || err != nil {
		t.Fatalf("removed %d, error %v; want the one", n, err)
	}
}

func contains(all []distributor.Container, name string) bool {
	for _, c := range all {
		if c.Name == name {
			return true
		}
	}
	return false
}

// A running container is reported with what it was started from, and keeps its image.
func TestARunningContainerKeepsItsImage(t *testing.T) {
	e, w := engine(t), newWorld(t)
	t.Cleanup(func() { w.forget(t, e) })
	image := w.push(t, w.base)
	if _, err := e.Pull(t.Context(), image, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	name := w.runApp(t, image)
	got, err := e.Containers(t.Context())
	if err != nil || !contains(got, name) {
		t.Fatalf("got %v without %s, error %v", got, name, err)
	}
	for _, c := range got {
		if c.Name == name && (c.Image != string(image) || !c.Running || c.ImageID == "") {
			t.Errorf("got %+v", c)
		}
	}
	if err := e.Remove(t.Context(), string(image)); err == nil {
		t.Error("the engine removed an image that a container runs")
	}
}
