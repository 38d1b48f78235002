package docker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/fenceline/fenceline/distributor"
)

// ending is a content of one blob, which says of its end what it is told to.
type ending struct {
	distributor.Content
	blob io.Reader
	end  []byte
}

func (e *ending) Blob(context.Context, string, int64) (io.ReadCloser, error) {
	return io.NopCloser(e.blob), nil
}

func (e *ending) End(context.Context, string, int64, int) ([]byte, error) {
	if e.end == nil {
		return nil, errors.ErrUnsupported
	}
	return e.end, nil
}

func (e *ending) From() string { return "here" }

func packed(t *testing.T, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A layer is written unpacked where it says how large it is so, as it is where it does not, and one that says something
// else than is true is told apart from a source that fails.
func TestLayersAreUnpackedWhileTheyAreFetched(t *testing.T) {
	plain := strings.Repeat("what a layer has ", 1000)
	gz := packed(t, plain)
	size := func(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }
	away := errors.New("the registry went away")
	const mime = "application/vnd.oci.image.layer.v1.tar+gzip"
	for name, c := range map[string]struct {
		mime    string
		blob    io.Reader
		end     []byte
		wants   string
		failure error
	}{
		"told its size":        {mime, bytes.NewReader(gz), size(len(plain)), plain, nil},
		"two files in one":     {mime, bytes.NewReader(append(packed(t, plain[:17]), packed(t, plain[17:])...)), size(len(plain)), plain, nil},
		"told nothing":         {mime, bytes.NewReader(gz), nil, string(gz), nil},
		"not packed":           {"application/vnd.oci.image.layer.v1.tar", strings.NewReader(plain), size(len(plain)), plain, nil},
		"another compression":  {"application/vnd.oci.image.layer.v1.tar+zstd", bytes.NewReader(gz), size(len(plain)), string(gz), nil},
		"more than told":       {mime, bytes.NewReader(gz), size(len(plain) - 1), "", errNotUnpacked},
		"less than told":       {mime, bytes.NewReader(gz), size(len(plain) + 1), "", errNotUnpacked},
		"no gzip":              {mime, strings.NewReader(plain), size(len(plain)), "", errNotUnpacked},
		"of damaged bytes":     {mime, bytes.NewReader(append(bytes.Clone(gz[:30]), make([]byte, len(gz)-30)...)), size(len(plain)), "", errNotUnpacked},
		"nothing":              {mime, strings.NewReader(""), size(0), "", errNotUnpacked},
		"a source that fails":  {mime, io.MultiReader(bytes.NewReader(gz[:len(gz)/2]), iotest.ErrReader(away)), size(len(plain)), "", away},
		"one that fails first": {mime, iotest.ErrReader(away), size(len(plain)), "", away},
		"one that lied":        {mime, io.MultiReader(bytes.NewReader(gz[:len(gz)-4]), iotest.ErrReader(away)), size(len(plain)), "", away},
	} {
		t.Run(name, func(t *testing.T) {
			layer := v1.Descriptor{MediaType: types.MediaType(c.mime), Size: int64(len(gz)), Digest: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}}
			if c.mime != mime && c.wants == plain {
				layer.Size = int64(len(plain))
			}
			f := &feed{
				ctx: t.Context(), from: &ending{blob: c.blob, end: c.end}, progress: func(distributor.Progress) {},
				parts: &parts{manifest: &v1.Manifest{Layers: []v1.Descriptor{layer}}}, unpacks: true,
			}
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			err := f.one(w, "layer.tar", 0, io.Discard)
			if !errors.Is(err, c.failure) || c.failure != nil && errors.Is(err, errNotUnpacked) != errors.Is(c.failure, errNotUnpacked) {
				t.Fatalf("error %v, want %v", err, c.failure)
			}
			if err != nil {
				return
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			r := tar.NewReader(&b)
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || string(got) != c.wants {
				t.Errorf("the engine is fed with %d bytes, %v, want %d", len(got), err, len(c.wants))
			}
		})
	}
}
