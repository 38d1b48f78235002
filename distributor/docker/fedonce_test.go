package docker_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/content"
	"github.com/fenceline/fenceline/messages"
)

// asked notes what a registry is asked for.
type asked struct {
	next http.Handler

	mu   sync.Mutex
	what []string // "manifests", "blobs" or "blobs bytes=…" of each
}

func (a *asked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, kind := range []string{"manifests", "blobs"} {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/"+kind+"/") {
			a.mu.Lock()
			part, _, _ := strings.Cut(r.Header.Get("Range"), "=")
			a.what = append(a.what, strings.TrimSpace(kind+" "+part))
			a.mu.Unlock()
		}
	}
	a.next.ServeHTTP(w, r)
}

// An engine is fed with what was read when room was looked for, and learns the digest from the registry afterwards.
func TestARegistryIsAskedOnceForWhatIsFed(t *testing.T) { eachEngine(t, testAskedOnce) }

func testAskedOnce(t *testing.T, s *site) {
	w := s.newWorld(t, nil)
	e := s.engine(t)
	t.Cleanup(func() { w.forget(t, e) })
	base := w.push(t, w.base)
	image := w.push(t, w.base, layer(t, map[string]string{"etc/small": "x"}))
	if _, err := e.Pull(t.Context(), base, func(distributor.Progress) {}); err != nil {
		t.Fatal(err)
	}
	registry := &asked{next: w.handler}
	c, err := content.New(content.Config{Transport: places{w.host: registry}}).Open(image, nil)
	if err != nil {
		t.Fatal(err)
	}
	room, err := e.Room(t.Context(), image, c)
	if err != nil || room.Unknown != nil {
		t.Fatalf("it takes %+v, error %v", room, err)
	}
	if _, err := e.Load(t.Context(), image, c, func(distributor.Progress) {}); err != nil {
		t.Fatal(err)
	}
	want := []string{"manifests", "blobs", "blobs bytes", "blobs"} // manifest, configuration, the layer's end, the layer
	if room.Free < 0 {                                             // it keeps images where its disk is not to be seen
		want = []string{"manifests", "blobs", "blobs"}
	}
	if !slices.Equal(registry.what, want) {
		t.Errorf("the registry was asked for %q, want %q", registry.what, want)
	}
	got, err := e.Inspect(t.Context(), image)
	if err != nil || !got.Has(image) {
		t.Fatalf("it is known as %+v, error %v", got, err)
	}
	if err := e.Learn(t.Context(), image); err != nil {
		t.Fatal(err)
	}
	if got, err = e.Inspect(t.Context(), image); err != nil || !got.Has(image) || got.Fed {
		t.Errorf("after it was to learn the digest it is known as %+v, error %v", got, err)
	}
}

// What a mirror alters in the last byte of a layer was never there: it is fed as it comes, and taken back.
func TestWhatALyingMirrorGivesIsNeverThere(t *testing.T) { eachEngine(t, testLies) }

func testLies(t *testing.T, s *site) {
	w := s.newWorld(t, nil)
	e := s.engine(t)
	t.Cleanup(func() { w.forget(t, e) })
	base := w.push(t, w.base)
	more := noise(t, 3)
	image := w.push(t, w.base, more)
	digest, err := more.Digest() // as it travels
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Pull(t.Context(), base, func(distributor.Progress) {}); err != nil {
		t.Fatal(err)
	}
	liar := http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		got := httptest.NewRecorder()
		w.handler.ServeHTTP(got, r)
		b := got.Body.Bytes()
		if strings.HasSuffix(r.URL.Path, digest.String()) && len(b) > 0 {
			b[len(b)-1]++
		}
		for k, v := range got.Header() {
			out.Header()[k] = v
		}
		out.WriteHeader(got.Code)
		_, _ = out.Write(b)
	})
	opener := content.New(content.Config{Transport: places{"liar:5000": liar, "good:5000": w.handler}})
	c, err := opener.Open(image, []messages.Mirror{{URL: "http://liar:5000"}, {URL: "http://good:5000"}})
	if err != nil {
		t.Fatal(err)
	}
	n, err := e.Load(t.Context(), image, c, func(distributor.Progress) {})
	if !errors.Is(err, distributor.ErrWrongBytes) || n < 2<<20 {
		t.Fatalf("of a liar came %d bytes, error %v", n, err)
	}
	if got, err := e.Inspect(t.Context(), image); !errors.Is(err, distributor.ErrNotFound) {
		t.Errorf("it is there as %+v, error %v", got, err)
	}
	if id := s.has(t, more); id != "" {
		t.Errorf("image %s has the layer", id)
	}
	if _, err := e.Load(t.Context(), image, c, func(distributor.Progress) {}); err != nil {
		t.Fatalf("from the next mirror: %v", err)
	}
	if got, err := e.Inspect(t.Context(), image); err != nil || !got.Has(image) {
		t.Errorf("it is known as %+v, error %v", got, err)
	}
}

// has is the ID of an image of the engine with a layer, or "".
func (s *site) has(t *testing.T, l v1.Layer) string {
	t.Helper()
	diff, err := l.DiffID()
	if err != nil {
		t.Fatal(err)
	}
	api := s.api(t)
	list, err := api.ImageList(t.Context(), client.ImageListOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list.Items {
		got, err := api.ImageInspect(t.Context(), i.ID) // others of this machine come and go
		if err == nil && slices.Contains(got.RootFS.Layers, diff.String()) {
			return i.ID
		}
	}
	return ""
}
