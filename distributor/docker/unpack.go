package docker

import (
	"archive/tar"
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
)

// An engine that keeps images by their configurations unpacks a layer after it has all of it, and slowly. So it is fed
// with layers that were unpacked while they were fetched. What they unpack to it holds against the configuration.

// errNotUnpacked tells that a layer is none that can be unpacked here: the engine is fed with it as it is.
var errNotUnpacked = errors.New("it unpacks to something else than it says at its end")

// largestUnpacked bounds the layers that are unpacked here, in bytes of the packed one: they say how large they are
// unpacked modulo 2^32 (RFC 1952), and few are packed to less than a quarter.
const largestUnpacked = 1 << 30

// unpackedSize is how large a layer is unpacked, if it is one that is unpacked here. What Room found stands: room was
// made for that.
func (f *feed) unpackedSize(l *v1.Descriptor) (size int64, known bool) {
	if !f.unpacks || !strings.HasSuffix(string(l.MediaType), "gzip") || l.Size > largestUnpacked {
		return 0, false
	}
	if m, measured := f.measured[l.Digest.String()]; measured {
		return m.Unpacked, m.Said
	}
	said, err := f.from.End(f.ctx, l.Digest.String(), l.Size, 4)
	if err != nil {
		return 0, false
	}
	return unpackedSize(l.Size, binary.LittleEndian.Uint32(said)), true
}

// unpackInto writes what a gzip file has, of a size that is known before.
func unpackInto(w *tar.Writer, name string, size int64, from io.Reader) error {
	packed := &failing{Reader: from}
	unpacked, err := gzip.NewReader(bufio.NewReaderSize(packed, 256<<10))
	if err == nil {
		err = copyTo(w, name, size, unpacked)
	}
	switch {
	case packed.err != nil:
		return packed.err
	case errors.Is(err, io.ErrClosedPipe): // the engine reads no more
		return err
	case err == nil:
		err = w.Flush() // an error where some of it is missing
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNotUnpacked, err)
	}
	return nil
}

// failing remembers why there was no more to read.
type failing struct {
	io.Reader
	err error // nil where it ended
}

// Read reads on.
func (f *failing) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}
