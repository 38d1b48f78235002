package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
)

// DropRollouts removes the records of rollouts that ended longer ago than events are kept,
// and returns their IDs. It keeps those that a fleet's record names, that another rollout
// waits for, and each fleet's newest. The event that opened a rollout has to be gone as well:
// who reads the events from the start would open it again. A stream that keeps events for
// ever keeps all.
func (c *Client) DropRollouts(ctx context.Context) (dropped []string, err error) {
	info, err := c.about(ctx, c.space.EventsStream())
	if err != nil {
		return nil, fmt.Errorf("dropping old rollouts: %w", err)
	}
	if info.Config.MaxAge == 0 {
		return nil, nil
	}
	all, err := Rollouts(c).List(ctx)
	if err != nil {
		return nil, fmt.Errorf("dropping old rollouts: %w", err)
	}
	named, err := c.namedRollouts(ctx, all)
	if err != nil {
		return nil, fmt.Errorf("dropping old rollouts: %w", err)
	}
	for _, e := range all {
		if !e.Value.State.Final() || named[e.Key] || info.Now.Sub(e.Created) <= info.Config.MaxAge {
			continue
		}
		if gone, err := c.goneFor(ctx, &e.Value.Ready); err != nil {
			return dropped, fmt.Errorf("dropping rollout %s: %w", e.Key, err)
		} else if !gone {
			continue
		}
		if err := Rollouts(c).forget(ctx, e.Key, e.Revision); err != nil {
			return dropped, err
		}
		if dropped = append(dropped, e.Key); len(dropped) == dropMost {
			break
		}
	}
	return dropped, nil
}

// namedRollouts marks the rollouts that something may still ask for.
func (c *Client) namedRollouts(ctx context.Context, all []Entry[messages.RolloutRecord]) (map[string]bool, error) {
	fleets, err := Fleets(c).List(ctx)
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
	newest := map[string]Entry[messages.RolloutRecord]{}
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
func (c *Client) goneFor(ctx context.Context, r *messages.ImageReady) (bool, error) {
	_, err := c.last(ctx, c.space.EventsStream(), c.space.AnyVersion(messages.TypeImageReady, r.Pipeline, r.Build))
	if !errors.Is(err, ErrNotFound) {
		return false, err
	}
	e, err := Builds(c).Get(ctx, r.Build)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return e.Value.Ended() && (e.Value.Announced || e.Value.Outcome == nil), err
}
