package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// Promote makes an image of one of the fleet's rollouts current, by its digest, image or
// build, hold or not; a hold stays. It waits for new heartbeats, at most three intervals, and
// refuses an image that no quorum of the members reports in them: ErrNotPresent names who
// lacks it. ErrTooLate where the fleet's image was changed during that.
func Promote(ctx context.Context, q *queue.Client, fleet, digest, by string) (messages.FleetRecord, error) {
	r, err := promote(ctx, q, fleet, digest)
	if err != nil {
		return r, fmt.Errorf("promoting %s in fleet %s: %w", digest, fleet, err)
	}
	return r, tell(ctx, q, aboutCurrent(&r, "promoted", by))
}

func aboutCurrent(r *messages.FleetRecord, why, by string) *messages.RolloutChanged {
	c := r.Current
	if c.Rollout == "" {
		return nil
	}
	return &messages.RolloutChanged{
		Fleet: r.Fleet, Rollout: c.Rollout, Build: c.Build, Order: c.Order, Image: c.Image,
		State: messages.RolloutFlipped, Why: why, Epoch: r.Epoch, By: by,
	}
}

func promote(ctx context.Context, q *queue.Client, fleet, digest string) (messages.FleetRecord, error) {
	e, err := store.Fleets(q).Get(ctx, fleet)
	if errors.Is(err, queue.ErrNotFound) {
		return messages.FleetRecord{}, unknownFleet(ctx, q)
	}
	if err != nil {
		return messages.FleetRecord{}, err
	}
	if named(e.Value.Current, digest) {
		return e.Value, fmt.Errorf("%w: it is current already", ErrNothingToDo)
	}
	to, policy, err := candidate(ctx, q, &e.Value, digest)
	if err != nil {
		return e.Value, err
	}
	if err := present(ctx, q, fleet, to.Image, policy); err != nil {
		return e.Value, err
	}
	return decide(ctx, q, fleet, func(r *messages.FleetRecord) error {
		return promoteAt(r, e.Value.Epoch, to, policy.Keep)
	})
}

// promoteAt makes an image current in a record that still has the epoch which the person saw.
// ErrTooLate where it has another: a rollback that came meanwhile is not to be undone by this.
func promoteAt(r *messages.FleetRecord, epoch uint64, to messages.FleetImage, keep int) error {
	if r.Current.Image == to.Image {
		return fmt.Errorf("%w: it is current already", ErrNothingToDo)
	}
	if r.Epoch != epoch {
		return fmt.Errorf("%w: the fleet was changed to %s meanwhile; look, and promote again", ErrTooLate, r.Current.Image)
	}
	forward(r, to, max(keep, len(r.Keep)))
	return nil
}

// candidate finds the image that a person means, among the rollouts and what is kept.
func candidate(ctx context.Context, q *queue.Client, r *messages.FleetRecord, digest string) (messages.FleetImage, messages.Policy, error) {
	all, err := store.Rollouts(q).List(ctx)
	if err != nil {
		return messages.FleetImage{}, messages.Policy{}, err
	}
	var known []messages.FleetImage
	policies := map[messages.Image]messages.Policy{}
	for _, e := range all {
		if e.Value.Fleet == r.Fleet {
			known = append(known, fleetImage(&e.Value))
			policies[e.Value.Ready.Image] = e.Value.Policy
		}
	}
	slices.SortFunc(known, func(a, b messages.FleetImage) int { return cmp.Compare(b.Order, a.Order) })
	known = append(kept(r), known...)
	for _, i := range known {
		if named(i, digest) {
			policy, ok := policies[i.Image]
			if !ok {
				policy = messages.DefaultPolicy()
			}
			return i, policy, nil
		}
	}
	return messages.FleetImage{}, messages.Policy{}, fmt.Errorf("%w: no rollout of the fleet has it%s", ErrNoImage, listKept(kept(r)))
}

// listen bounds the wait for heartbeats where no node says what its interval is.
const listen = 15 * time.Second

// present waits until a quorum of the members says in new heartbeats that it has the
// image. It returns ErrNotPresent when all have been heard or three intervals are over.
func present(ctx context.Context, q *queue.Client, fleet string, image messages.Image, policy messages.Policy) error {
	members, err := membersOf(ctx, q, fleet)
	if err != nil {
		return err
	}
	needed := max(percent(policy.QuorumPercent, len(members)), policy.QuorumFloor, 1)
	a := audience{image: image, members: members, lacks: map[string]string{}, needed: needed}
	for _, m := range members {
		a.lacks[m] = "no heartbeat"
	}
	if err := a.hear(ctx, q, fleet); err != nil {
		return err
	}
	if len(members)-len(a.lacks) >= needed {
		return nil
	}
	var who []string
	for _, m := range slices.Sorted(maps.Keys(a.lacks)) {
		who = append(who, m+" ("+a.lacks[m]+")")
	}
	return fmt.Errorf("%w: %d of %s must have it, missing %s", ErrNotPresent, needed, count(len(members), "member", "members"), strings.Join(who, ", "))
}

// audience is who has been heard of an image.
type audience struct {
	image   messages.Image
	members []string
	lacks   map[string]string // member to reason
	needed  int
	heard   int
}

// done tells whether nothing more can change the answer.
func (a *audience) done() bool {
	return len(a.members)-len(a.lacks) >= a.needed || a.heard == len(a.members)
}

// hear listens to heartbeats that are sent from now on.
func (a *audience) hear(ctx context.Context, q *queue.Client, fleet string) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	limit := time.AfterFunc(listen, func() { stop(errHeard) })
	defer limit.Stop()
	old, longest := true, time.Duration(0)
	seen := map[string]uint64{}
	err := store.Nodes(q).Watch(ctx, func(e queue.Entry[messages.NodeStatus]) {
		if e.Deleted || e.Value.Fleet != fleet || !slices.Contains(a.members, e.Value.Node) || seen[e.Key] == e.Revision {
			return
		}
		seen[e.Key] = e.Revision
		if old {
			longest = max(longest, e.Value.Interval.Std())
			return
		}
		a.take(e.Value)
		if a.done() {
			stop(errHeard)
		}
	}, func() {
		if old && longest > 0 {
			limit.Reset(missedBeats * longest)
		}
		old = false
		if len(a.members) == 0 {
			stop(errHeard)
		}
	})
	if errors.Is(err, errHeard) {
		return nil
	}
	return err
}

// errHeard ends listening.
var errHeard = errors.New("enough was heard")

// take notes what a node's heartbeat says.
func (a *audience) take(s messages.NodeStatus) {
	reason, lacked := a.lacks[s.Node]
	if lacked && reason == "no heartbeat" {
		a.heard++
	}
	switch {
	case s.Twin:
		a.lacks[s.Node] = twinReason
	case node{status: s, fresh: true}.has(a.image):
		delete(a.lacks, s.Node)
	default:
		a.lacks[s.Node] = cmp.Or(s.Engine.Error, "the image is not there")
	}
}

// membersOf lists a fleet's members, sorted.
func membersOf(ctx context.Context, q *queue.Client, fleet string) ([]string, error) {
	all, err := store.Members(q).List(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range all {
		if e.Value.Fleet == fleet {
			out = append(out, e.Value.Node)
		}
	}
	slices.Sort(out)
	return out, nil
}
