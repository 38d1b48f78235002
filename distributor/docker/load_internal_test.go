package docker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// made is a content of one layer.
type made struct{ parts map[string][]byte }

func (m *made) add(b []byte) string {
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(b))
	m.parts[digest] = b
	return digest
}

// newMade makes an image of a layer of some size, and its name.
func newMade(size int) (*made, messages.Image) {
	m := &made{map[string][]byte{}}
	layer := m.add(bytes.Repeat([]byte("x"), size))
	config := fmt.Appendf(nil, `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[%q]}}`, layer)
	at := m.add(config)
	manifest := m.add(fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},`+
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}]}`, at, len(config), layer, size))
	return m, messages.Image("r.example/base@" + manifest)
}

func (m *made) Manifest(_ context.Context, digest string) ([]byte, error) {
	return m.parts[digest], nil
}

func (m *made) Blob(_ context.Context, digest string, _ int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(m.parts[digest])), nil
}

func (m *made) End(context.Context, string, int64, int) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

func (m *made) From() string { return "here" }

// An engine that says that it is done before it has read all is believed in nothing: the image is not there.
func TestAnEngineThatAnswersALoadTooEarly(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		switch {
		case r.URL.Path == "/_ping":
		case strings.HasSuffix(r.URL.Path, "/images/load"):
			w.Header().Set("Connection", "close")
			_, _ = io.WriteString(w, `{"stream":"Loaded"}`)
		case strings.HasSuffix(r.URL.Path, "/info"):
			_, _ = io.WriteString(w, `{}`)
		case strings.HasSuffix(r.URL.Path, "/images/json"):
			_, _ = io.WriteString(w, `[]`)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"message": "No such image"}`)
		}
	}))
	t.Cleanup(server.Close)
	e, err := New(Config{Host: "tcp://" + strings.TrimPrefix(server.URL, "http://")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	from, image := newMade(64 << 20)
	if _, err := e.Load(t.Context(), image, from, func(distributor.Progress) {}); err == nil {
		t.Error("it is taken for loaded")
	}
}

// The tag of an image of Docker Hub is found again, as engines shorten its name.
func TestTheTagOfAFedImageOfDockerHub(t *testing.T) {
	for _, name := range []string{"docker.io/library/debian", "docker.io/exampleco/base", "r.example:5000/base"} {
		image := messages.Image(name + "@sha256:" + strings.Repeat("a", 64))
		short := strings.TrimPrefix(strings.TrimPrefix(keptTag(image), "docker.io/"), "library/")
		if got := imageOf("id", nil, []string{short}); !got.Has(image) || len(got.Tags) > 0 {
			t.Errorf("%s: the engine's %s is %+v", image, short, got)
		}
	}
}
