package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Stream is a stream, or the stream below a bucket or an object store, as it has to be.
type Stream struct {
	Name       string
	Subjects   []string
	Once       []string      // subjects that it had beside them, which other streams have taken over: it gives them up
	Memory     bool          // it is kept in memory, and gone with the server
	DropOldest bool          // when it is full, or messages are too old, the oldest go; else new ones are refused
	PerSubject int64         // messages kept of each subject, the last ones; 0: all
	MaxBytes   int64         // that it takes; 0: whatever there is room for
	MaxAge     time.Duration // then messages go; 0: never
	AgeAsked   bool          // somebody asked for that age: a stream with another is refused
	Duplicates time.Duration // how long it knows the IDs of what it stored
	Replicas   int           // copies in a cluster; 0: one where it is made, and whatever it has where it exists
	Batches    bool          // it takes atomic batches
	Rollups    bool          // a message may take the place of others by a header
	NoDeletes  bool          // messages go by limits and purges alone

	// First gives the sequence of its first message where it is made; nil means 1.
	First func(ctx context.Context) (uint64, error)
}

// Bucket is the stream of a KV bucket that keeps so many values of each key, as nats.go would make
// it, but without rollups: whoever may write one key could remove all others by a header.
func Bucket(name string, history int64) Stream {
	return Stream{Name: bucketStream(name), Subjects: []string{"$KV." + name + ".>"}, PerSubject: history, NoDeletes: true}
}

func bucketStream(name string) string { return "KV_" + name }

// ObjectStore is the stream of an object store, as nats.go would make it. It needs rollups: by them
// an object's description takes the place of the one before.
func ObjectStore(name string) Stream {
	return Stream{Name: objectStream(name), Subjects: []string{"$O." + name + ".C.>", "$O." + name + ".M.>"}, Rollups: true}
}

func objectStream(name string) string { return "OBJ_" + name }

func (s Stream) config() jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name: s.Name, Subjects: s.Subjects, Duplicates: s.Duplicates,
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
		MaxConsumers: -1, MaxMsgs: -1, MaxMsgsPerSubject: orDefault(s.PerSubject, -1),
		MaxBytes: orDefault(s.MaxBytes, -1), MaxAge: s.MaxAge, Replicas: orDefault(s.Replicas, 1),
		AllowDirect: true, AllowAtomicPublish: s.Batches, AllowRollup: s.Rollups, DenyDelete: s.NoDeletes,
	}
	if s.Memory {
		cfg.Storage = jetstream.MemoryStorage
	}
	if s.DropOldest {
		cfg.Discard = jetstream.DiscardOld
	}
	return cfg
}

// orDefault returns v, or def where v is zero.
func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Declare makes the streams that don't exist yet. What exists is left alone but for what another stream
// has taken over, and refused with a
// *DiffersError where its settings would lose messages or where something else is asked for.
func (c *Client) Declare(ctx context.Context, all []Stream) error {
	for _, want := range all {
		if err := c.declare(ctx, want); err != nil {
			return fmt.Errorf("declaring stream %s: %w", want.Name, undeclarable(want, all, err))
		}
	}
	return nil
}

// existing takes away from a stream what it stored once, and compares the rest.
func (c *Client) existing(ctx context.Context, have jetstream.StreamConfig, want Stream) error {
	given := func(subject string) bool { return slices.Contains(want.Once, subject) }
	if slices.ContainsFunc(have.Subjects, given) {
		left := have
		left.Subjects = slices.DeleteFunc(slices.Clone(have.Subjects), given)
		if err := compare(left, want); err != nil {
			return err
		}
		ctx, done := c.denied.guard(ctx, "$JS.API.STREAM.UPDATE."+want.Name)
		defer done()
		_, err := counted(ctx, c, func(ctx context.Context) (jetstream.Stream, error) { return c.js.UpdateStream(ctx, left) })
		if err != nil {
			return fmt.Errorf("taking %s from it, which other streams store: %w", strings.Join(want.Once, ", "), c.failure(ctx, err))
		}
		return nil
	}
	return compare(have, want)
}

func (c *Client) declare(ctx context.Context, want Stream) error {
	ctx, done := c.denied.guard(ctx, "$JS.API.STREAM.INFO."+want.Name)
	defer done()
	ctx, made := c.denied.guard(ctx, "$JS.API.STREAM.CREATE."+want.Name)
	defer made()
	for range 3 { // two clients may declare at once
		s, err := answered(ctx, func(ctx context.Context) (jetstream.Stream, error) { return c.js.Stream(ctx, want.Name) })
		if err == nil {
			return c.existing(ctx, s.CachedInfo().Config, want)
		}
		if !errors.Is(err, jetstream.ErrStreamNotFound) { // that is why it is declared
			return c.refused(c.failure(ctx, err))
		}
		cfg := want.config()
		if want.First != nil {
			if cfg.FirstSeq, err = want.First(ctx); err != nil {
				return err
			}
		}
		_, err = counted(ctx, c, func(ctx context.Context) (jetstream.Stream, error) { return c.js.CreateStream(ctx, cfg) })
		if err == nil {
			return nil
		}
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			continue
		}
		if err = c.failure(ctx, err); errors.Is(err, ErrForbidden) { // who may, does so as soon as it starts
			return fmt.Errorf("%w: %w; this credential may not declare it", ErrUnavailable, ErrUndeclared)
		}
		return err
	}
	return fmt.Errorf("%w: it comes and goes", ErrUnavailable)
}
