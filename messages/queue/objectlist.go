package queue

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Object is what an object store has under a name.
type Object struct {
	Name   string
	Bytes  uint64
	Stored time.Time // by the server's clock
}

// described is the subject of an object's description.
func described(store, name string) string {
	return "$O." + store + ".M." + base64.URLEncoding.EncodeToString([]byte(name))
}

// piecesOf is the subject of an object's pieces.
func piecesOf(store, nuid string) string { return "$O." + store + ".C." + nuid }

// Objects lists what a store has, and takes away what nobody can read: pieces of what was not stored
// whole, since the given time or longer, and the traces of what was removed.
func (c *Client) Objects(ctx context.Context, store string, unfinished time.Time) ([]Object, error) {
	descriptions, err := c.Subjects(ctx, objectStream(store), described(store, "")+">")
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", store, err)
	}
	var out []Object
	known := map[string]bool{}
	for subject := range descriptions {
		info, o, err := c.object(ctx, store, subject)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		known[piecesOf(store, info.NUID)] = true
		out = append(out, o)
	}
	return out, c.dropPieces(ctx, store, known, unfinished)
}

// object reads a description.
func (c *Client) object(ctx context.Context, store, subject string) (*jetstream.ObjectInfo, Object, error) {
	m, err := c.Last(ctx, objectStream(store), subject)
	if err != nil {
		return nil, Object{}, fmt.Errorf("reading the descriptions of %s: %w", store, err)
	}
	info := new(jetstream.ObjectInfo)
	if err := json.Unmarshal(m.Message.Body, info); err != nil || info.Deleted {
		_, err := c.Purge(ctx, objectStream(store), subject, m.Sequence+1)
		return nil, Object{}, errors.Join(ErrNotFound, err)
	}
	return info, Object{info.Name, info.Size, m.Time}, nil
}

// dropPieces removes the pieces that no description has, when the last of them was stored long ago.
func (c *Client) dropPieces(ctx context.Context, store string, known map[string]bool, before time.Time) error {
	pieces, err := c.Subjects(ctx, objectStream(store), piecesOf(store, ">"))
	if err != nil {
		return fmt.Errorf("listing %s: %w", store, err)
	}
	for subject := range pieces {
		if known[subject] {
			continue
		}
		last, err := c.Last(ctx, objectStream(store), subject)
		if errors.Is(err, ErrNotFound) || err == nil && last.Time.After(before) {
			continue
		}
		if err == nil {
			_, err = c.Purge(ctx, objectStream(store), subject, last.Sequence+1)
		}
		if err != nil {
			return fmt.Errorf("removing %s from %s: %w", strings.TrimPrefix(subject, "$O."), store, err)
		}
	}
	return nil
}

// DropObject removes an object and leaves no trace of it. Where there is none it does nothing.
func (c *Client) DropObject(ctx context.Context, store, name string) error {
	info, _, err := c.object(ctx, store, described(store, name))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil { // the pieces first: what is left of a description can be removed again
		_, err = c.Purge(ctx, objectStream(store), piecesOf(store, info.NUID), 0)
	}
	if err == nil {
		_, err = c.Purge(ctx, objectStream(store), described(store, name), 0)
	}
	if err != nil {
		return fmt.Errorf("removing %s from %s: %w", name, store, err)
	}
	return nil
}
