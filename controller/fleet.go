package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/rs/zerolog"
)

// fleetActor advances one fleet while its controller holds the lease.
type fleetActor struct {
	*Controller
	fleet  string
	clocks *decide.Clocks
	ttl    messages.Duration        // of heartbeats; 0 where it is to be asked for
	began  time.Time                // to listen to the fleet
	failed uint64                   // the epoch to which the fence config could not be driven when it was last tried; 0 for none
	told   uint64                   // the epoch at which the record was last told what is wrong with the fence config; 0 for none
	asks   chan question            // about the fence config
	given  []messages.FenceAnswered // the last answers to questions that were to set it
	noted  notedValue               // what the journal was last seen to end with
	last   lastNode                 // waits for the last node of a rollout
	seen   *seenSetting             // what the fence config was last seen to hold; nil where it was set since
	log    zerolog.Logger
}

// pass does all that is to be done now. Due tells that the timer has run out: the fence config is
// compared then, and progress that only people look at is written. What fails keeps nothing else
// from being done, as a rollback has to reach the fence config whatever else is wrong.
func (f *fleetActor) pass(ctx context.Context, due bool) error {
	began := time.Now()
	defer func() { f.Metrics.Passed(time.Since(began)) }()
	if due {
		f.ttl = 0
	}
	_, failed := f.follow(ctx, false) // first: a decision that somebody else made is not to wait
	failed = errors.Join(failed, f.enrol(ctx))
	failed = errors.Join(failed, f.advance(ctx, due))
	if due {
		failed = errors.Join(failed, f.noteRetired(ctx), f.noteSilence(ctx)) // both may take their time, and wake the next pass
	}
	f.noteLast()
	followed, err := f.follow(ctx, due)
	if followed && err == nil {
		err = f.advance(ctx, due)
	}
	return errors.Join(failed, err)
}

// follow drives the fence config where it is behind the fleet's record, and compares it where that is due.
// It tells whether there was anything to do.
func (f *fleetActor) follow(ctx context.Context, due bool) (bool, error) {
	s, revision, _ := f.views.snapshot(f.fleet, f.clocks)
	behind := s.Behind() && f.failed != s.Record.Epoch
	if revision == 0 || !due && !behind {
		return false, nil
	}
	err := f.traceFlip(ctx, &s.Record, behind)
	if err != nil {
		f.failed = s.Record.Epoch // the timer tries again; a newer decision is driven at once
	}
	return true, err
}

// enrol makes nodes that beat for the first time members, and a record for a fleet that has none. It
// stops when it has taken as long as the lease lasts: the next pass goes on.
func (f *fleetActor) enrol(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, f.LeaseTTL)
	defer cancel()
	var failed error
	for _, name := range f.views.strangers(f.fleet) {
		if bounded.Err() != nil {
			break
		}
		if err := f.makeMember(bounded, name); err != nil {
			failed = errors.Join(failed, fmt.Errorf("making node %s a member: %w", name, err))
		}
	}
	return errors.Join(failed, f.makeRecord(ctx))
}

// makeMember makes a node a member.
func (f *fleetActor) makeMember(ctx context.Context, name string) error {
	key := messages.NodeKey(f.fleet, name)
	// A retirement deletes the heartbeat first, then the member. A node whose heartbeat is gone by
	// now was retired since it was seen, and must not come back by this.
	if _, err := store.Nodes(f.Queue).Get(ctx, key); errors.Is(err, queue.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	f.views.noteMade(key)
	m := messages.Member{Fleet: f.fleet, Node: name, Joined: time.Now().UTC()}
	revision, err := store.Members(f.Queue).Create(ctx, key, m)
	if errors.Is(err, queue.ErrExists) {
		return nil // the watch will tell
	}
	if err != nil {
		return err
	}
	f.views.noteMember(queue.Entry[messages.Member]{Key: key, Value: m, Revision: revision})
	f.log.Info().Str("node", name).Msg("new member")
	return nil
}

// nodeTTL is how long heartbeats are kept. It is asked for when the timer runs out, as the bucket may be
// declared anew with another.
func (f *fleetActor) nodeTTL(ctx context.Context) (messages.Duration, error) {
	if f.ttl == 0 {
		info, err := f.Queue.Info(ctx, queue.Bucket(f.Queue.Space().NodesBucket(), 1).Name)
		if errors.Is(err, queue.ErrUndeclared) { // it is declared again soon
			return f.ttl, nil
		}
		if err != nil {
			return 0, err
		}
		f.ttl = messages.Duration(info.MaxAge)
	}
	return f.ttl, nil
}

// makeRecord gives the fleet a record where it has none, and has it say how long heartbeats are kept.
func (f *fleetActor) makeRecord(ctx context.Context) error {
	ttl, err := f.nodeTTL(ctx)
	if err != nil {
		return err
	}
	if s, revision, _ := f.views.snapshot(f.fleet, f.clocks); revision > 0 {
		if ttl == 0 || s.Record.NodeTTL == ttl {
			return nil
		}
		return f.changeRecord(ctx, f.fleet, func(r *messages.FleetRecord) bool {
			was := r.NodeTTL
			r.NodeTTL = ttl
			return was != ttl
		})
	}
	r := messages.FleetRecord{Fleet: f.fleet, ID: messages.NewID(), Decision: messages.NewID(), NodeTTL: ttl}
	revision, err := store.Fleets(f.Queue).Create(ctx, f.fleet, r)
	if errors.Is(err, queue.ErrExists) {
		return f.reread(ctx)
	}
	if err == nil {
		f.wroteFleet(ctx, r, revision)
	}
	return err
}

// advance writes what is decided, one step after the other, until nothing is to be done.
func (f *fleetActor) advance(ctx context.Context, due bool) error {
	for range writesInARow {
		began := time.Now()
		s, revision, revisions := f.views.snapshot(f.fleet, f.clocks)
		if revision == 0 {
			return nil
		}
		s.Report = due
		out := decide.Next(&s)
		if out.Fleet == nil && out.Rollout == nil {
			return nil
		}
		err := f.write(ctx, out, revision, revisions)
		f.Metrics.Decided(time.Since(began))
		if errors.Is(err, queue.ErrMoved) {
			err = f.reread(ctx)
		}
		if err != nil {
			return err
		}
	}
	return errors.New("too many decisions in a row")
}
