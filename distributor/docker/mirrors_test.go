package docker_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/content"
	"github.com/fenceline/fenceline/messages"
)

// An image comes from the one mirror that works, while its registry is away, and is known by its own name.
func TestAnImageComesFromAMirror(t *testing.T) { eachEngine(t, testMirrors) }

// places answers for several hosts without a network.
type places map[string]http.Handler

func (p places) RoundTrip(r *http.Request) (*http.Response, error) {
	if h := p[r.URL.Host]; h != nil {
		return direct{h}.RoundTrip(r)
	}
	return nil, http.ErrServerClosed
}

func testMirrors(t *testing.T, s *site) {
	var away atomic.Bool
	var asked atomic.Int32 // while it was away
	w := s.newWorld(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if away.Load() {
				asked.Add(1)
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	e := s.engine(t)
	t.Cleanup(func() { w.forget(t, e) })
	first := w.push(t, w.base)
	image := w.push(t, w.base, layer(t, map[string]string{"etc/small": "x"}))
	if _, err := e.Pull(t.Context(), first, func(distributor.Progress) {}); err != nil {
		t.Fatal(err)
	}
	away.Store(true)
	opener := content.New(content.Config{Transport: places{
		"page:5000": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }),
		"good:5000": w.handler,
	}})
	c, err := opener.Open(image, []messages.Mirror{{URL: "http://gone:5000"}, {URL: "http://page:5000"}, {URL: "http://good:5000"}})
	if err != nil {
		t.Fatal(err)
	}
	if room, err := e.Room(t.Context(), image, c); err != nil || room.Unknown != nil || room.Fetch <= 0 || room.Fetch > 10_000 || room.Unpacked <= room.Fetch {
		t.Errorf("it takes %+v, error %v", room, err)
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("its registry was asked %d times what it takes", n)
	}
	from := ""
	n, err := e.Load(t.Context(), image, c, func(p distributor.Progress) { from = p.From })
	if err != nil || n <= 0 || n > 10_000 || from != "mirror http://good:5000" {
		t.Fatalf("fetched %d bytes from %q, error %v", n, from, err)
	}
	if got, err := e.Inspect(t.Context(), image); err != nil || !got.Has(image) {
		t.Fatalf("it is known as %+v, error %v", got, err)
	}
	if got := opener.Troubles(); len(got) != 2 {
		t.Errorf("the troubles are %+v", got)
	}
}
