package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
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

// hearQuestions gives fleets' actors the questions about their fence configs. Once ctx has ended they are
// answered that this controller stops, until stop is called.
func (c *Controller) hearQuestions(ctx context.Context) (stop func()) {
	hearing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var ended sync.WaitGroup
	ended.Go(func() {
		err := store.HearFence(hearing, c.Queue, func(asked messages.FenceAsked) { c.take(ctx, asked) })
		if hearing.Err() == nil {
			c.Logger.Warn().Err(err).Msg("nobody can read or set fence configs through this controller")
		}
	})
	return func() { cancel(); ended.Wait() }
}

// take gives a question to the actor of its fleet, or answers why it doesn't.
func (c *Controller) take(ctx context.Context, asked messages.FenceAsked) {
	if ctx.Err() != nil {
		c.reply(stopping(asked))
		return
	}
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
}

// stopping is the answer to a question of which nothing was done.
func stopping(asked messages.FenceAsked) messages.FenceAnswered {
	return messages.FenceAnswered{
		Ask: asked.Ask, Fleet: asked.Fleet, Again: true,
		Error: "the controller that was asked stops, and nothing was done: ask again once another acts",
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

// stopAnswering forgets the actors of a lease that is over, and answers what they were not asked any more.
func (c *Controller) stopAnswering() {
	c.mu.Lock()
	asks := c.asks
	c.asks = nil
	c.mu.Unlock()
	for _, waiting := range asks {
		for len(waiting) > 0 {
			q := <-waiting
			c.reply(stopping(q.FenceAsked))
		}
	}
}

func (c *Controller) reply(a messages.FenceAnswered) {
	if err := store.AnswerFence(c.Queue, a); err != nil {
		c.Logger.Debug().Err(err).Msg("who asked gets no answer")
	}
}

// answer does what a question asks for, once however often it is asked: while controllers change, who asked is told by one
// to ask again, and heard by the other all the same.
func (f *fleetActor) answer(ctx context.Context, q question) {
	for _, given := range f.given {
		if given.Ask == q.Ask {
			f.reply(given)
			return
		}
	}
	a := messages.FenceAnswered{Ask: q.Ask, Fleet: f.fleet}
	err := errors.New("the controller was busy with this fleet for too long, and nothing was done: ask again")
	begun := false
	if time.Since(q.came) < QuestionTime {
		begun, err = f.do(ctx, q.Set, &a)
	}
	switch {
	case err != nil && ctx.Err() != nil && !begun:
		a = stopping(q.FenceAsked)
	case err != nil && ctx.Err() != nil:
		a.Error = "the controller stopped while it set the value: whether it was set, 'fenceline config get' tells"
	case err != nil:
		a.Error = err.Error()
	}
	if begun {
		f.given = append(f.given[max(0, len(f.given)-questionsMost+1):], a)
	}
	f.reply(a)
}

// do reads the fence config, and sets it where that is asked for. It tells whether it began to.
func (f *fleetActor) do(ctx context.Context, set *messages.FenceSet, a *messages.FenceAnswered) (begun bool, err error) {
	if err := f.reread(ctx); err != nil && !errors.Is(err, queue.ErrNotFound) {
		return false, err
	}
	s, revision, _ := f.views.snapshot(f.fleet, f.clocks)
	place, now, err := f.readFence(ctx, &s.Record)
	a.Store, a.Value, a.Previous, a.Held = place.Kind, now.Value, now.Value, s.Record.Hold != nil
	switch owner := f.owner(place, f.fleet); {
	case err != nil || set == nil:
		return false, err
	case owner != f.fleet:
		return false, taken(place.Kind, owner)
	case revision == 0:
		return false, errors.New("the fleet has no record yet: ask again in a moment")
	}
	if err := fence.CheckValue(set.Value); err != nil {
		return false, err
	}
	cause := fence.Cause{By: set.By, Reason: set.Reason}
	if _, keeps := place.Backend.(fence.CauseKeeper); keeps || now.Value != set.Value {
		if err := f.setSurely(ctx, &s.Record, place, set.Value, now, cause); err != nil {
			return true, fmt.Errorf("the fence config can't be set: %w", err)
		}
	}
	f.journalSet(ctx, place, set.Value, cause)
	a.Value = set.Value
	held, err := f.takeByHand(ctx, place.Kind, set)
	a.Held = held
	return true, err
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
