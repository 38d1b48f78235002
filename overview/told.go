package overview

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// Told is something that was told of a rollout.
type Told struct {
	Rollout string
	At      time.Time // by the clock of NATS
	Node    string    // "" of a controller, or of a person
	What    string    // the state, or what a node did
	Why     string

	State            messages.RolloutState // of a controller, or of a person
	By               string                // the person
	Epoch            uint64                // of the fleet's record, where it was changed
	Present, Members int
	Passed           bool // of a trial
}

// Because says why, and who decided it.
func (t *Told) Because() string {
	if t.By == "" {
		return t.Why
	}
	return strings.TrimSpace("by " + t.By + " " + t.Why)
}

// toldOf is what an event or a report tells of a rollout.
func toldOf(r *queue.Received) (t Told, ok bool) {
	switch m := r.Payload.(type) {
	case *messages.RolloutChanged:
		t = Told{Rollout: m.Rollout, What: string(m.State), Why: m.Why, State: m.State, By: m.By, Epoch: m.Epoch, Present: m.Present, Members: m.Members}
	case *messages.TrialFinished:
		t = Told{Rollout: m.Rollout, Node: m.Node, What: "trial failed", Why: m.Reason, Passed: m.Passed}
		if m.Passed {
			t.What = "trial passed"
		}
	case *messages.NodeFailed:
		t = Told{Rollout: m.Rollout, Node: m.Node, What: m.Step + " failed", Why: m.Reason}
	default:
		return t, false
	}
	t.At = r.Stored
	return t, true
}

// ToldOfFleet is what controllers, people and nodes told of a fleet's rollouts, by rollout, oldest first: as long as that is kept.
func ToldOfFleet(ctx context.Context, q *queue.Client, fleet string) (map[string][]Told, error) {
	return toldOfFleet(ctx, q, fleet, messages.TypeTrialFinished, messages.TypeNodeFailed)
}

// DecidedInFleet is that without what nodes told, which is not read: of ten thousand it is most.
func DecidedInFleet(ctx context.Context, q *queue.Client, fleet string) (map[string][]Told, error) {
	return toldOfFleet(ctx, q, fleet)
}

func toldOfFleet(ctx context.Context, q *queue.Client, fleet string, byNodes ...messages.Type) (map[string][]Told, error) {
	space, out := q.Space(), map[string][]Told{}
	take := func(r queue.Received) error {
		if t, ok := toldOf(&r); ok {
			out[t.Rollout] = append(out[t.Rollout], t)
		}
		return nil
	}
	var reports []string
	for _, kind := range byNodes {
		reports = append(reports, space.Filter(kind, fleet))
	}
	if err := readBoth(ctx, q, []string{space.Filter(messages.TypeRolloutChanged, fleet)}, reports, take); err != nil {
		return nil, err
	}
	for _, all := range out {
		sortTold(all)
	}
	return out, nil
}

// readBoth reads events, and reports of nodes.
func readBoth(ctx context.Context, q *queue.Client, events, reports []string, take func(queue.Received) error) error {
	if err := q.Read(ctx, q.Space().EventsStream(), queue.ReadOptions{Filters: events}, take); err != nil || len(reports) == 0 {
		return err
	}
	stream := q.Space().ReportsStream()
	if missing, err := q.Missing(ctx, stream); err != nil || missing { // no controller has parted them from the events yet
		return err
	}
	return q.Read(ctx, stream, queue.ReadOptions{Filters: reports}, take)
}

// sortTold puts what was told in the order in which it came.
func sortTold(all []Told) {
	slices.SortStableFunc(all, func(a, b Told) int { return a.At.Compare(b.At) })
}
