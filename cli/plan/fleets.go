package plan

import (
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

// Fleet is what a push would meet in a fleet.
type Fleet struct {
	Fleet   string            `json:"fleet"`
	After   string            `json:"after,omitempty"` // the fleet whose rollout must be done first
	Current messages.Image    `json:"current,omitempty"`
	Moves   string            `json:"moves,omitempty"` // the rollout that a newer one would supersede
	Soak    messages.Duration `json:"soak,omitempty"`  // of its policy
	Trial   bool              `json:"trial"`           // canaries try the image
	Fetches []Fetch           `json:"fetches"`         // of the members that are heard
	Unknown string            `json:"unknown,omitempty"`
	decide.Outlook
}

// around is what is known of all fleets.
type around struct {
	now      time.Time // by the server's clock
	members  []queue.Entry[messages.Member]
	beats    []queue.Entry[messages.NodeStatus]
	rollouts []messages.RolloutRecord
	order    uint64 // that the next request gets
}

// look reads what is known of all fleets.
func (c *Config) look(ctx context.Context) (*around, error) {
	a := &around{}
	var err error
	if a.members, err = store.Members(c.Queue).List(ctx); err != nil {
		return nil, err
	}
	if a.beats, err = store.Nodes(c.Queue).List(ctx); err != nil {
		return nil, err
	}
	rollouts, _, err := store.Rollouts(c.Queue).ListAll(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range rollouts {
		a.rollouts = append(a.rollouts, r.Value)
	}
	requests, err := c.Queue.Info(ctx, c.Queue.Space().RequestsStream())
	if err != nil {
		return nil, err
	}
	a.order = requests.Last + 1
	nodes, err := store.Nodes(c.Queue).Info(ctx)
	a.now = nodes.Now
	return a, err
}

// fleets says of each fleet what the push would meet.
func (c *Config) fleets(ctx context.Context, p *Plan, e *expected) error {
	a, err := c.look(ctx)
	if err != nil {
		return err
	}
	for i := range c.Pipeline.Fleets {
		f, err := c.fleet(ctx, a, e, &c.Pipeline.Fleets[i])
		if err != nil {
			return err
		}
		if i > 0 {
			before := &p.Fleets[i-1]
			if f.After = before.Fleet; len(before.Obstacles) > 0 {
				f.meet(ObstacleBefore, fmt.Sprintf("waits for its rollout in fleet %s, where something stands in the way", f.After))
			}
		}
		p.Flips = p.Flips && len(f.Obstacles) == 0
		p.Fleets = append(p.Fleets, *f)
	}
	return nil
}

func (f *Fleet) meet(kind decide.ObstacleKind, why string) {
	f.Obstacles = append(f.Obstacles, decide.Obstacle{Kind: kind, Why: why})
}

// fleet says what the push would meet in one.
func (c *Config) fleet(ctx context.Context, a *around, e *expected, t *messages.FleetTarget) (*Fleet, error) {
	record, err := store.Fleets(c.Queue).Get(ctx, t.Fleet)
	broken := ""
	switch {
	case errors.Is(err, messages.ErrMalformed):
		broken = fmt.Sprintf("%v: nothing is decided until 'fenceline fleets repair %s'", err, t.Fleet)
	case err != nil && !errors.Is(err, queue.ErrNotFound):
		return nil, err
	}
	s := a.state(t.Fleet, &record.Value)
	f := &Fleet{
		Fleet: t.Fleet, Current: record.Value.Current.Image, Soak: t.Policy.Soak, Trial: !t.Policy.Trial.Disabled && t.Policy.Canaries > 0,
		Fetches: []Fetch{}, Unknown: e.why,
	}
	unfit := map[string]string{}
	for _, name := range s.Members {
		n := s.Nodes[name]
		if n.Status.Node == "" {
			continue
		}
		fetch := e.fetch(ctx, &n.Status)
		f.Fetches = append(f.Fetches, fetch)
		if fetch.Short != "" {
			unfit[name] = fetch.Short
		}
		if why := behind(&n.Status, &record, a.now); why != "" {
			unfit[name] = why
		}
	}
	f.Outlook = *decide.Foresee(s, &t.Policy, a.order, unfit)
	f.Moves = moves(s, f)
	if broken != "" {
		f.meet(ObstacleRecord, broken)
	}
	f.fence(&record.Value)
	if err := messages.CheckPreload(t.Policy.PreloadFrom, messages.Image(c.Pipeline.Image+"@sha256:"+strings.Repeat("0", 64))); err != nil {
		f.meet(ObstacleRefused, err.Error())
	}
	return f, nil
}

// fence adds what keeps the fence config from following.
func (f *Fleet) fence(r *messages.FleetRecord) {
	switch {
	case r.Applied.Error != "":
		f.meet(ObstacleFence, "fence config: "+r.Applied.Error)
	case r.Applied.Epoch < r.Epoch:
		f.meet(ObstacleFence, fmt.Sprintf("fence config: follows epoch %d, %d is decided: is a controller running?", r.Applied.Epoch, r.Epoch))
	}
}

// moves is the rollout that moves and doesn't come first, or "".
func moves(s *decide.State, f *Fleet) string {
	first := slices.ContainsFunc(f.Obstacles, func(o decide.Obstacle) bool { return o.Kind == decide.ObstacleRollout })
	if first {
		return ""
	}
	return s.Record.Rollout
}

// state is the fleet as a controller sees it, but for what takes watching.
func (a *around) state(fleet string, record *messages.FleetRecord) *decide.State {
	s := &decide.State{Record: *record, Nodes: map[string]decide.Node{}, Now: a.now}
	s.Record.Fleet = fleet
	members := map[string]bool{}
	for _, m := range a.members {
		if f, node, err := messages.ParseNodeKey(m.Key); err == nil && f == fleet {
			members[node] = true
		}
	}
	for _, b := range a.beats {
		if f, node, err := messages.ParseNodeKey(b.Key); err == nil && f == fleet {
			fresh := a.now.Sub(b.Created) <= decide.MissedBeats*b.Value.Interval.Std()
			s.Nodes[node] = decide.Node{Status: b.Value, Fresh: fresh && !b.Value.Twin, Twin: b.Value.Twin}
			members[node] = true // if it isn't yet, a controller makes it one
		}
	}
	s.Members = slices.Sorted(maps.Keys(members))
	for _, r := range a.rollouts {
		if r.Fleet == fleet {
			s.Rollouts = append(s.Rollouts, r)
			if r.ID == record.Soaking && !r.FlippedAt.IsZero() {
				s.Soaked = a.now.Sub(r.FlippedAt)
			}
		}
	}
	s.MarkShared()
	return s
}

// behind says that a node doesn't act on the fleet's record as it is, though it had the time, or "".
func behind(n *messages.NodeStatus, record *queue.Entry[messages.FleetRecord], now time.Time) string {
	if record.Revision == 0 || n.Revision >= record.Revision || now.Sub(record.Created) <= decide.MissedBeats*n.Interval.Std() {
		return ""
	}
	if n.Revision == 0 {
		return "behind: it has not read the fleet's record yet"
	}
	return fmt.Sprintf("behind: it acts on revision %d of the fleet's record, which is at %d", n.Revision, record.Revision)
}
