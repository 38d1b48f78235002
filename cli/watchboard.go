package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"golang.org/x/sync/errgroup"
)

// boardLines is how many lines of what happened, and of the log, are kept.
const boardLines = 1000

// board is what the view of `watch` shows: records as they come, and the last of what was told.
type board struct {
	mu       sync.Mutex
	fleets   map[string]messages.FleetRecord
	nodes    map[string]overview.Node // by key
	members  map[string]bool
	rollouts map[string]messages.RolloutRecord
	told     []string
	logged   []string
	vertex   string // whose output was logged last
	changed  bool   // since the last sight
}

func newBoard() *board {
	return &board{
		fleets: map[string]messages.FleetRecord{}, nodes: map[string]overview.Node{}, members: map[string]bool{},
		rollouts: map[string]messages.RolloutRecord{}, changed: true,
	}
}

// follow reads the records until ctx ends.
func (b *board) follow(ctx context.Context, g *errgroup.Group, q *queue.Client) {
	up := func() {}
	follow(ctx, g, store.Fleets(q), up, func(e queue.Entry[messages.FleetRecord], _ bool) { change(b, b.fleets, e) })
	follow(ctx, g, store.Rollouts(q), up, func(e queue.Entry[messages.RolloutRecord], _ bool) { change(b, b.rollouts, e) })
	follow(ctx, g, store.Members(q), up, func(e queue.Entry[messages.Member], _ bool) {
		b.node(e.Key, func(n *overview.Node) { b.members[e.Key] = !e.Deleted })
	})
	follow(ctx, g, store.Nodes(q), up, func(e queue.Entry[messages.NodeStatus], _ bool) {
		b.node(e.Key, func(n *overview.Node) {
			if n.Up = !e.Deleted; n.Up {
				n.Status, n.Clock = &e.Value, overview.NodeClock(e)
			} else {
				n.Status, n.Clock = nil, ""
			}
		})
	})
}

func change[T any](b *board, in map[string]T, e queue.Entry[T]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changed = true
	if e.Deleted {
		delete(in, e.Key)
		return
	}
	in[e.Key] = e.Value
}

// node changes a node, which goes once it is neither a member nor up.
func (b *board) node(key string, fn func(n *overview.Node)) {
	fleet, name, err := messages.ParseNodeKey(key)
	if err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changed = true
	n := b.nodes[key]
	n.Fleet, n.Node = fleet, name
	fn(&n)
	if b.nodes[key] = n; !n.Up && !b.members[key] {
		delete(b.nodes, key)
		delete(b.members, key)
	}
}

// tell keeps what happened.
func (b *board) tell(m moment) {
	var out strings.Builder
	p := terminal.NewPage(&out)
	m.write(p)
	_ = p.Flush() // it writes to memory
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = lines(b.told, out.String())
	b.changed = true
}

// log keeps a piece of a build's log.
func (b *board) log(l *messages.BuildLog) {
	var out strings.Builder
	p := terminal.NewPage(&out)
	b.mu.Lock()
	defer b.mu.Unlock()
	if of := l.Build + " " + l.Vertex; l.Vertex != "" && of != b.vertex {
		b.vertex = of
		p.Line("%s -- %s", l.Build, l.Vertex)
	}
	if l.Step != "" {
		p.Line("%s == %s (attempt %d)", l.Build, l.Step, l.Attempt)
	}
	p.Text("   ", l.Text)
	_ = p.Flush() // it writes to memory
	b.logged = lines(b.logged, out.String())
	b.changed = true
}

// lines are those before and the new ones, the last of them.
func lines(all []string, text string) []string {
	for line := range strings.Lines(text) {
		all = append(all, strings.TrimRight(line, "\n"))
	}
	if over := len(all) - boardLines; over > 0 {
		all = slices.Clone(all[over:])
	}
	return all
}

// sight is a board as it was at a moment.
type sight struct {
	fleets  []overview.Fleet
	nodes   map[string][]overview.Node // by fleet, sorted
	records map[string]*messages.FleetRecord
	told    []string
	logged  []string
}

// see is what is on the board, nil where nothing has changed since.
func (b *board) see() *sight {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.changed {
		return nil
	}
	b.changed = false
	all := maps.Clone(b.nodes)
	overview.MarkShared(all)
	s := &sight{nodes: map[string][]overview.Node{}, records: map[string]*messages.FleetRecord{}, told: b.told, logged: b.logged}
	for _, n := range all {
		s.nodes[n.Fleet] = append(s.nodes[n.Fleet], n)
	}
	for name, r := range b.fleets {
		s.records[name] = &r
		if s.nodes[name] == nil {
			s.nodes[name] = []overview.Node{}
		}
	}
	for _, name := range sorted(s.nodes) {
		slices.SortFunc(s.nodes[name], func(a, b overview.Node) int { return strings.Compare(a.Node, b.Node) })
		f := overview.Fleet{Fleet: name, Record: s.records[name]}
		f.Count(s.nodes[name])
		addRollouts(&f, b.rollouts)
		s.fleets = append(s.fleets, f)
	}
	return s
}

// addRollouts adds those of the fleet that are under way, and the last that failed.
func addRollouts(f *overview.Fleet, all map[string]messages.RolloutRecord) {
	var own []messages.RolloutRecord
	for _, r := range all {
		if r.Fleet == f.Fleet {
			own = append(own, r)
		}
	}
	overview.SortRollouts(own)
	var current messages.FleetImage
	if f.Record != nil {
		current = f.Record.Current
	}
	f.TakeRollouts(own, current)
}

// brief is a fleet in a line, what matters first.
func brief(f *overview.Fleet) string {
	var said []string
	if f.Record != nil && f.Record.Hold != nil {
		said = append(said, "HELD")
	}
	for i := range f.Rollouts {
		if r := &f.Rollouts[i]; r.State == messages.RolloutApproval {
			said = append(said, "APPROVAL")
		} else if r.State != messages.RolloutHeld {
			said = append(said, string(r.State))
		}
	}
	if f.Failed != nil {
		said = append(said, "FAILED")
	}
	said = append(said, fmt.Sprintf("%d/%d up", f.Up, f.Members))
	if f.Record != nil && !f.Record.Current.IsZero() {
		said = append(said, fmt.Sprintf("present %d/%d", f.Holding, f.Members), overview.Short(f.Record.Current.Image))
	}
	return f.Fleet + "  " + strings.Join(said, "  ")
}
