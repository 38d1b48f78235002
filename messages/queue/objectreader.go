package queue

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/nats-io/nats.go/jetstream"
)

// objectReader reads a stored object by asking for its pieces: that takes no consumer, which is made
// with the subject that it delivers to.
type objectReader struct {
	ctx    context.Context //nolint:containedctx // an io.Reader is given none
	c      *Client
	stream string
	chunks string // the subject of its pieces
	next   uint64 // the sequence to go on from
	more   bool   // there may be pieces after those in hand
	hand   []Stored
	info   *jetstream.ObjectInfo
	read   uint64
	digest hash.Hash
	err    error
}

// errChanged tells that an object is not whole, or is not what was stored.
var errChanged = errors.New("its content is not what was stored: it was removed or replaced meanwhile")

func (c *Client) readObject(ctx context.Context, store string, info *jetstream.ObjectInfo) *objectReader {
	return &objectReader{
		ctx: ctx, c: c, stream: objectStream(store), chunks: piecesOf(store, info.NUID), next: 1,
		more: info.Size > 0, info: info, digest: sha256.New(),
	}
}

// Read gives what is left of the object. Its last call fails where the whole is not what was stored.
func (r *objectReader) Read(p []byte) (int, error) {
	for r.err == nil && len(r.hand) == 0 && r.more {
		r.hand, r.more, r.err = r.c.askBatch(r.ctx, r.stream, r.chunks, r.next, askMost, askBytes)
		if n := len(r.hand); n > 0 {
			r.next = r.hand[n-1].Sequence + 1
		}
	}
	if r.err == nil && len(r.hand) == 0 {
		r.err = r.whole()
	}
	if r.err != nil {
		return 0, r.err
	}
	first := &r.hand[0].Message
	n := copy(p, first.Body)
	r.digest.Write(first.Body[:n])
	r.read += uint64(n)
	if first.Body = first.Body[n:]; len(first.Body) == 0 {
		r.hand = r.hand[1:]
	}
	return n, nil
}

// whole is io.EOF where all of the object was read.
func (r *objectReader) whole() error {
	digest := "SHA-256=" + base64.URLEncoding.EncodeToString(r.digest.Sum(nil))
	if r.read == r.info.Size && (r.info.Digest == "" || r.info.Digest == digest) {
		return io.EOF
	}
	return fmt.Errorf("reading %s: %w (%d of %d bytes)", r.info.Name, errChanged, r.read, r.info.Size)
}

// Close ends the reading.
func (r *objectReader) Close() error {
	r.err, r.hand = errors.New("the object is closed"), nil
	return nil
}
