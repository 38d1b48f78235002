package buildkit_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

func TestLayersThatEnginesCantMount(t *testing.T) {
	b := newBench(t)
	dockerfile := func(layers int) map[string]string {
		// The base has one layer.
		return map[string]string{"Dockerfile": "FROM " + b.base + "\n" + strings.Repeat("COPY Dockerfile /etc/mark\n", layers-1)}
	}
	var written atomic.Int32
	b.registry.Refuse(func(r *http.Request) int {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/out/") {
			written.Add(1)
		}
		return 0
	})
	many := b.order(t, dockerfile(126))
	b.fails(t, many, messages.FailureUser, "", "126 layers", "at most 125", "overlay2", "one COPY")
	if len(many.bases) != 0 || len(many.unfetched) != 1 {
		t.Errorf("told of the bases %v, to be fetched, and %v; want its one, not to be fetched", many.bases, many.unfetched)
	}
	if n := written.Load(); n != 0 {
		t.Errorf("%d requests wrote what engines can't mount to the registry", n)
	}
	for layers, warned := range map[int]bool{119: false, 120: true, 125: true} {
		o := b.order(t, dockerfile(layers))
		if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
			t.Fatalf("%d layers: %v", layers, err)
		}
		if warns := strings.Contains(o.text(), fmt.Sprintf("warning: the image has %d layers", layers)); warns != warned {
			t.Errorf("%d layers: warned %t, want %t", layers, warns, warned)
		}
	}
}

// zstdBase pushes a base that has a layer in zstd on another image.
func (b *bench) zstdBase(t *testing.T, tag string) string {
	t.Helper()
	var plain, packed bytes.Buffer
	w := tar.NewWriter(&plain)
	if err := w.WriteHeader(&tar.Header{Name: "etc/zstd", Mode: 0o644, Size: 4, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "zstd"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(plain.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	diffID, _, err := v1.SHA256(&plain)
	if err != nil {
		t.Fatal(err)
	}
	layer := zstdLayer{static.NewLayer(packed.Bytes(), types.OCILayerZStd), diffID}
	image, err := mutate.AppendLayers(mutate.MediaType(b.registry.Image(t, b.base), types.OCIManifestSchema1), layer)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewTag(b.registry.Host + "/" + tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	return ref.String()
}

// zstdLayer is a layer in zstd that knows the digest of what it holds.
type zstdLayer struct {
	v1.Layer
	diffID v1.Hash
}

func (l zstdLayer) DiffID() (v1.Hash, error) { return l.diffID, nil }

func TestABaseInZstdIsPackedAnew(t *testing.T) {
	b := newBench(t)
	base := b.zstdBase(t, "zstd:1")
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + base + "\nCOPY Dockerfile /d\nRUN cat /etc/zstd > /seen\n"})
	solved, err := b.solver.Solve(t.Context(), o.Build)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := b.registry.Image(t, solved.Image.String()).Manifest()
	if err != nil {
		t.Fatal(err)
	}
	old, err := b.registry.Image(t, b.base).Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Layers) != 4 || manifest.Layers[0].Digest != old.Layers[0].Digest {
		t.Errorf("layers %v, want four, of which the first is the base's own in gzip, %v", manifest.Layers, old.Layers[0].Digest)
	}
	for _, l := range manifest.Layers {
		if strings.Contains(string(l.MediaType), "zstd") {
			t.Errorf("layer %s is %s", l.Digest, l.MediaType)
		}
	}
	if len(o.bases) != 0 || len(o.unfetched) != 1 || len(solved.Bases) != 1 || o.unfetched[0] != solved.Bases[0] {
		t.Errorf("nodes are told to fetch %v ahead, not %v; the build has the bases %v", o.bases, o.unfetched, solved.Bases)
	}
	if !strings.Contains(o.text(), "zstd") || !strings.Contains(o.text(), "engine") {
		t.Errorf("nobody is told:\n%s", o.text())
	}
	// Bases in gzip keep their layers.
	solved, err = b.solver.Solve(t.Context(), b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nCOPY Dockerfile /d\n"}).Build)
	if err != nil {
		t.Fatal(err)
	}
	if manifest, err = b.registry.Image(t, solved.Image.String()).Manifest(); err != nil || manifest.Layers[0].Digest != old.Layers[0].Digest {
		t.Errorf("layers %v, %v", manifest, err)
	}
}
