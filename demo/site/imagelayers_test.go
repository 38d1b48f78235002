package site

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	ociregistry "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestLackingCountsTheNewLayersAlone(t *testing.T) {
	server := httptest.NewServer(ociregistry.New(ociregistry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	repository := strings.TrimPrefix(server.URL, "http://") + "/image"
	layer := func(size int64) v1.Layer {
		l, err := random.Layer(size, "application/vnd.docker.image.rootfs.diff.tar.gzip")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	push := func(base v1.Image, more ...v1.Layer) string {
		image, err := mutate.AppendLayers(base, more...)
		if err != nil {
			t.Fatal(err)
		}
		digest, err := image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		ref, err := name.NewDigest(repository + "@" + digest.String())
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, image); err != nil {
			t.Fatal(err)
		}
		return ref.String()
	}
	base, err := random.Image(2000, 2)
	if err != nil {
		t.Fatal(err)
	}
	first, second := layer(300), layer(400)
	before := push(base, first)
	after := push(base, second)
	want, err := second.Size()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Lacking(t.Context(), after, before, Login{}); err != nil || got != want {
		t.Errorf("Lacking: %d, %v; want %d", got, err, want)
	}
	if got, err := Lacking(t.Context(), after, after, Login{}); err != nil || got != 0 {
		t.Errorf("Lacking of the same image: %d, %v; want 0", got, err)
	}
	gone := repository + "@sha256:" + strings.Repeat("0", 64)
	if _, err := Lacking(t.Context(), after, gone, Login{}); err == nil || !strings.Contains(err.Error(), gone) {
		t.Errorf("Lacking of an image that is not there: %v", err)
	}
}
