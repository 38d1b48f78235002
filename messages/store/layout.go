package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// The sizes of the streams, in bytes, and the ages of what is in them. An operator who wants others
// makes the streams beforehand: what exists is left alone.
const (
	requestBytes = 256 << 20 // then requests are refused
	eventBytes   = 512 << 20 // then the oldest events go
	eventAge     = 90 * 24 * time.Hour
	logBytes     = 512 << 20 // then the oldest logs go
	logAge       = 14 * 24 * time.Hour
	contextBytes = 2 << 30 // then uploads are refused
	contextAge   = 7 * 24 * time.Hour
	// duplicates is how long a stream knows the IDs of what it stored, so that what is sent again
	// after a lost answer is stored once.
	duplicates = 2 * time.Minute
	// fenceHistory is how many values of each fence config, and of each fleet's record, are kept.
	fenceHistory = 64
)

// DefaultNodeTTL is how long a node's last heartbeat is kept where no Layout says.
const DefaultNodeTTL = 30 * time.Second

// Layout is what may differ between installations. A zero field means its default for what is
// made, and whatever it is for what exists already.
type Layout struct {
	Replicas int           // 1, or 3 or 5 on a cluster
	NodeTTL  time.Duration // a node's last heartbeat is kept this long
}

// Declare makes the streams and buckets that don't exist yet. What exists is left alone, and
// refused with a *queue.DiffersError where its settings would lose messages or where l asks for
// something else.
func Declare(ctx context.Context, c *queue.Client, l Layout) error {
	all := l.streams(c.Space())
	all[0].First = func(ctx context.Context) (uint64, error) { return nextOrder(ctx, c) }
	return c.Declare(ctx, all)
}

// streams lists every stream, those below the buckets included. The requests' is the first.
func (l Layout) streams(s messages.Space) []queue.Stream {
	// No rollups in any but the contexts: whoever may publish one message could remove all others
	// by a header.
	nodes := queue.Bucket(s.NodesBucket(), 1)
	// An entry that expires leaves no marker: NATS allows rollups wherever it makes markers. Whoever
	// watches learns of it by the clock.
	nodes.Memory, nodes.MaxAge, nodes.AgeAsked = true, DefaultNodeTTL, l.NodeTTL != 0
	if l.NodeTTL != 0 {
		nodes.MaxAge = l.NodeTTL
	}
	contexts := queue.ObjectStore(s.ContextsStore())
	contexts.MaxBytes, contexts.MaxAge = contextBytes, contextAge
	all := []queue.Stream{
		{Name: s.RequestsStream(), Subjects: s.RequestSubjects(), Duplicates: duplicates, MaxBytes: requestBytes,
			Batches: true}, // requests that wait together are stored together
		{Name: s.EventsStream(), Subjects: s.EventSubjects(), Duplicates: duplicates, DropOldest: true, MaxBytes: eventBytes, MaxAge: eventAge},
		{Name: s.LogsStream(), Subjects: s.LogSubjects(), Duplicates: duplicates, DropOldest: true, MaxBytes: logBytes, MaxAge: logAge},
		queue.Bucket(s.BuildsBucket(), 1),
		queue.Bucket(s.RolloutsBucket(), 1),
		queue.Bucket(s.FleetsBucket(), fenceHistory),
		queue.Bucket(s.MembersBucket(), 1),
		queue.Bucket(s.FenceBucket(), fenceHistory),
		nodes,
		contexts,
	}
	for i := range all {
		all[i].Replicas = l.Replicas
	}
	return all
}

// nextOrder is where the orders of a new requests stream begin: after those that records know
// of a stream before it, as a fleet takes no image of an order that it has left behind.
func nextOrder(ctx context.Context, c *queue.Client) (uint64, error) {
	var highest uint64
	builds, err := Builds(c).List(ctx)
	if err != nil && !errors.Is(err, queue.ErrUndeclared) {
		return 0, fmt.Errorf("finding the orders that were given: %w", err)
	}
	for _, e := range builds {
		highest = max(highest, e.Value.Order, e.Value.Request)
	}
	fleets, err := Fleets(c).List(ctx)
	if err != nil && !errors.Is(err, queue.ErrUndeclared) {
		return 0, fmt.Errorf("finding the orders that were given: %w", err)
	}
	for _, e := range fleets {
		highest = max(highest, e.Value.Highest)
	}
	return highest + 1, nil
}
