package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// The sizes of the streams, in bytes, and the ages of what is in them. An operator who wants others
// makes the streams beforehand: what exists is left alone.
const (
	requestBytes  = 256 << 20 // then requests are refused
	eventBytes    = 320 << 20 // then the oldest events go
	eventAge      = 90 * 24 * time.Hour
	reportBytes   = 64 << 20 // then the oldest reports of nodes go
	reportAge     = 90 * 24 * time.Hour
	letterBytes   = 128 << 20 // then what can't be handled stays where it is
	logBytes      = 512 << 20 // then the oldest logs go
	logAge        = 14 * 24 * time.Hour
	contextBytes  = 2 << 30 // then uploads are refused
	contextAge    = 7 * 24 * time.Hour
	auditBytes    = 128 << 20 // then the oldest audit events go
	auditAge      = 90 * 24 * time.Hour
	refusalBytes  = 32 << 20 // then the oldest counts of strangers' refusals go
	refusalAge    = 30 * 24 * time.Hour
	decisionBytes = 64 << 20 // then the oldest decisions go
	decisionAge   = 90 * 24 * time.Hour
	sinkBytes     = 64 << 20 // then the oldest events go that people sent to sinks again
	sinkAge       = 7 * 24 * time.Hour
	statusAge     = 30 * 24 * time.Hour // then what was told of a commit is forgotten
	callBytes     = 64 << 20            // then calls with another Idempotency-Key are refused
	// duplicates is how long a stream knows the IDs of what it stored, so that what is sent again
	// after a lost answer is stored once.
	duplicates = 2 * time.Minute
	// fenceHistory is how many values of each fence config, and of each fleet's record, are kept.
	fenceHistory = 64
)

// KeyAge is how long a call's Idempotency-Key counts.
const KeyAge = 24 * time.Hour

// What counts where no Layout says.
const (
	DefaultNodeTTL = 30 * time.Second
	DefaultAckWait = 30 * time.Second
)

// Layout is what may differ between installations. A zero field means its default for what is
// made, and whatever it is for what exists already.
type Layout struct {
	Replicas int           // 1, or 3 or 5 on a cluster
	NodeTTL  time.Duration // a node's last heartbeat is kept this long
	AckWait  time.Duration // a build stays this long with a builder that went silent
}

// Declare makes the streams, buckets and shared consumers that don't exist yet. What exists is left alone, and
// refused with a *queue.DiffersError where its settings would lose messages or where l asks for
// something else.
func Declare(ctx context.Context, c *queue.Client, l Layout) error {
	all := l.streams(c.Space())
	all[0].First = func(ctx context.Context) (uint64, error) { return nextOrder(ctx, c) }
	if err := c.Declare(ctx, all); err != nil {
		return err
	}
	if err := moveLetters(ctx, c); err != nil {
		return err
	}
	if err := l.declareConsumers(ctx, c, l.AckWait); err != nil {
		return err
	}
	return l.declareNewer(ctx, c)
}

// declareCalls makes what is kept of calls. Without it those with an Idempotency-Key are refused, and no audit events kept.
func (l Layout) declareCalls(ctx context.Context, c *queue.Client) error {
	bucket := queue.Bucket(c.Space().CallsBucket(), 1)
	bucket.MaxAge, bucket.MaxBytes, bucket.Replicas = KeyAge, callBytes, l.Replicas
	s := c.Space()
	return c.Declare(ctx, []queue.Stream{
		bucket,
		{Name: s.AuditStream(), Subjects: s.AuditSubjects(), Duplicates: duplicates, DropOldest: true, NoDeletes: true, MaxBytes: auditBytes, MaxAge: auditAge, Replicas: l.Replicas},
		{Name: s.RefusalsStream(), Subjects: s.RefusalSubjects(), Duplicates: duplicates, DropOldest: true, NoDeletes: true, MaxBytes: refusalBytes, MaxAge: refusalAge, Replicas: l.Replicas},
	})
}

// declareDecisions makes what keeps people's decisions, and what they send to sinks again.
func (l Layout) declareDecisions(ctx context.Context, c *queue.Client) error {
	s := c.Space()
	return c.Declare(ctx, []queue.Stream{
		{Name: s.DecisionsStream(), Subjects: s.DecisionSubjects(), Duplicates: duplicates, DropOldest: true, NoDeletes: true, MaxBytes: decisionBytes, MaxAge: decisionAge, Replicas: l.Replicas},
		{Name: s.SinksStream(), Subjects: s.SinkSubjects(), Duplicates: duplicates, DropOldest: true, MaxBytes: sinkBytes, MaxAge: sinkAge, Replicas: l.Replicas},
	})
}

// declareConsumers makes the consumers that builders take requests from, which may make none: whoever makes a consumer says where the server delivers to.
func (l Layout) declareConsumers(ctx context.Context, c *queue.Client, ackWait time.Duration) error {
	for _, t := range messages.TypeBuildRequested.Versions() {
		s := queue.Shared{Stream: c.Space().RequestsStream(), Name: Builders, Type: t, AckWait: ackWait}
		if err := c.DeclareShared(ctx, s, cmp.Or(l.AckWait, DefaultAckWait)); err != nil {
			return err
		}
	}
	return nil
}

// declareNewer makes what installations have that were set up by a program that knows of it: credentials from before
// may not. They are no reason to do nothing else, and who needs it waits, and says so.
func (l Layout) declareNewer(ctx context.Context, c *queue.Client) error {
	for _, declare := range []func(context.Context, *queue.Client) error{l.declareStatuses, l.declareTriggers, l.declareCalls, l.declareDecisions} {
		if err := declare(ctx, c); err != nil && !errors.Is(err, queue.ErrForbidden) && !errors.Is(err, queue.ErrUndeclared) {
			return err
		}
	}
	return nil
}

// declareStatuses makes what telling forges takes.
func (l Layout) declareStatuses(ctx context.Context, c *queue.Client) error {
	bucket := queue.Bucket(c.Space().StatusesBucket(), 1)
	bucket.MaxAge, bucket.Replicas = statusAge, l.Replicas
	if err := c.Declare(ctx, []queue.Stream{bucket}); err != nil {
		return err
	}
	for _, s := range StatusConsumers(c.Space()) {
		s.AckWait = 0
		if err := c.DeclareShared(ctx, s, statusAckWait); err != nil {
			return err
		}
	}
	return nil
}

// declareTriggers makes what producers share of triggers. It has no age: a yearly schedule is known from its last time.
func (l Layout) declareTriggers(ctx context.Context, c *queue.Client) error {
	bucket := queue.Bucket(c.Space().TriggersBucket(), 1)
	bucket.Replicas = l.Replicas
	return c.Declare(ctx, []queue.Stream{bucket})
}

// KeepConsumers makes those that are gone, and leaves the others alone.
func (l Layout) KeepConsumers(ctx context.Context, c *queue.Client) error {
	if err := l.declareConsumers(ctx, c, 0); err != nil {
		return err
	}
	return l.declareNewer(ctx, c)
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
		// Before those that store what it once did.
		{Name: s.EventsStream(), Subjects: s.EventSubjects(), Once: slices.Concat(s.ReportSubjects(), s.LetterSubjects()),
			Duplicates: duplicates, DropOldest: true, MaxBytes: eventBytes, MaxAge: eventAge},
		{Name: s.ReportsStream(), Subjects: s.ReportSubjects(), Duplicates: duplicates, DropOldest: true, MaxBytes: reportBytes, MaxAge: reportAge},
		{Name: s.LettersStream(), Subjects: s.LetterSubjects(), Duplicates: duplicates, MaxBytes: letterBytes},
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
	builds, err := existing(ctx, c, c.Space().BuildsBucket(), Builds(c))
	if err != nil {
		return 0, fmt.Errorf("finding the orders that were given: %w", err)
	}
	for _, e := range builds {
		highest = max(highest, e.Value.Order, e.Value.Request)
	}
	fleets, err := existing(ctx, c, c.Space().FleetsBucket(), Fleets(c))
	if err != nil {
		return 0, fmt.Errorf("finding the orders that were given: %w", err)
	}
	for _, e := range fleets {
		highest = max(highest, e.Value.Highest)
	}
	return highest + 1, nil
}

// existing lists the records of a bucket that may not be there yet.
func existing[T any](ctx context.Context, c *queue.Client, bucket string, r *queue.Records[T]) ([]queue.Entry[T], error) {
	missing, err := c.Missing(ctx, queue.Bucket(bucket, 1).Name)
	if missing || err != nil {
		return nil, err
	}
	return r.List(ctx)
}

// moveLetters brings the dead letters that the events stream has, of an installation from before they had
// a stream of their own, where they are kept.
func moveLetters(ctx context.Context, c *queue.Client) error {
	events, letters := c.Space().EventsStream(), c.Space().LetterSubjects()
	if _, err := c.Last(ctx, events, letters[0]); err != nil {
		if errors.Is(err, queue.ErrNotFound) {
			return nil
		}
		return fmt.Errorf("looking for dead letters among the events: %w", err)
	}
	err := c.Read(ctx, events, queue.ReadOptions{Filters: letters}, func(r queue.Received) error {
		_, err := c.PublishOnce(ctx, r.Subject, queue.AsSent(r.Message))
		return err
	})
	if err == nil {
		_, err = c.Purge(ctx, events, letters[0], 0)
	}
	if errors.Is(err, queue.ErrForbidden) {
		return nil // a controller does it
	}
	if err != nil {
		return fmt.Errorf("moving the dead letters to %s: %w", c.Space().LettersStream(), err)
	}
	return nil
}
