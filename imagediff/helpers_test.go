package imagediff

import (
	"archive/tar"
	"bytes"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// fatal is what helpers need of a test, or of a property.
type fatal interface {
	Helper()
	Fatal(args ...any)
}

func must(t fatal, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shop is a registry in this process, which notes the blobs that it is asked for.
type shop struct {
	host string

	mu     sync.Mutex
	blobs  map[string]int // by digest
	before func(w http.ResponseWriter, r *http.Request) bool
}

func newShop(t testing.TB) *shop {
	t.Helper()
	s := &shop{blobs: map[string]int{}}
	inner := registry.New(registry.Logger(stdlog.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		if _, digest, is := strings.Cut(r.URL.Path, "/blobs/"); is && r.Method == http.MethodGet {
			s.blobs[digest]++
		}
		before := s.before
		s.mu.Unlock()
		if before == nil || !before(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	return s
}

// asked is how often a blob was asked for since it was looked at last.
func (s *shop) asked(digest v1.Hash) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.blobs[digest.String()]
	delete(s.blobs, digest.String())
	return n
}

// meddle has every request seen first by f, which tells whether it has answered.
func (s *shop) meddle(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// push pushes an image, and returns its name by digest.
func (s *shop) push(t testing.TB, i v1.Image) string {
	t.Helper()
	ref, err := name.ParseReference(s.host + "/base:latest")
	must(t, err)
	must(t, remote.Write(ref, i))
	digest, err := i.Digest()
	must(t, err)
	return s.host + "/base@" + digest.String()
}

// at is a file's path and content; a path that ends in a slash is a folder. "A -> B" is a link, "A = B" a hard one.
type at struct{ path, content string }

// tarOf is a layer of such files.
func tarOf(t fatal, files ...at) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.path, Mode: 0o755, Size: int64(len(f.content)), Typeflag: tar.TypeReg}
		if from, to, is := strings.Cut(f.path, " -> "); is {
			h.Name, h.Linkname, h.Typeflag = from, to, tar.TypeSymlink
		} else if from, to, is := strings.Cut(f.path, " = "); is {
			h.Name, h.Linkname, h.Typeflag = from, to, tar.TypeLink
		} else if strings.HasSuffix(f.path, "/") {
			h.Typeflag = tar.TypeDir
		}
		must(t, w.WriteHeader(h))
		_, err := w.Write([]byte(f.content))
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

// gzipped is a layer as most are.
func gzipped(t testing.TB, b []byte) v1.Layer {
	t.Helper()
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil })
	must(t, err)
	return l
}

// layerOf is a layer of files.
func layerOf(t testing.TB, files ...at) v1.Layer {
	t.Helper()
	return gzipped(t, tarOf(t, files...))
}

// plainLayer is a layer that is not compressed, or something that says so.
func plainLayer(b []byte) v1.Layer { return static.NewLayer(b, types.OCIUncompressedLayer) }

// zstdLayer is a layer in zstd.
func zstdLayer(t testing.TB, b []byte) v1.Layer {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	must(t, err)
	return static.NewLayer(w.EncodeAll(b, nil), types.OCILayerZStd)
}

// imageOf is an image of layers.
func imageOf(t testing.TB, config func(*v1.ConfigFile), layers ...v1.Layer) v1.Image {
	t.Helper()
	i, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	must(t, err)
	var added []mutate.Addendum
	for _, l := range layers {
		media, err := l.MediaType()
		must(t, err)
		added = append(added, mutate.Addendum{Layer: l, MediaType: media, History: v1.History{CreatedBy: "COPY something"}})
	}
	i, err = mutate.Append(i, added...)
	must(t, err)
	c, err := i.ConfigFile()
	must(t, err)
	if c = c.DeepCopy(); config != nil {
		config(c)
	}
	i, err = mutate.ConfigFile(i, c)
	must(t, err)
	return i
}

func client(t testing.TB, limits Limits) *Client {
	t.Helper()
	c, err := New(Config{Hooks: []string{"pre-staging", "post-staging", "pre-running"}, Limits: limits})
	must(t, err)
	return c
}

func compare(t testing.TB, limits Limits, from, to string) *Diff {
	t.Helper()
	d, err := client(t, limits).Compare(t.Context(), Wanted{Ref: from}, Wanted{Ref: to}, "")
	must(t, err)
	return d
}

func digestOf(t testing.TB, l v1.Layer) v1.Hash {
	t.Helper()
	d, err := l.Digest()
	must(t, err)
	return d
}

// stanzas are those of a status file, of NAME=VERSION each.
func stanzas(packages ...string) string {
	var b strings.Builder
	for _, p := range packages {
		name, version, _ := strings.Cut(p, "=")
		b.WriteString("Package: " + name + "\nStatus: install ok installed\nArchitecture: amd64\nVersion: " + version + "\n\n")
	}
	return b.String()
}
