package docker_test

import (
	"archive/tar"
	"bytes"
	"context"
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
	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/content"
	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
)

// site is an engine, and where its images come from.
type site struct {
	host   string                          // of the engine; "" is the machine's
	reach  http.RoundTripper               // to where the engine's registries are; nil for the test's own
	apart  bool                            // the test can't reach what the engine can
	listen func(t *testing.T) net.Listener // where the engine reaches a registry
}

// eachEngine runs a test against the machine's engine, and against one of today with its default store.
func eachEngine(t *testing.T, test func(*testing.T, *site)) {
	t.Run("the machine's", func(t *testing.T) { test(t, machine()) })
	t.Run("today's", func(t *testing.T) { test(t, ownEngine(t, kind{today: true}).site()) })
}

// machine is the machine's own engine.
func machine() *site {
	return &site{listen: func(t *testing.T) net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}}
}

// engine is a client of the engine. Its absence fails the test.
func (s *site) engine(t *testing.T) *docker.Engine {
	t.Helper()
	e, err := docker.New(docker.Config{Host: s.host, Transport: s.reach})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	e.FeedFrom(content.New(content.Config{Transport: s.reach}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := e.Info(ctx); err != nil {
		t.Fatalf("these tests need a Docker engine: run make setup, or set DOCKER_HOST: %v", err)
	}
	return e
}

// api is a client of the engine that can do what the adapter has no need of.
func (s *site) api(t *testing.T) *client.Client {
	t.Helper()
	options := []client.Opt{client.FromEnv}
	if s.host != "" {
		options = append(options, client.WithHost(s.host))
	}
	api, err := client.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = api.Close() })
	return api
}

// busybox is a static shell with its tools, for images made here.
func busybox(t *testing.T) []byte {
	t.Helper()
	file := os.Getenv("FENCELINE_BUSYBOX")
	if file == "" {
		file = made(t, "base/busybox", "make setup, or name a static busybox in FENCELINE_BUSYBOX")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// made is a file that the setup made in .fenceline. Its absence fails the test.
func made(t *testing.T, file, by string) string {
	t.Helper()
	for dir, _ := os.Getwd(); dir != "/"; dir = filepath.Dir(dir) {
		if f := filepath.Join(dir, ".fenceline", file); exists(f) {
			return f
		}
	}
	t.Fatalf("this test needs .fenceline/%s: run %s", file, by)
	return ""
}

func exists(file string) bool { _, err := os.Stat(file); return err == nil }

// world is a registry of its own with images of its own.
type world struct {
	at          *site
	host, fleet string
	base        v1.Layer
	handler     http.Handler // of the registry
	blobs       registry.BlobHandler
	options     []remote.Option // of pushes
}

// newWorld serves the registry behind the given middleware, or nil.
func (s *site) newWorld(t *testing.T, behind func(http.Handler) http.Handler) *world {
	t.Helper()
	blobs := registry.NewDiskBlobHandler(t.TempDir())
	w := &world{
		at: s, handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithBlobHandler(blobs)), blobs: blobs, fleet: "test-" + messages.NewID(),
		base: layer(t, map[string]string{"bin/busybox": string(busybox(t)), "bin/sh": "->busybox"}),
	}
	handler := w.handler
	if behind != nil {
		handler = behind(handler)
	}
	server := &httptest.Server{Listener: s.listen(t), Config: &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}}
	server.Start()
	t.Cleanup(server.Close)
	w.host = server.Listener.Addr().String()
	if s.apart {
		w.options = []remote.Option{remote.WithTransport(direct{w.handler})}
	}
	return w
}

// content opens what an image is made of, from the registry or mirrors.
func (w *world) content(t *testing.T, image messages.Image, mirrors ...messages.Mirror) distributor.Content {
	t.Helper()
	c := content.Config{}
	if w.at.apart {
		c.Transport = direct{w.handler}
	}
	got, err := content.New(c).Open(image, mirrors)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// layer makes a layer of executable files; a content of "->TARGET" makes a link. Each is
// unlike any other, so that no engine has it already.
func layer(t *testing.T, files map[string]string) v1.Layer {
	t.Helper()
	return tarLayer(t, 0o755, files)
}

// modeLayer makes a layer of one file.
func modeLayer(t *testing.T, file, content string, mode int64) v1.Layer {
	t.Helper()
	return tarLayer(t, mode, map[string]string{file: content})
}

func tarLayer(t *testing.T, mode int64, files map[string]string) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, content string) {
		h.Size, h.Mode = int64(len(content)), mode
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

// keep gives the registry a layer. One that is pushed it would hold in memory, several times over.
func (w *world) keep(t *testing.T, l v1.Layer) {
	t.Helper()
	digest, err := l.Digest()
	if err != nil {
		t.Fatal(err)
	}
	packed, err := l.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	if err := w.blobs.(registry.BlobPutHandler).Put(t.Context(), w.fleet, digest, packed); err != nil {
		t.Fatal(err)
	}
}

// push makes an image of layers.
func (w *world) push(t *testing.T, layers ...v1.Layer) messages.Image {
	t.Helper()
	return w.pushWith(t, func(*v1.Config) {}, layers...)
}

// pushWith makes an image of layers, with a change of its configuration.
func (w *world) pushWith(t *testing.T, change func(*v1.Config), layers ...v1.Layer) messages.Image {
	t.Helper()
	for _, l := range layers {
		w.keep(t, l)
	}
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
	change(&config.Config)
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
