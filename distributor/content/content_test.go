package content_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/content"
	"github.com/fenceline/fenceline/messages"
)

const password = "pa$$word-of-the-mirror"

// site is an image's registry with one blob, and what was asked of it and of others.
type site struct {
	t      *testing.T
	host   string
	blob   []byte
	digest string

	mu    sync.Mutex
	asked []string // "METHOD path range" of the registry
	auths map[string][]string
}

func newSite(t *testing.T) *site {
	s := &site{t: t, blob: make([]byte, 1<<20), auths: map[string][]string{}}
	_, _ = rand.Read(s.blob)
	s.digest = fmt.Sprintf("sha256:%x", sha256.Sum256(s.blob))
	s.host = s.serve("registry", s.answer)
	return s
}

// serve serves, and notes the logins that come.
func (s *site) serve(name string, h http.HandlerFunc) (host string) {
	s.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("Authorization"); a != "" {
			s.mu.Lock()
			s.auths[name] = append(s.auths[name], a)
			s.mu.Unlock()
		}
		h(w, r)
	}))
	s.t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// answer answers as a registry that has the blob and, under the same digest, a manifest.
func (s *site) answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v2/" {
		return
	}
	s.mu.Lock()
	s.asked = append(s.asked, strings.TrimSpace(r.URL.Path+" "+r.Header.Get("Range")))
	s.mu.Unlock()
	s.give(w, r)
}

func (s *site) give(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/exampleco/newimg/blobs/"+s.digest) && !strings.HasSuffix(r.URL.Path, "/exampleco/newimg/manifests/"+s.digest) {
		http.Error(w, `{"errors": [{"code": "BLOB_UNKNOWN"}]}`, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.blob))
}

func (s *site) image() messages.Image {
	return messages.Image(s.host + "/exampleco/newimg@" + s.digest)
}

func (s *site) opener(logins map[string]string) *content.Opener {
	return content.New(content.Config{Login: func(host string) (authn.Authenticator, error) {
		if user := logins[host]; user != "" {
			return &authn.Basic{Username: user, Password: password}, nil
		}
		return authn.Anonymous, nil
	}})
}

// read reads the blob from mirrors in their order.
func (s *site) read(o *content.Opener, mirrors ...messages.Mirror) error {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	c, err := o.Open(s.image(), mirrors)
	if err != nil {
		s.t.Fatal(err)
	}
	for range len(mirrors) + 1 {
		b, err := c.Blob(ctx, s.digest, int64(len(s.blob)))
		if err != nil {
			return err
		}
		got, err := io.ReadAll(b)
		_ = b.Close()
		if errors.Is(err, distributor.ErrWrongBytes) {
			continue
		}
		if err != nil {
			return err
		}
		if !bytes.Equal(got, s.blob) {
			s.t.Fatalf("read %d bytes that are not the blob", len(got))
		}
		return nil
	}
	return errors.New("wrong bytes, again and again")
}

func mirrorAt(host string, limit time.Duration) messages.Mirror {
	return messages.Mirror{URL: "http://" + host, TimeLimit: messages.Duration(limit)}
}

const (
	brief = 300 * time.Millisecond // for one that hangs
	ample = time.Minute            // for one that answers, on a busy machine too
)

// A mirror that is gone, hangs, trickles, lies, breaks off or sends elsewhere costs its time limit, is named with
// the reason, and the image comes from the next.
func TestABadMirrorIsNamedAndPassedOver(t *testing.T) {
	s := newSite(t)
	evil := s.serve("evil", func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "token") {
			_, _ = io.WriteString(w, `{"token": "x"}`)
			return
		}
		s.give(w, r)
	})
	part := func(give func(w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				give(w, r)
			}
		}
	}
	for name, c := range map[string]struct {
		mirror http.HandlerFunc // nil is none at all
		says   string
	}{
		"gone":                {nil, "connection refused"},
		"hangs":               {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer within"},
		"hangs with the part": {part(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), "no answer within"},
		"hangs in the middle": {part(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(s.blob)))
			_, _ = w.Write(s.blob[:300_000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}), "less than 131 kB within"},
		"trickles": {part(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(s.blob)))
			for i := range s.blob {
				_, _ = w.Write(s.blob[i : i+1])
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		}), "less than 131 kB within"},
		"breaks off": {part(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(s.blob)))
			_, _ = w.Write(s.blob[:300_000])
		}), "unexpected EOF"},
		"wrong bytes": {part(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte("x"), len(s.blob)))
		}), "wrong bytes for sha256:"},
		"wrong bytes at the end": {part(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(append(bytes.Clone(s.blob[:len(s.blob)-1]), s.blob[len(s.blob)-1]+1))
		}), "wrong bytes for sha256:"},
		"another size": {part(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "hello")
		}), "gives 5 bytes for a part of 1048576"},
		"a web page": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>Welcome to nginx") }, "web page"},
		"another host": {part(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+evil+r.URL.Path, http.StatusTemporaryRedirect)
		}), "another host, " + evil},
		"another's token server": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+evil+`/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}, "realm host"},
		"refuses": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}, "correct the login for"},
		"fails": {part(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }), "answers 500"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{t: t, host: s.host, blob: s.blob, digest: s.digest, auths: s.auths}
			server := httptest.NewServer(c.mirror)
			host := strings.TrimPrefix(server.URL, "http://")
			if c.mirror == nil {
				server.Close()
			}
			t.Cleanup(server.Close)
			limit := ample
			if strings.HasSuffix(c.says, "within") {
				limit = brief
			}
			var troubles []messages.MirrorTrouble
			says := func() bool {
				o := s.opener(map[string]string{host: "rack7"})
				if err := s.read(o, mirrorAt(host, limit)); err != nil {
					t.Fatal(err)
				}
				want := c.says
				if limit < ample {
					want += " " + limit.String()
				}
				troubles = o.Troubles()
				return len(troubles) == 1 && troubles[0].Mirror == "http://"+host && strings.Contains(troubles[0].Reason, want) && strings.Contains(troubles[0].Reason, host)
			}
			for !says() {
				if limit *= 2; limit >= ample { // a busy machine needs longer to get there
					t.Fatalf("the mirror's trouble is %+v, want one that says %q", troubles, c.says)
				}
			}
			if strings.Contains(fmt.Sprint(troubles), password) {
				t.Error("it tells the password")
			}
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.auths["evil"])+len(s.auths["registry"]) > 0 {
		t.Errorf("a mirror's login went elsewhere: %v", s.auths)
	}
}

// What a mirror gave before it broke off is not fetched again.
func TestAnotherGoesOnWhereOneBreaksOff(t *testing.T) {
	s := newSite(t)
	host := s.serve("mirror", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			w.Header().Set("Content-Length", fmt.Sprint(len(s.blob)))
			_, _ = w.Write(s.blob[:300_000])
		}
	})
	if err := s.read(s.opener(nil), mirrorAt(host, ample)); err != nil {
		t.Fatal(err)
	}
	if len(s.asked) != 1 || !strings.HasSuffix(s.asked[0], "bytes=300000-") {
		t.Errorf("the registry was asked %v", s.asked)
	}
}

// A mirror is asked by its own login, under its prefix, and tells for which registry; the registry is not
// asked at all.
func TestAMirrorIsAskedByItsOwnLogin(t *testing.T) {
	s := newSite(t)
	var at, ns string
	host := s.serve("mirror", func(w http.ResponseWriter, r *http.Request) {
		if user, given, _ := r.BasicAuth(); user != "rack7" || given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path != "/v2/" {
			at, ns = r.URL.Path, r.URL.Query().Get("ns")
			s.give(w, r)
		}
	})
	m := mirrorAt(host, ample)
	m.URL, m.TimeLimit = m.URL+"/proxy/", 0
	o := s.opener(map[string]string{host: "rack7", s.host: "registry"})
	if err := s.read(o, m); err != nil {
		t.Fatal(err)
	}
	if at != "/v2/proxy/exampleco/newimg/blobs/"+s.digest || ns != s.host || len(s.asked) > 0 || len(o.Troubles()) > 0 {
		t.Errorf("the mirror was asked for %s of %s, the registry %v; troubles %v", at, ns, s.asked, o.Troubles())
	}
}

// A mirror that failed is left alone for its back-off, and asked again after it; one that lacks an image is
// asked for the next.
func TestAMirrorThatFailedIsLeftAlone(t *testing.T) {
	s := newSite(t)
	var mu sync.Mutex
	asked, status := 0, http.StatusInternalServerError
	host := s.serve("mirror", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.URL.Path == "/v2/":
		case status == http.StatusOK:
			asked++
			s.give(w, r)
		default:
			asked++
			w.WriteHeader(status)
		}
	})
	set := func(code int) {
		mu.Lock()
		defer mu.Unlock()
		asked, status = 0, code
	}
	m := messages.Mirror{URL: "http://" + host, BackOff: messages.Duration(time.Hour)}
	o := s.opener(nil)
	for range 3 {
		if err := s.read(o, m); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times within its back-off", asked)
	}
	o = s.opener(nil)
	set(http.StatusNotFound)
	for range 3 {
		if err := s.read(o, m); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 3 || len(o.Troubles()) > 0 {
		t.Errorf("asked %d times for what it lacks, troubles %v", asked, o.Troubles())
	}
	o = s.opener(nil)
	set(http.StatusBadGateway)
	m.BackOff = 1 // a nanosecond
	if err := s.read(o, m); err != nil || len(o.Troubles()) != 1 {
		t.Fatalf("error %v, troubles %v", err, o.Troubles())
	}
	set(http.StatusOK)
	if err := s.read(o, m); err != nil || len(o.Troubles()) != 0 {
		t.Fatalf("once it works again: error %v, troubles %v", err, o.Troubles())
	}
}

// Where nobody has an image, the registry's word decides what that is about, and each is named.
func TestWhenNobodyHasIt(t *testing.T) {
	s := newSite(t)
	gone := httptest.NewServer(nil)
	gone.Close()
	mirror := messages.Mirror{URL: gone.URL}
	read := func(o *content.Opener, image messages.Image) error {
		c, err := o.Open(image, []messages.Mirror{mirror})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Manifest(t.Context(), image.Digest())
		return err
	}
	for image, want := range map[messages.Image]error{
		messages.Image(s.host + "/exampleco/newimg@sha256:" + strings.Repeat("0", 64)):                   distributor.ErrNotFound,
		messages.Image(strings.TrimPrefix(gone.URL, "http://") + "/a@sha256:" + strings.Repeat("0", 64)): distributor.ErrRegistry,
	} {
		err := read(s.opener(nil), image)
		if !errors.Is(err, want) || !strings.Contains(err.Error(), gone.URL) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %v with the mirror named, in one line", image, err, want)
		}
	}
	if raw, err := func() ([]byte, error) {
		c, err := s.opener(nil).Open(s.image(), nil)
		if err != nil {
			return nil, err
		}
		return c.Manifest(t.Context(), s.digest)
	}(); err != nil || !bytes.Equal(raw, s.blob) {
		t.Errorf("a manifest of %d bytes, error %v", len(raw), err)
	}
}

// A mirror that takes connections and never speaks TLS costs its time limit, and one whose manifest never ends costs
// what a manifest may have.
func TestAMirrorThatNeverBeginsOrNeverEnds(t *testing.T) {
	s := newSite(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	mute := mirrorAt(l.Addr().String(), brief)
	mute.URL = "https" + strings.TrimPrefix(mute.URL, "http")
	o := s.opener(nil)
	if err := s.read(o, mute); err != nil {
		t.Fatal(err)
	}
	if got := o.Troubles(); len(got) != 1 || !strings.Contains(got[0].Reason, "no answer within 300ms") {
		t.Errorf("the troubles are %+v", got)
	}
	endless := mirrorAt(s.serve("endless", func(w http.ResponseWriter, r *http.Request) {
		for r.URL.Path != "/v2/" && r.Context().Err() == nil {
			_, _ = w.Write(make([]byte, 64<<10))
		}
	}), ample)
	c, err := o.Open(s.image(), []messages.Mirror{endless})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Manifest(t.Context(), s.digest); !errors.Is(err, distributor.ErrWrongBytes) || !strings.Contains(err.Error(), endless.URL) {
		t.Errorf("error %v, want ErrWrongBytes of the mirror", err)
	}
	if got, err := c.Manifest(t.Context(), s.digest); err != nil || !bytes.Equal(got, s.blob) {
		t.Errorf("read %d bytes of the registry, error %v", len(got), err)
	}
}
