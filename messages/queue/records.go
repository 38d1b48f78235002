package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
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
	Deleted  bool // only seen by Watch
	Earlier  bool // only seen by Watch: written before it had read all that there was, at the start or after an interruption
}

// Records is a bucket of records of one type. Records change by revision only.
type Records[T any] struct {
	c      *Client
	bucket string
	keys   string // wildcard for the keys that are records of this type
}

// Builds has a record for each claimed build, by its ID.
func Builds(c *Client) *Records[messages.BuildRecord] {
	return &Records[messages.BuildRecord]{c, c.space.BuildsBucket(), "*"}
}

// Rollouts has a record for each rollout, by its ID.
func Rollouts(c *Client) *Records[messages.RolloutRecord] {
	return &Records[messages.RolloutRecord]{c, c.space.RolloutsBucket(), "*"}
}

// Fleets has a record for each fleet, by its name.
func Fleets(c *Client) *Records[messages.FleetRecord] {
	return &Records[messages.FleetRecord]{c, c.space.FleetsBucket(), "*"}
}

// Members has an entry for each member, by its messages.NodeKey.
func Members(c *Client) *Records[messages.Member] {
	return &Records[messages.Member]{c, c.space.MembersBucket(), "*.*"}
}

// Nodes has the last heartbeat of each node that lives, by its messages.NodeKey.
func Nodes(c *Client) *Records[messages.NodeStatus] {
	return &Records[messages.NodeStatus]{c, c.space.NodesBucket(), "*.*"}
}

func (r *Records[T]) stream() string            { return "KV_" + r.bucket }
func (r *Records[T]) subject(key string) string { return "$KV." + r.bucket + "." + key }

func (r *Records[T]) failed(doing, key string, err error) error {
	return fmt.Errorf("%s record %s of %s: %w", doing, key, r.bucket, err)
}

// Get reads a record. On a cluster it may be a moment old. ErrNotFound where there is none.
func (r *Records[T]) Get(ctx context.Context, key string) (Entry[T], error) {
	m, err := r.c.direct(ctx, r.stream(), r.subject(key))
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
	m, err := r.c.last(ctx, r.stream(), r.subject(key))
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
func (r *Records[T]) entry(key string, m stored) (Entry[T], error) {
	e := Entry[T]{Key: key, Revision: m.sequence, Created: m.time}
	if nats.Header(m.message.Headers).Get(kvOperation) != "" {
		e.Deleted = true
		return e, nil
	}
	if err := json.Unmarshal(m.message.Body, &e.Value); err != nil {
		return e, fmt.Errorf("%w: %w", messages.ErrMalformed, err)
	}
	return e, nil
}

// Create writes a record that is not there, and returns its revision. ErrExists where it is.
func (r *Records[T]) Create(ctx context.Context, key string, v T) (uint64, error) {
	revision, err := r.put(ctx, key, v, 0)
	if errors.Is(err, ErrMoved) {
		e, readErr := r.Current(ctx, key)
		switch {
		case readErr == nil:
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
	_, err := r.c.store(ctx, r.subject(key), m, expect(revision))
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

// put writes by revision. Where the answer was lost, or a repeated attempt finds the record
// moved, it reads back what came next after the revision: records carry random IDs, so an own
// write is recognised, by a bucket with history even when others have written since.
func (r *Records[T]) put(ctx context.Context, key string, v T, revision uint64) (uint64, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return 0, err
	}
	subject := r.subject(key)
	for try := 1; ; try++ {
		written, err := r.c.store(ctx, subject, messages.Message{Body: body}, expect(revision))
		lost := errors.Is(err, ErrUnavailable)
		if !lost && (try == 1 || !errors.Is(err, ErrMoved)) {
			return written, err
		}
		if ctx.Err() != nil || !r.c.nc.IsConnected() {
			return 0, err
		}
		m, readErr := r.c.read(ctx, r.stream(), map[string]any{"seq": revision + 1, "next_by_subj": subject})
		switch {
		case readErr == nil && bytes.Equal(m.message.Body, body):
			return m.sequence, nil
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

// direct reads the last message on a subject from whichever server has it.
func (c *Client) direct(ctx context.Context, stream, subject string) (stored, error) {
	answer, err := c.ask(ctx, "$JS.API.DIRECT.GET."+stream+"."+subject, nil)
	if err != nil {
		return stored{}, err
	}
	switch status := answer.Header.Get("Status"); status {
	case "":
	case "404":
		return stored{}, ErrNotFound
	default:
		return stored{}, fmt.Errorf("%w: status %s %s", ErrUnavailable, status, answer.Header.Get("Description"))
	}
	sequence, err := strconv.ParseUint(answer.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return stored{}, fmt.Errorf("reading the answer of stream %s: header Nats-Sequence: %w", stream, err)
	}
	at, err := time.Parse(time.RFC3339Nano, answer.Header.Get("Nats-Time-Stamp"))
	if err != nil {
		return stored{}, fmt.Errorf("reading the answer of stream %s: header Nats-Time-Stamp: %w", stream, err)
	}
	return stored{answer.Header.Get("Nats-Subject"), sequence, at,
		messages.Message{Headers: messages.Headers(answer.Header), Body: answer.Data}}, nil
}
