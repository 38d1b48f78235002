package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// dropAtOnce bounds how many records are dropped in one go, so that it ends soon.
const dropAtOnce = 1000

// dropOld removes the records of rollouts that ended longer ago than events are kept,
// and returns their IDs. It keeps those that a fleet's record names, that another rollout
// waits for, and each fleet's newest. The event that opened a rollout has to be gone as well:
// who reads the events from the start would open it again. A stream that keeps events for
// ever keeps all.
func dropOld(ctx context.Context, c *queue.Client) (dropped []string, err error) {
	info, err := c.Info(ctx, c.Space().EventsStream())
	if err != nil {
		return nil, fmt.Errorf("dropping old rollouts: %w", err)
	}
	if info.MaxAge == 0 {
		return nil, nil
	}
	all, err := store.Rollouts(c).List(ctx)
	if err != nil {
		return nil, fmt.Errorf("dropping old rollouts: %w", err)
	}
	named, err := namedRollouts(ctx, c, all)
	if err != nil {
		return nil, fmt.Errorf("dropping old rollouts: %w", err)
	}
	for _, e := range all {
		if !e.Value.State.Final() || named[e.Key] || info.Now.Sub(e.Created) <= info.MaxAge {
			continue
		}
		if gone, err := goneFor(ctx, c, &e.Value.Ready); err != nil {
			return dropped, fmt.Errorf("dropping rollout %s: %w", e.Key, err)
		} else if !gone {
			continue
		}
		if err := store.Rollouts(c).Forget(ctx, e.Key, e.Revision); err != nil {
			return dropped, err
		}
		if dropped = append(dropped, e.Key); len(dropped) == dropAtOnce {
			break
		}
	}
	return dropped, nil
}

// namedRollouts marks the rollouts that something may still ask for.
func namedRollouts(ctx context.Context, c *queue.Client, all []queue.Entry[messages.RolloutRecord]) (map[string]bool, error) {
	fleets, err := store.Fleets(c).List(ctx)
	if err != nil {
		return nil, err
	}
	named := map[string]bool{}
	for _, e := range fleets {
		r := e.Value
		for _, i := range append([]messages.FleetImage{r.Current, r.Previous}, r.Keep...) {
			named[i.Rollout] = true
		}
		named[r.Rollout], named[r.Soaking] = true, true
		if r.Preload != nil {
			named[r.Preload.Rollout] = true
		}
		if r.Bases != nil {
			named[messages.RolloutID(r.Fleet, r.Bases.Build)] = true
		}
	}
	newest := map[string]queue.Entry[messages.RolloutRecord]{}
	for _, e := range all {
		r := &e.Value
		if r.After != "" && !r.State.Final() {
			named[messages.RolloutID(r.After, r.Ready.Build)] = true
		}
		was, known := newest[r.Fleet]
		if !known || r.Ready.Order > was.Value.Ready.Order || r.Ready.Order == was.Value.Ready.Order && e.Revision > was.Revision {
			newest[r.Fleet] = e
		}
	}
	for _, e := range newest {
		named[e.Key] = true
	}
	return named, nil
}

// goneFor tells whether the event of an image is gone for good: it is not stored, and the
// build's record, if there still is one, does not ask for it to be announced.
func goneFor(ctx context.Context, c *queue.Client, r *messages.ImageReady) (bool, error) {
	_, err := c.Last(ctx, c.Space().EventsStream(), c.Space().AnyVersion(messages.TypeImageReady, r.Pipeline, r.Build))
	if !errors.Is(err, queue.ErrNotFound) {
		return false, err
	}
	e, err := store.Builds(c).Get(ctx, r.Build)
	if errors.Is(err, queue.ErrNotFound) {
		return true, nil
	}
	return e.Value.Ended() && (e.Value.Announced || e.Value.Outcome == nil), err
}
