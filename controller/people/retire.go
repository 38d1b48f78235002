package people

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// RetireNode takes a node out of its fleet, and out of the rollouts that wait for it. ErrUp where it is heard. It can be
// repeated when it was interrupted, or ends with ErrDecided: then it is no member any more, and a rollout may count it until a
// controller looks.
func RetireNode(ctx context.Context, q *queue.Client, fleet, name string) error {
	_, err := store.Nodes(q).Current(ctx, messages.NodeKey(fleet, name))
	if err == nil || errors.Is(err, messages.ErrMalformed) {
		err = ErrUp
	}
	if !errors.Is(err, queue.ErrNotFound) {
		return fmt.Errorf("retiring node %s of fleet %s: %w", name, fleet, err)
	}
	return ForceRetireNode(ctx, q, fleet, name)
}

// ForceRetireNode is RetireNode for a node that may be heard: while its distributor runs it joins again with its next heartbeat.
func ForceRetireNode(ctx context.Context, q *queue.Client, fleet, name string) error {
	if err := retire(ctx, q, fleet, name); err != nil {
		return fmt.Errorf("retiring node %s of fleet %s: %w", name, fleet, err)
	}
	return nil
}

// retire deletes the node's heartbeat and its membership, and takes it out of rollouts.
func retire(ctx context.Context, q *queue.Client, fleet, name string) error {
	key := messages.NodeKey(fleet, name)
	member, err := store.Members(q).Current(ctx, key)
	was := err == nil || errors.Is(err, messages.ErrMalformed)
	if !was && !errors.Is(err, queue.ErrNotFound) {
		return err
	}
	if was {
		// The heartbeat goes first: from it alone a controller would make a member again.
		if err := endHeartbeat(ctx, q, key); err != nil {
			return err
		}
		if err := store.Members(q).Delete(ctx, key, member.Revision); err != nil {
			return err
		}
		// One that came in between would make it a member again.
		if err := endHeartbeat(ctx, q, key); err != nil {
			return err
		}
	}
	waited, err := unfreeze(ctx, q, fleet, name)
	if err != nil && was {
		return fmt.Errorf("%w: it is no member any more, but rollouts may still count it: %w", ErrDecided, err)
	}
	if err != nil || was || waited {
		return err
	}
	known, err := store.MembersOf(ctx, q, fleet)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: the fleet's members are %s", ErrUnknownNode, cmp.Or(strings.Join(known, ", "), "none"))
}

// unfreeze takes a node out of the rollouts that are not over, and tells whether it was in one.
func unfreeze(ctx context.Context, q *queue.Client, fleet, name string) (was bool, err error) {
	all, err := store.Rollouts(q).List(ctx)
	if err != nil {
		return false, err
	}
	for _, e := range all {
		if e.Value.Fleet != fleet || e.Value.State.Final() || !slices.Contains(e.Value.Members, name) {
			continue
		}
		was = true
		if _, err := changeRollout(ctx, q, e.Key, func(r *messages.RolloutRecord) error {
			decide.RemoveNodes(r, func(n string) bool { return n == name })
			return nil
		}); err != nil {
			return was, err
		}
	}
	return was, nil
}

// endHeartbeat deletes a node's heartbeat, again when another came in between.
func endHeartbeat(ctx context.Context, q *queue.Client, key string) error {
	for {
		e, err := store.Nodes(q).Current(ctx, key)
		if errors.Is(err, queue.ErrNotFound) {
			return nil
		}
		if err != nil && !errors.Is(err, messages.ErrMalformed) {
			return err
		}
		if err := store.Nodes(q).Delete(ctx, key, e.Revision); !errors.Is(err, queue.ErrMoved) {
			return err
		}
	}
}
