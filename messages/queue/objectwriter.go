package queue

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// objectPiece is the size of an object's pieces, in bytes, as nats.go has it.
	objectPiece = 128 << 10
	// objectRoom is what of a message's most bytes is left for its headers.
	objectRoom = 4 << 10
	// objectsAway is how many pieces may be on their way at one time: some megabytes, which a slow
	// disk stores within pieceTime.
	objectsAway = 32
	// uploadsAway is the same for all objects together, which none comes near to: each bounds its own.
	uploadsAway = 100 * objectsAway
	// pieceTime bounds the wait until one piece is stored.
	pieceTime = 30 * time.Second
	// purgeTime bounds the removal of what was stored of an object that could not be stored whole.
	purgeTime = 10 * time.Second
)

// uploads sends the pieces of all objects, apart from other messages, which are bounded otherwise.
type uploads struct {
	once sync.Once
	js   jetstream.JetStream
	err  error
}

func (u *uploads) open(nc *nats.Conn) (jetstream.JetStream, error) {
	u.once.Do(func() {
		u.js, u.err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(uploadsAway), jetstream.WithPublishAsyncTimeout(pieceTime))
	})
	return u.js, u.err
}

// objectWriter stores an object in whole pieces, in the form of NATS' ADR-20. nats.go's own sends
// pieces as they are read, however small, and as many as it can before the first is stored.
type objectWriter struct {
	c      *Client
	js     jetstream.JetStream
	store  string
	info   jetstream.ObjectInfo
	away   []jetstream.PubAckFuture // the oldest first
	digest hash.Hash
}

// writeObject stores what r has under a name, nothing for nil. What it could not store whole it removes.
func (c *Client) writeObject(ctx context.Context, store, name string, r io.Reader) error {
	if r == nil {
		r = strings.NewReader("")
	}
	js, err := c.uploads.open(c.nc)
	if err != nil {
		return err
	}
	size := uint32(min(objectPiece, c.MaxPayload()-objectRoom))
	w := &objectWriter{c: c, js: js, store: store, digest: sha256.New(), info: jetstream.ObjectInfo{
		ObjectMeta: jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: size}},
		Bucket:     store, NUID: messages.NewID() + messages.NewID(),
	}}
	if err := w.write(ctx, r); err != nil {
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), purgeTime)
		defer cancel()
		w.settle(cleaning) // what is on its way would come after the purge
		if _, purgeErr := c.Purge(cleaning, objectStream(store), w.pieces(), 0); purgeErr != nil {
			c.log.Debug().Err(purgeErr).Str("object", name).Msg("the pieces of an object that was not stored whole stay until a sweep")
		}
		return err
	}
	return nil
}

// pieces is the subject of the object's pieces.
func (w *objectWriter) pieces() string { return piecesOf(w.store, w.info.NUID) }

func (w *objectWriter) write(ctx context.Context, r io.Reader) error {
	piece := make([]byte, w.info.Opts.ChunkSize)
	for {
		n, err := fill(r, piece)
		if n > 0 {
			w.digest.Write(piece[:n])
			w.info.Size += uint64(n)
			w.info.Chunks++
			if err := w.send(ctx, piece[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF: //nolint:errorlint // readers return it as it is
			return w.finish(ctx)
		case err != nil:
			return err
		}
	}
}

// fill reads until p is full or r has ended, with whatever ended it.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var more int
		more, err = r.Read(p[n:])
		n += more
	}
	return n, err
}

// send sends a piece once there is room for it among those that are on their way.
func (w *objectWriter) send(ctx context.Context, piece []byte) error {
	if len(w.away) == objectsAway {
		if err := w.wait(ctx); err != nil {
			return err
		}
	}
	stored, err := w.js.PublishMsgAsync(&nats.Msg{Subject: w.pieces(), Data: piece}, jetstream.WithRetryAttempts(0)) // a second one would send what stands in piece by then
	if err != nil {
		return w.c.refused(w.c.failure(ctx, err))
	}
	w.away = append(w.away, stored)
	return nil
}

// wait waits until the oldest piece that is on its way is stored.
func (w *objectWriter) wait(ctx context.Context) error {
	oldest := w.away[0]
	select {
	case <-oldest.Ok():
		w.away = w.away[1:]
		return nil
	case err := <-oldest.Err():
		w.away = w.away[1:]
		return w.c.refused(w.c.failure(ctx, err))
	case <-ctx.Done():
		return w.c.refused(w.c.failure(ctx, ctx.Err()))
	}
}

// settle waits until it is known of all pieces whether they are stored.
func (w *objectWriter) settle(ctx context.Context) {
	for len(w.away) > 0 && ctx.Err() == nil {
		_ = w.wait(ctx)
	}
}

// finish describes the object, which makes it one, once all of it is stored.
func (w *objectWriter) finish(ctx context.Context) error {
	for len(w.away) > 0 {
		if err := w.wait(ctx); err != nil {
			return err
		}
	}
	w.info.Digest = "SHA-256=" + base64.URLEncoding.EncodeToString(w.digest.Sum(nil))
	body, err := json.Marshal(w.info)
	if err != nil {
		return fmt.Errorf("describing it: %w", err)
	}
	_, err = w.c.Store(ctx, described(w.store, w.info.Name), messages.Message{Body: body}, Header{jetstream.MsgRollup, jetstream.MsgRollupSubject})
	return err
}
