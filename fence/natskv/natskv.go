// Package natskv keeps fence configs in a NATS key-value bucket: the embedded fence config
// of fleets that have none of their own.
//
// The files, in reading order:
//
//	natskv.go  Config: the setting, by compare-and-set
//	cause.go   what a value comes from is kept in its headers
package natskv

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// callTime bounds one call where the caller's context has no deadline of its own: an answer that is
// lost, which the queue waits 5 seconds for, and the look whether the value is there all the same.
const callTime = 15 * time.Second

// Config is the setting of one fleet, under the key FLEET.docker/image.
type Config struct {
	values *queue.Records[string]
	fleet  string
	key    string
}

var (
	_ fence.Historian   = (*Config)(nil)
	_ fence.CauseKeeper = (*Config)(nil)
)

// New returns the setting of a fleet in the installation's bucket, which must be declared already
// (messages.Space.FenceBucket). Its history is as long as the bucket's.
func New(c *queue.Client, fleet string) *Config {
	key := fleet + "." + fence.Key
	return &Config{values: queue.NewTexts(c, c.Space().FenceBucket(), key), fleet: fleet, key: key}
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
	if err := messages.CheckName("fleet", c.fleet); err != nil {
		return fence.Setting{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	e, err := c.values.Get(ctx, c.key)
	if errors.Is(err, queue.ErrNotFound) {
		return fence.Setting{}, nil
	}
	if err != nil {
		return fence.Setting{}, err
	}
	return setting(e.Value, e.Revision), nil
}

func setting(value string, revision uint64) fence.Setting {
	return fence.Setting{Value: value, Revision: fence.Revision(strconv.FormatUint(revision, 10))}
}

// Set writes value by compare-and-set. Where the answer was lost it reads back, and takes
// a value that is there behind the expected revision for its own.
func (c *Config) Set(ctx context.Context, value string, expected fence.Revision) (fence.Setting, error) {
	return c.SetFor(ctx, value, expected, fence.Cause{})
}

// SetFor is Set for a decision, which is kept in the value's headers.
func (c *Config) SetFor(ctx context.Context, value string, expected fence.Revision, cause fence.Cause) (fence.Setting, error) {
	if err := fence.CheckValue(value); err != nil {
		return fence.Setting{}, c.failed("setting", err)
	}
	revision, err := c.set(ctx, c.values.With(headersOf(cause)), value, expected)
	if errors.Is(err, queue.ErrExists) || errors.Is(err, queue.ErrMoved) {
		err = fmt.Errorf("%w (%w)", fence.ErrConflict, err)
	}
	if err != nil {
		return fence.Setting{}, c.failed("setting", err)
	}
	return setting(value, revision), nil
}

func (c *Config) set(ctx context.Context, values *queue.Records[string], value string, expected fence.Revision) (uint64, error) {
	if err := messages.CheckName("fleet", c.fleet); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if expected == "" {
		return values.Create(ctx, c.key, value)
	}
	last, err := strconv.ParseUint(string(expected), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("revision %q is not one of this backend: %w", expected, err)
	}
	return values.Update(ctx, c.key, value, last)
}

// History lists the values that the bucket still has, oldest first.
func (c *Config) History(ctx context.Context) ([]fence.Change, error) {
	if err := messages.CheckName("fleet", c.fleet); err != nil {
		return nil, c.failed("reading the history of", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	entries, err := c.values.History(ctx, c.key)
	if err != nil {
		return nil, c.failed("reading the history of", err)
	}
	var out []fence.Change
	for _, e := range entries {
		out = append(out, fence.Change{Setting: setting(e.Value, e.Revision), At: e.Created, Cause: causeOf(e.Headers)})
	}
	return out, nil
}

func (c *Config) failed(doing string, err error) error {
	return fmt.Errorf("%s fence %s of fleet %s: %w", doing, fence.Key, c.fleet, err)
}
