package people

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// listenMost bounds the wait for heartbeats where no node has said what its interval is.
const listenMost = 15 * time.Second

// awaitPresence waits until a quorum of the members says in new heartbeats that it has the
// image. It returns ErrNotPresent when all have been heard or three intervals are over.
func awaitPresence(ctx context.Context, q *queue.Client, fleet string, image messages.Image, policy messages.Policy) error {
	members, err := store.MembersOf(ctx, q, fleet)
	if err != nil {
		return err
	}
	needed := decide.Quorum(&policy, len(members))
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
	return fmt.Errorf("%w: %d of %s must have it, missing %s", ErrNotPresent, needed, decide.Count(len(members), "member", "members"), strings.Join(who, ", "))
}

// audience is who has been heard of an image.
type audience struct {
	image   messages.Image
	members []string
	lacks   map[string]string // member to reason
	needed  int
	heard   int
}

// done tells whether the quorum is there, or every member was heard.
func (a *audience) done() bool {
	return len(a.members)-len(a.lacks) >= a.needed || a.heard == len(a.members)
}

// hear listens to heartbeats that are sent from now on.
func (a *audience) hear(ctx context.Context, q *queue.Client, fleet string) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	limit := time.AfterFunc(listenMost, func() { stop(errHeard) })
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
			limit.Reset(decide.MissedBeats * longest)
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
		a.lacks[s.Node] = decide.TwinReason
	case decide.Node{Status: s, Fresh: true}.Has(a.image):
		delete(a.lacks, s.Node)
	default:
		a.lacks[s.Node] = cmp.Or(s.Engine.Error, "the image is not there")
	}
}
