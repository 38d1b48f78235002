// Package natskv keeps fence configs in a NATS key-value bucket: the embedded fence config
// of fleets that have none of their own.
package natskv

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go/jetstream"
)

// answerTime bounds one call where the caller's context has no deadline of its own.
const answerTime = 5 * time.Second

// Config is the setting of one fleet, under the key FLEET.docker/image.
type Config struct {
	js     jetstream.JetStream
	bucket string
	fleet  string
	key    string
}

var _ fence.Historian = (*Config)(nil)

// New returns the setting of a fleet in a bucket, which must be declared already
// (messages.Space.FenceBucket). Its history is as long as the bucket's.
func New(js jetstream.JetStream, bucket, fleet string) *Config {
	return &Config{js: js, bucket: bucket, fleet: fleet, key: fleet + "." + fence.Key}
}

// open finds the bucket.
func (c *Config) open(ctx context.Context) (jetstream.KeyValue, error) {
	if err := messages.CheckName("fleet", c.fleet); err != nil {
		return nil, err
	}
	return c.js.KeyValue(ctx, c.bucket)
}

// Get reads the setting.
func (c *Config) Get(ctx context.Context) (fence.Setting, error) {
	s, err := c.get(ctx)
	if err != nil {
		return fence.Setting{}, c.failed("reading", err)
	}
	return s, nil
}

func (c *Config) get(ctx context.Context) (fence.Setting, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	kv, err := c.open(ctx)
	if err != nil {
		return fence.Setting{}, err
	}
	e, err := kv.Get(ctx, c.key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return fence.Setting{}, nil
	}
	if err != nil {
		return fence.Setting{}, err
	}
	return setting(e), nil
}

func setting(e jetstream.KeyValueEntry) fence.Setting {
	return fence.Setting{Value: string(e.Value()), Revision: fence.Revision(strconv.FormatUint(e.Revision(), 10))}
}

// Set writes value by compare-and-set. Where the answer was lost it reads back, and takes
// a value that is there behind the expected revision for its own.
func (c *Config) Set(ctx context.Context, value string, expected fence.Revision) (fence.Setting, error) {
	if value == "" {
		return fence.Setting{}, c.failed("setting", errors.New("the value is empty: give an image"))
	}
	revision, err := c.set(ctx, value, expected)
	if err == nil {
		return fence.Setting{Value: value, Revision: fence.Revision(strconv.FormatUint(revision, 10))}, nil
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		if s, readErr := c.get(ctx); readErr == nil && s.Value == value && s.Revision != expected {
			return s, nil
		}
	}
	return fence.Setting{}, c.failed("setting", err)
}

func (c *Config) set(ctx context.Context, value string, expected fence.Revision) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	kv, err := c.open(ctx)
	if err != nil {
		return 0, err
	}
	var revision uint64
	if expected == "" {
		revision, err = kv.Create(ctx, c.key, []byte(value))
	} else {
		last, parseErr := strconv.ParseUint(string(expected), 10, 64)
		if parseErr != nil {
			return 0, fmt.Errorf("revision %q is not one of this backend: %w", expected, parseErr)
		}
		revision, err = kv.Update(ctx, c.key, []byte(value), last)
	}
	if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return 0, fmt.Errorf("%w (%w)", fence.ErrConflict, err)
	}
	return revision, err
}

// History lists the values that the bucket still has, oldest first.
func (c *Config) History(ctx context.Context) ([]fence.Change, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	kv, err := c.open(ctx)
	if err != nil {
		return nil, c.failed("reading the history of", err)
	}
	entries, err := kv.History(ctx, c.key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, c.failed("reading the history of", err)
	}
	var out []fence.Change
	for _, e := range entries {
		if e.Operation() == jetstream.KeyValuePut {
			out = append(out, fence.Change{Setting: setting(e), At: e.Created()})
		}
	}
	return out, nil
}

func (c *Config) failed(doing string, err error) error {
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		err = fmt.Errorf("bucket %s does not exist: start a producer or a controller, or run fenceline init (%w)", c.bucket, err)
	}
	return fmt.Errorf("%s fence %s of fleet %s: %w", doing, fence.Key, c.fleet, err)
}
