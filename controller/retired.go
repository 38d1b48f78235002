package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// noteRetired finds out who of those that open rollouts count was retired: while this controller did not listen, or
// just before the rollout counted the members as they were seen then. That a member's record was deleted, as the leader
// of its bucket has it, says so. That there is no trace of it says nothing: its bucket may have been lost.
func (f *fleetActor) noteRetired(ctx context.Context) error {
	for name := range f.views.strayed(f.fleet) {
		key := messages.NodeKey(f.fleet, name)
		e, err := store.Members(f.Queue).Current(ctx, key)
		e.Key = key
		switch {
		case err == nil, errors.Is(err, queue.ErrNotFound) && e.Deleted:
			f.views.noteMember(e)
		case errors.Is(err, queue.ErrNotFound), errors.Is(err, messages.ErrMalformed):
		default:
			return fmt.Errorf("finding out whether node %s was retired: %w", name, err)
		}
	}
	return nil
}

// strayed lists nodes, mostNoted at most, that open rollouts of a fleet count, and of which it is known neither that they
// are members nor that they were retired.
func (v *views) strayed(fleet string) map[string]bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := map[string]bool{}
	for _, r := range v.rollouts {
		if r.Value.Fleet != fleet || r.Value.State.Final() {
			continue
		}
		for _, node := range r.Value.Members {
			key := messages.NodeKey(fleet, node)
			if _, was := v.retired[key]; !was && !v.members[key] {
				all[node] = true
			}
		}
	}
	out := map[string]bool{}
	for node := range all { // others the next time
		if len(out) == mostNoted {
			break
		}
		out[node] = true
	}
	return out
}
