package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

const (
	// questionsMost bounds the questions that wait for a fleet's actor.
	questionsMost = 16
	// QuestionTime is how long a question waits for its turn: one that waits longer is not acted on, as
	// whoever asked has gone. They wait somewhat longer for the answer.
	QuestionTime = 15 * time.Second
)

// question is one about a fleet's fence config.
type question struct {
	messages.FenceAsked
	came time.Time
}

// hearQuestions gives fleets' actors the questions about their fence configs, until ctx ends.
func (c *Controller) hearQuestions(ctx context.Context) {
	err := store.HearFence(ctx, c.Queue, func(asked messages.FenceAsked) {
		c.mu.Lock()
		to, known := c.asks[asked.Fleet]
		c.mu.Unlock()
		why := "no such fleet"
		if known {
			select {
			case to <- question{asked, time.Now()}:
				return
			default:
				why = "too many questions about this fleet wait already: ask again in a moment"
			}
		}
		c.reply(messages.FenceAnswered{Ask: asked.Ask, Fleet: asked.Fleet, Error: why})
	})
	if ctx.Err() == nil {
		c.Logger.Warn().Err(err).Msg("nobody can read or set fence configs through this controller")
	}
}

// answering is where a fleet's actor gets questions.
func (c *Controller) answering(fleet string) chan question {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asks == nil {
		c.asks = map[string]chan question{}
	}
	c.asks[fleet] = make(chan question, questionsMost)
	return c.asks[fleet]
}

// stopAnswering forgets the actors of a lease that is over.
func (c *Controller) stopAnswering() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asks = nil
}

func (c *Controller) reply(a messages.FenceAnswered) {
	if err := store.AnswerFence(c.Queue, a); err != nil {
		c.Logger.Debug().Err(err).Msg("who asked gets no answer")
	}
}

// answer does what a question asks for.
func (f *fleetActor) answer(ctx context.Context, q question) {
	a := messages.FenceAnswered{Ask: q.Ask, Fleet: f.fleet}
	err := errors.New("the controller was busy with this fleet for too long, and nothing was done: ask again")
	if time.Since(q.came) < QuestionTime {
		err = f.do(ctx, q.Set, &a)
	}
	if ctx.Err() != nil {
		return // another controller acts, or none: what was done is not known
	}
	if err != nil {
		a.Error = err.Error()
	}
	f.reply(a)
}

// do reads the fence config, and sets it where that is asked for.
func (f *fleetActor) do(ctx context.Context, set *messages.FenceSet, a *messages.FenceAnswered) error {
	if err := f.reread(ctx); err != nil && !errors.Is(err, queue.ErrNotFound) {
		return err
	}
	s, revision, _ := f.views.snapshot(f.fleet, f.clocks)
	place, now, err := f.readFence(ctx, &s.Record)
	a.Store, a.Value, a.Previous, a.Held = place.Kind, now.Value, now.Value, s.Record.Hold != nil
	if err != nil || set == nil {
		return err
	}
	if owner := f.owner(place, f.fleet); owner != f.fleet {
		return taken(place.Kind, owner)
	}
	if revision == 0 {
		return errors.New("the fleet has no record yet: ask again in a moment")
	}
	if err := fence.CheckValue(set.Value); err != nil {
		return err
	}
	cause := fence.Cause{By: set.By, Reason: set.Reason}
	if _, keeps := place.Backend.(fence.CauseKeeper); keeps || now.Value != set.Value {
		if err := f.setSurely(ctx, &s.Record, place, set.Value, now, cause); err != nil {
			return fmt.Errorf("the fence config can't be set: %w", err)
		}
	}
	f.journalSet(ctx, place, set.Value, cause)
	a.Value = set.Value
	held, err := f.takeByHand(ctx, place.Kind, set)
	a.Held = held
	return err
}

// setSurely is set where it is not to be left open whether the value was written: after an error it reads
// what is there.
func (f *fleetActor) setSurely(ctx context.Context, r *messages.FleetRecord, place fence.Place, value string, over fence.Setting, cause fence.Cause) error {
	err := f.set(ctx, place, value, over, cause)
	if err == nil || errors.Is(err, fence.ErrConflict) {
		return err
	}
	_, is, unread := f.readFence(ctx, r)
	switch {
	case unread != nil:
		return fmt.Errorf("%w; whether it was set all the same, 'fenceline config get' tells", err)
	case is.Value == value:
		return nil
	}
	return err
}

// takeByHand has the fleet's record say what a person set, and tells whether the fleet is held.
func (f *fleetActor) takeByHand(ctx context.Context, kind string, set *messages.FenceSet) (held bool, err error) {
	for {
		s, revision, _ := f.views.snapshot(f.fleet, f.clocks)
		out := decide.SetByHand(&s, kind, set.Value, set.By, set.Reason)
		err := f.write(ctx, out, revision, nil)
		if !errors.Is(err, queue.ErrMoved) {
			return out.Fleet.Hold != nil, err
		}
		if err := f.reread(ctx); err != nil {
			return false, fmt.Errorf("the fence config is set, but the fleet's record could not be read to say so: %w", err)
		}
	}
}
