package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go"
)

// The header by which a KV bucket marks a key as deleted (NATS ADR-8).
const (
	kvOperation = "KV-Operation"
	kvDeleted   = "DEL"
)

// Entry is a record as it was read.
type Entry[T any] struct {
	Key      string
	Value    T
	Revision uint64 // what a change is based on
	Created  time.Time
	Headers  messages.Headers // that it was written with, among the server's own
	Deleted  bool             // only seen by Watch
	Earlier  bool             // only seen by Watch: written before it had read all that there was, at the start or after an interruption
}

// Records is a bucket of records of one type. Records change by revision only.
type Records[T any] struct {
	c      *Client
	bucket string
	keys   string // wildcard for the keys that are records of this type
	encode func(T) ([]byte, error)
	decode func([]byte, *T) (newer bool, err error)
	fields bool             // they are JSON, whose fields that this program doesn't know are kept
	named  func(T) string   // the key that a record says it has; nil where it says none
	header messages.Headers // of each write
}

// With is the same records, written with headers: what is known of a write beside its value.
func (r *Records[T]) With(h messages.Headers) *Records[T] {
	out := *r
	out.header = h
	return &out
}

// NewRecords has the records of a bucket whose keys match a wildcard, as JSON. A record that is changed keeps
// the fields that this program doesn't know: a newer one may run beside it.
func NewRecords[T any](c *Client, bucket, keys string) *Records[T] {
	return &Records[T]{
		c: c, bucket: bucket, keys: keys,
		encode: func(v T) ([]byte, error) { return json.Marshal(v) },
		decode: decodeJSON[T], fields: true,
	}
}

// Named has a record refused, as one that can't be decoded, whose key is not what named says. A
// credential is confined to keys: what a record calls itself could be another's.
func (r *Records[T]) Named(named func(T) string) *Records[T] {
	r.named = named
	return r
}

// NewTexts has the values of a bucket whose keys match a wildcard, as they are.
func NewTexts(c *Client, bucket, keys string) *Records[string] {
	return &Records[string]{
		c: c, bucket: bucket, keys: keys,
		encode: func(v string) ([]byte, error) { return []byte(v), nil },
		decode: func(body []byte, v *string) (bool, error) { *v = string(body); return false, nil },
	}
}

func (r *Records[T]) stream() string { return bucketStream(r.bucket) }

// Subject is where the record of a key is published.
func (r *Records[T]) Subject(key string) string { return "$KV." + r.bucket + "." + key }

func (r *Records[T]) failed(doing, key string, err error) error {
	return fmt.Errorf("%s record %s of %s: %w", doing, key, r.bucket, err)
}

// Get reads a record. On a cluster it may be a moment old. ErrNotFound where there is none.
func (r *Records[T]) Get(ctx context.Context, key string) (Entry[T], error) {
	m, err := r.c.direct(ctx, r.stream(), r.Subject(key))
	if err == nil {
		e, err := r.entry(key, m)
		if err == nil && !e.Deleted {
			return e, nil
		}
		return Entry[T]{}, r.failed("reading", key, orNotFound(err))
	}
	return Entry[T]{}, r.failed("reading", key, err)
}

func orNotFound(err error) error {
	if err == nil {
		return ErrNotFound
	}
	return err
}

// Current reads a record from the leader, so that it is not stale. The entry of a deleted
// record has its revision.
func (r *Records[T]) Current(ctx context.Context, key string) (Entry[T], error) {
	m, err := r.c.Last(ctx, r.stream(), r.Subject(key))
	if err != nil {
		return Entry[T]{}, err
	}
	e, err := r.entry(key, m)
	if err == nil && e.Deleted {
		return e, ErrNotFound
	}
	return e, err
}

// entry decodes a message of the bucket's stream.
func (r *Records[T]) entry(key string, m Stored) (Entry[T], error) {
	e := Entry[T]{Key: key, Revision: m.Sequence, Created: m.Time, Headers: m.Message.Headers}
	if nats.Header(m.Message.Headers).Get(kvOperation) != "" {
		e.Deleted = true
		return e, nil
	}
	newer, err := r.decode(m.Message.Body, &e.Value)
	if err != nil {
		return e, fmt.Errorf("%w: %w", messages.ErrMalformed, err)
	}
	if newer {
		r.c.newer.see(r.bucket)
	}
	if r.named != nil {
		if name := r.named(e.Value); name != key {
			var none T
			e.Value = none
			return e, fmt.Errorf("%w: the record of %s calls itself %q", messages.ErrMalformed, key, messages.Shorten(name, nameMost))
		}
	}
	return e, nil
}

// nameMost bounds, in bytes, a name in an error that a record should not have.
const nameMost = 200

// Create writes a record that is not there, and returns its revision. ErrExists where it is.
func (r *Records[T]) Create(ctx context.Context, key string, v T) (uint64, error) {
	revision, err := r.put(ctx, key, v, 0)
	if errors.Is(err, ErrMoved) {
		e, readErr := r.Current(ctx, key)
		switch {
		case readErr == nil, errors.Is(readErr, messages.ErrMalformed):
			err = ErrExists
		case errors.Is(readErr, ErrNotFound) && e.Deleted:
			if revision, err = r.put(ctx, key, v, e.Revision); errors.Is(err, ErrMoved) {
				err = ErrExists
			}
		}
	}
	if err != nil {
		return 0, r.failed("creating", key, err)
	}
	return revision, nil
}

// Update changes a record that is still at the given revision, and returns the new one.
// ErrMoved where it isn't.
func (r *Records[T]) Update(ctx context.Context, key string, v T, revision uint64) (uint64, error) {
	moved, err := r.put(ctx, key, v, revision)
	if err != nil {
		return 0, r.failed("changing", key, err)
	}
	return moved, nil
}

// Delete removes a record that is still at the given revision. ErrMoved where it isn't.
func (r *Records[T]) Delete(ctx context.Context, key string, revision uint64) error {
	m := messages.Message{Headers: messages.Headers{kvOperation: {kvDeleted}}}
	_, err := r.c.Store(ctx, r.Subject(key), m, Expect(revision))
	if errors.Is(err, ErrUnavailable) && ctx.Err() == nil {
		if e, readErr := r.Current(ctx, key); e.Deleted && errors.Is(readErr, ErrNotFound) {
			err = nil
		}
	}
	if err != nil {
		return r.failed("deleting", key, err)
	}
	return nil
}

// Note writes a value whatever stands there, without waiting until it is stored: for what is written again
// soon, and read by people.
func (r *Records[T]) Note(key string, v T) error {
	body, err := r.encode(v)
	if err != nil {
		return err
	}
	return r.c.refused(classify(r.c.nc.PublishMsg(natsMessage(r.Subject(key), messages.Message{Body: body}, nil))))
}

// NoteGone removes what Note wrote, in the same way.
func (r *Records[T]) NoteGone(key string) error {
	m := messages.Message{Headers: messages.Headers{kvOperation: {kvDeleted}}}
	return r.c.refused(classify(r.c.nc.PublishMsg(natsMessage(r.Subject(key), m, nil))))
}

// put writes by revision. Where the answer was lost, or a repeated attempt finds the record
// moved, it reads back what came next after the revision: records carry random IDs, so an own
// write is recognised, by a bucket with history even when others have written since.
func (r *Records[T]) put(ctx context.Context, key string, v T, revision uint64) (uint64, error) {
	body, err := r.encode(v)
	if err == nil {
		body, err = r.keeping(ctx, key, body, revision)
	}
	if err != nil {
		return 0, err
	}
	subject := r.Subject(key)
	for try := 1; ; try++ {
		written, err := r.c.Store(ctx, subject, messages.Message{Headers: r.header, Body: body}, Expect(revision))
		lost := errors.Is(err, ErrUnavailable)
		if !lost && (try == 1 || !errors.Is(err, ErrMoved)) {
			return written, err
		}
		if ctx.Err() != nil || !r.c.nc.IsConnected() {
			return 0, err
		}
		m, readErr := r.c.readOne(ctx, r.stream(), map[string]any{"seq": revision + 1, "next_by_subj": subject})
		switch {
		case readErr == nil && bytes.Equal(m.Message.Body, body):
			return m.Sequence, nil
		case readErr == nil:
			return 0, ErrMoved
		case !lost || try == publishTries:
			return 0, err
		}
	}
}

// Modify reads a record, lets change alter it, and writes it by revision, again when it was
// moved in between. Where there is no record change gets the zero value and it is created.
// An ErrUnchanged of change stops without a write and is not an error; any other stops too.
func (r *Records[T]) Modify(ctx context.Context, key string, change func(*T) error) (Entry[T], error) {
	read := r.Get
	for {
		e, err := read(ctx, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return e, err
		}
		e.Key = key
		if err := change(&e.Value); errors.Is(err, ErrUnchanged) {
			return e, nil
		} else if err != nil {
			return e, err
		}
		var revision uint64
		if e.Revision == 0 || e.Deleted {
			revision, err = r.Create(ctx, key, e.Value)
		} else {
			revision, err = r.Update(ctx, key, e.Value, e.Revision)
		}
		if err == nil {
			e.Revision, e.Deleted = revision, false
			return e, nil
		}
		if !errors.Is(err, ErrMoved) && !errors.Is(err, ErrExists) {
			return e, err
		}
		if ctx.Err() != nil {
			return e, r.failed("changing", key, context.Cause(ctx))
		}
		read = r.Current // the other read may be stale for a while
	}
}

// Forget removes a record that is still at the given revision, and leaves no trace of it. One that
// was changed since stays.
func (r *Records[T]) Forget(ctx context.Context, key string, revision uint64) error {
	if _, err := r.c.Purge(ctx, r.stream(), r.Subject(key), revision+1); err != nil {
		return r.failed("dropping", key, err)
	}
	return nil
}

// direct reads the last message on a subject from whichever server has it.
func (c *Client) direct(ctx context.Context, stream, subject string) (Stored, error) {
	answer, err := c.ask(ctx, "$JS.API.DIRECT.GET."+stream+"."+subject, nil)
	if err != nil {
		return Stored{}, err
	}
	switch status := answer.Header.Get("Status"); status {
	case "":
	case "404":
		return Stored{}, ErrNotFound
	default:
		return Stored{}, c.refused(fmt.Errorf("%w: status %s %s", ErrUnavailable, status, answer.Header.Get("Description")))
	}
	m, err := storedBy(stream, answer)
	return m, c.refused(err)
}
