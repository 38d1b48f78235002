package console

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"golang.org/x/sync/errgroup"
)

// settleEvery is how often what has changed is made into what pages show that are open. Changes that come meanwhile are shown together.
const settleEvery = 300 * time.Millisecond

// seen is what the console has seen of the records, kept up by one watch of each bucket, however many pages are open.
type seen struct {
	queue *queue.Client

	mu       sync.RWMutex
	fleets   map[string]*fleet
	rollouts map[string]messages.RolloutRecord
	away     time.Time // since when NATS is away; zero while it is there
	why      string    // it is away
	unread   int       // buckets that have not been read yet
	ready    chan struct{}
	clock    uint64 // rises with each settling that found a change
	changed  bool   // something beside fleets, since it settled last
	texts    texts

	open  listeners
	side  sideline
	ended *endedBuilds
	steps *buildSteps
	logs  *follows
}

// fleet is what is seen of one fleet.
type fleet struct {
	name     string
	record   *messages.FleetRecord // nil before the first rollout
	revision uint64                // of the record
	unread   error                 // why the record as it is can't be read; record is then the one before
	nodes    map[string]*node
	order    []*node // by name, as it settled last

	touched  bool              // something of it changed since it settled
	restless map[*node]bool    // nodes that changed since
	all      bool              // all nodes are to be looked at: the record changed
	others   bool              // nodes came or went
	engines  bool              // engines may be shared otherwise than they were
	clock    uint64            // when it changed last
	short    *overview.Fleet   // in short, as it settled last
	counts   map[nodeState]int // nodes by state
}

// node is what is seen of one node.
type node struct {
	overview.Node
	member bool
	cell   string
	state  nodeState
	clock  uint64 // when its cell changed last
}

func newSeen(q *queue.Client) *seen {
	s := &seen{
		queue: q, fleets: map[string]*fleet{}, rollouts: map[string]messages.RolloutRecord{}, unread: 4, ready: make(chan struct{}),
		side: sideline{queue: q, asked: newMark()}, steps: &buildSteps{queue: q}, logs: newFollows(q),
	}
	s.ended = newEndedBuilds(q, s.logs.see)
	return s
}

// run watches until ctx ends.
func (s *seen) run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	s.logs.begin(ctx)
	all.Go(func() error { return store.Fleets(s.queue).Watch(ctx, s.seeFleet, s.caughtUp()) })
	all.Go(func() error { return store.Rollouts(s.queue).Watch(ctx, s.seeRollout, s.caughtUp()) })
	all.Go(func() error { return store.Members(s.queue).Watch(ctx, s.seeMember, s.caughtUp()) })
	all.Go(func() error { return store.Nodes(s.queue).Watch(ctx, s.seeBeat, s.caughtUp()) })
	all.Go(func() error {
		written := func() error { s.side.asked.set(); s.ended.asked.set(); return nil }
		return store.Builds(s.queue).Changes(ctx, written, func(queue.Entry[messages.BuildRecord]) { _ = written() })
	})
	all.Go(func() error { return s.side.run(ctx, s.note) })
	all.Go(func() error { return s.ended.run(ctx, s.note) })
	all.Go(func() error { return s.lookAtSteps(ctx) })
	all.Go(func() error { return s.logs.run(ctx) })
	all.Go(func() error { return s.settleOn(ctx) })
	return all.Wait()
}

// caughtUp returns what a watch calls when it has caught up; the first time counts.
func (s *seen) caughtUp() func() {
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.unread--; s.unread == 0 {
			s.changed = true
			close(s.ready)
		}
	})
}

// note notes that something beside fleets has changed.
func (s *seen) note() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = true
}

// fleetOf is a fleet, made where it is not known. It is called with mu held.
func (s *seen) fleetOf(name string) *fleet {
	f := s.fleets[name]
	if f == nil {
		f = &fleet{name: name, nodes: map[string]*node{}, restless: map[*node]bool{}}
		s.fleets[name] = f
	}
	f.touched = true
	return f
}

func (s *seen) seeFleet(e queue.Entry[messages.FleetRecord]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fleetOf(e.Key)
	f.record, f.revision, f.unread, f.all = nil, e.Revision, nil, true
	if !e.Deleted {
		f.record = &e.Value
	}
}

func (s *seen) seeRollout(e queue.Entry[messages.RolloutRecord]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Deleted {
		if r, known := s.rollouts[e.Key]; known {
			delete(s.rollouts, e.Key)
			s.fleetOf(r.Fleet)
		}
		return
	}
	s.rollouts[e.Key] = e.Value
	f := s.fleetOf(e.Value.Fleet)
	f.all = f.all || !e.Value.State.Final() // its canaries are marked
}

// nodeOf is a node, made where it is not known. It is called with mu held.
func (s *seen) nodeOf(key string) (*fleet, *node) {
	name, of, err := messages.ParseNodeKey(key)
	if err != nil {
		return nil, nil
	}
	f := s.fleetOf(name)
	n := f.nodes[of]
	if n == nil {
		n = &node{Node: overview.Node{Fleet: f.name, Node: of}}
		f.nodes[of], f.others = n, true
	}
	f.restless[n] = true
	return f, n
}

func (s *seen) seeMember(e queue.Entry[messages.Member]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, n := s.nodeOf(e.Key)
	if f == nil {
		return
	}
	n.member, n.SilentSince = !e.Deleted, time.Time{}
	if e.Value.Silent {
		n.SilentSince = e.Created.Add(-messages.SilentAfter)
	}
	f.forgetGone(n)
}

func (s *seen) seeBeat(e queue.Entry[messages.NodeStatus]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, n := s.nodeOf(e.Key)
	if f == nil {
		return
	}
	was := n.Status
	if n.Up = !e.Deleted; n.Up {
		v := e.Value
		v.Fleet, v.Node = n.Fleet, n.Node.Node
		s.texts.keep(&v)
		n.Status, n.Clock, n.Heard = &v, overview.NodeClock(e), e.Created
	} else {
		n.Status, n.Clock = nil, ""
	}
	f.engines = f.engines || engineOf(was) != engineOf(n.Status)
	f.forgetGone(n)
}

// engineOf is what tells whether a node shares its engine.
func engineOf(s *messages.NodeStatus) string {
	if s == nil || s.Twin {
		return ""
	}
	return s.Engine.ID
}

// forgetGone forgets a node that is neither a member nor heard.
func (f *fleet) forgetGone(n *node) {
	if n.member || n.Up {
		return
	}
	delete(f.nodes, n.Node.Node)
	f.others = true
}

// settleOn makes what has changed into what pages show, while somebody looks, and looks after NATS.
func (s *seen) settleOn(ctx context.Context) error {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		s.lookAfterServer(ctx)
		s.seeUnreadable()
		if s.open.any() {
			s.mu.Lock()
			s.settle()
			s.mu.Unlock()
		}
	}
}

// seeUnreadable takes in which fleets' records can't be read.
func (s *seen) seeUnreadable() {
	bucket := s.queue.Space().FleetsBucket()
	for _, b := range s.queue.PassedOver() {
		if b.Bucket != bucket {
			continue
		}
		s.mu.Lock()
		if f := s.fleets[b.Key]; f == nil || b.Revision > f.revision && f.unread == nil {
			s.fleetOf(b.Key).unread = b.Err
		}
		s.mu.Unlock()
	}
}

// lookAfterServer notes when NATS goes and comes.
func (s *seen) lookAfterServer(ctx context.Context) {
	there := s.queue.Connected()
	s.mu.RLock()
	was := s.away.IsZero()
	s.mu.RUnlock()
	if there == was {
		return
	}
	why := ""
	if !there {
		if err := s.queue.Ready(ctx); err != nil {
			why = err.Error()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away, s.why, s.changed = time.Time{}, why, true
	if !there {
		s.away = time.Now()
	}
}

// settle makes what has changed into what pages show, and wakes them. It is called with mu held.
func (s *seen) settle() {
	moved := s.changed
	s.changed = false
	for _, f := range s.fleets {
		moved = moved || f.touched
	}
	if !moved {
		return
	}
	s.clock++
	for _, f := range s.fleets {
		if f.touched {
			f.settle(s)
		}
	}
	s.open.wake()
}

// settle looks at the nodes that changed, and puts the fleet in short.
func (f *fleet) settle(s *seen) {
	if f.others {
		f.others = false
		f.order = slices.SortedFunc(maps.Values(f.nodes), func(a, b *node) int { return strings.Compare(a.Node.Node, b.Node.Node) })
	}
	if f.engines {
		f.markShared()
	}
	canaries := s.canaries(f)
	look := func(n *node) {
		n.Waits = ""
		if n.Status != nil && f.record != nil {
			n.MarkWaiting(f.record)
		}
		if state, cell := n.show(f.record, canaries[n.Node.Node]); cell != n.cell {
			n.state, n.cell, n.clock = state, strings.Clone(cell), s.clock // with no room to grow
		}
	}
	if f.all {
		for _, n := range f.order {
			look(n)
		}
	} else {
		for n := range f.restless {
			look(n)
		}
	}
	clear(f.restless)
	f.touched, f.all, f.clock = false, false, s.clock
	f.summarise(s)
}

// markShared marks the nodes whose engine another node of the fleet has, too.
func (f *fleet) markShared() {
	f.engines = false
	by := map[string]*messages.NodeStatus{}
	for name, n := range f.nodes {
		if n.Status != nil && !n.Status.Twin {
			by[name] = n.Status
		}
	}
	shared := messages.SharedEngines(by)
	for name, n := range f.nodes {
		if n.Shares != shared[name] {
			n.Shares = shared[name]
			f.restless[n] = true
		}
	}
}

// canaries are the nodes that try images first in what moves.
func (s *seen) canaries(f *fleet) map[string]bool {
	out := map[string]bool{}
	if f.record != nil && f.record.Preload != nil {
		for _, c := range f.record.Preload.Canaries {
			out[c] = true
		}
	}
	for _, r := range s.rollouts {
		if r.Fleet == f.name && !r.State.Final() {
			for _, c := range r.Canaries {
				out[c] = true
			}
		}
	}
	return out
}

// summarise puts the fleet in short, as the command line does.
func (f *fleet) summarise(s *seen) {
	o := &overview.Fleet{Fleet: f.name, Record: f.record}
	if f.unread != nil {
		o.Break(f.unread)
	}
	nodes := make([]overview.Node, len(f.order))
	f.counts = map[nodeState]int{}
	for i, n := range f.order {
		nodes[i] = n.Node
		f.counts[n.state]++
	}
	o.Count(nodes)
	var current messages.FleetImage
	if f.record != nil {
		current = f.record.Current
	}
	o.TakeRollouts(s.rolloutsOf(f.name), current)
	f.short = o
}

// rolloutsOf lists a fleet's rollouts, the newest first. It is called with mu held.
func (s *seen) rolloutsOf(fleet string) []messages.RolloutRecord {
	var out []messages.RolloutRecord
	for _, r := range s.rollouts {
		if r.Fleet == fleet {
			out = append(out, r)
		}
	}
	overview.SortRollouts(out)
	return out
}

// look calls do with what is seen, as it settled last. What do gets must not be changed, nor kept.
func (s *seen) look(do func()) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	do()
}

// settleNow waits until everything was read once, for as long as ctx lasts, and makes it into what pages show.
func (s *seen) settleNow(ctx context.Context) {
	select {
	case <-s.ready:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
}

func (s *seen) caught() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}
