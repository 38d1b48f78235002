package people

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// listenMost bounds the wait for heartbeats where no node has said what its interval is.
const listenMost = 15 * time.Second

// awaitPresence waits until a quorum of the members says in new heartbeats that it has the
// image, under the local name where that is not "". It returns ErrNotPresent when all have been heard or three intervals are over.
func awaitPresence(ctx context.Context, q *queue.Client, fleet string, image messages.Image, local string, policy messages.Policy) error {
	a, err := newAudience(ctx, q, fleet, image, policy)
	if err != nil {
		return err
	}
	a.local = local
	return a.await(ctx, q, fleet)
}

// newAudience has heard nobody yet.
func newAudience(ctx context.Context, q *queue.Client, fleet string, image messages.Image, policy messages.Policy) (*audience, error) {
	members, err := store.MembersOf(ctx, q, fleet)
	if err != nil {
		return nil, err
	}
	a := &audience{image: image, members: members, said: map[string]*messages.NodeStatus{}, has: map[string]bool{}, needed: decide.Quorum(&policy, len(members))}
	return a, nil
}

// await listens until the quorum is there, or nobody can make it any more.
func (a *audience) await(ctx context.Context, q *queue.Client, fleet string) error {
	if err := a.hear(ctx, q, fleet); err != nil {
		return err
	}
	lacks := a.lacks()
	if len(a.members)-len(lacks) >= a.needed {
		return nil
	}
	var who []string
	for _, m := range slices.Sorted(maps.Keys(lacks)) {
		who = append(who, m+" ("+lacks[m]+")")
	}
	return fmt.Errorf("%w: %d of %s must have it, %d do: missing %s", ErrNotPresent, a.needed,
		decide.Count(len(a.members), "member", "members"), len(a.members)-len(lacks), decide.JoinNames(who))
}

// audience is who has been heard of an image.
type audience struct {
	image   messages.Image
	local   string // the name under which they must have it, "" for its digest
	any     bool   // under whichever
	members []string
	said    map[string]*messages.NodeStatus // by member: the last heartbeat that was heard
	has     map[string]bool                 // members that say that they have it, counted or not
	needed  int
}

// done tells whether the quorum is there, or every member was heard.
func (a *audience) done() bool {
	return len(a.said) == len(a.members) || len(a.has) >= a.needed && len(a.members)-len(a.lacks()) >= a.needed
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
		node, is := a.memberOf(fleet, e)
		if !is || seen[e.Key] == e.Revision {
			return
		}
		seen[e.Key] = e.Revision
		if old {
			longest = max(longest, e.Value.Interval.Std())
			return
		}
		a.take(node, &e.Value)
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

// take notes what a member says.
func (a *audience) take(node string, s *messages.NodeStatus) {
	a.said[node] = s
	delete(a.has, node)
	if a.holds(s) {
		a.has[node] = true
	}
}

// holds tells whether a member says that it has the image.
func (a *audience) holds(s *messages.NodeStatus) bool {
	n := decide.Node{Status: *s, Fresh: true}
	return n.HasAs(a.image, a.local) || a.any && n.Has(a.image)
}

// remember takes what members said in heartbeats that are stored and still fresh: both times are those
// of the NATS server. Where none can be read, nobody has said anything.
func (a *audience) remember(ctx context.Context, q *queue.Client, fleet string) {
	stored, err := store.Nodes(q).List(ctx)
	if err != nil {
		return
	}
	now, err := store.NewClock(q).Now(ctx)
	if err != nil {
		return
	}
	for _, e := range stored {
		if node, is := a.memberOf(fleet, e); is && now.Sub(e.Created) <= decide.MissedBeats*e.Value.Interval.Std() {
			a.take(node, &e.Value)
		}
	}
}

// Holding tells how many of a fleet's members say in their last heartbeats that they have an image,
// and how many members there are.
func Holding(ctx context.Context, q *queue.Client, fleet string, image messages.Image) (held, members int, err error) {
	a, err := newAudience(ctx, q, fleet, image, messages.DefaultPolicy())
	if err != nil {
		return 0, 0, err
	}
	a.any = true
	a.remember(ctx, q, fleet)
	return len(a.members) - len(a.lacks()), len(a.members), nil
}

// memberOf is the member whose heartbeat a record is: by its key, as nobody else may write there. The
// names in it are what its sender claims.
func (a *audience) memberOf(fleet string, e queue.Entry[messages.NodeStatus]) (node string, is bool) {
	f, node, err := messages.ParseNodeKey(e.Key)
	return node, err == nil && !e.Deleted && f == fleet && slices.Contains(a.members, node)
}

// lacks names the members that don't count as having the image, each with the reason.
func (a *audience) lacks() map[string]string {
	out := map[string]string{}
	alone := map[string]*messages.NodeStatus{}
	for node, s := range a.said {
		if !s.Twin {
			alone[node] = s
		}
	}
	shared := messages.SharedEngines(alone)
	for _, m := range a.members {
		s, heard := a.said[m]
		switch {
		case !heard:
			out[m] = "no heartbeat"
		case s.Twin:
			out[m] = decide.TwinReason
		case shared[m] != "":
			out[m] = decide.SharedReason(shared[m])
		case !a.holds(s):
			n := decide.Node{Status: *s, Fresh: true}
			if a.local == "" {
				out[m] = n.OtherName(a.image, messages.ReferenceDigest)
			}
			out[m] = cmp.Or(out[m], s.Engine.Error, "the image is not there")
			if a.local != "" && s.Engine.Error == "" {
				out[m] += " as " + a.local
			}
		}
	}
	return out
}
