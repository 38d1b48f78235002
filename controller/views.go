package controller

import (
	"context"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/metrics"
	"golang.org/x/sync/errgroup"
)

// views is what a controller has seen of the records and heartbeats, kept up by watches.
type views struct {
	queue   *queue.Client
	kind    func(fleet, fence string) string // of the place where a fleet's fence config lives, by its record's Fence; nil for the default
	metrics *metrics.Controller
	further further

	mu       sync.Mutex
	fleets   map[string]queue.Entry[messages.FleetRecord]
	rollouts map[string]queue.Entry[messages.RolloutRecord]
	members  map[string]bool      // by node key
	told     map[string]uint64    // by node key: the revision of what the watch told last of a member's record
	made     map[string]bool      // by node key: members that this controller made
	retired  map[string]time.Time // by node key: when this controller was told
	beats    map[string]heartbeat // by node key
	heard    map[string]time.Time // by node key: when a heartbeat came last
	silent   map[string]bool      // by node key: whose member's record says so
	unread   int                  // buckets that have not been read yet
	ready    chan struct{}        // closed when all have
	waiting  map[chan struct{}]string
}

// newViews has seen nothing yet.
func newViews(q *queue.Client) *views {
	return &views{
		queue: q, fleets: map[string]queue.Entry[messages.FleetRecord]{}, rollouts: map[string]queue.Entry[messages.RolloutRecord]{},
		members: map[string]bool{}, told: map[string]uint64{}, made: map[string]bool{}, retired: map[string]time.Time{}, beats: map[string]heartbeat{},
		heard: map[string]time.Time{}, silent: map[string]bool{},
		unread: 4, ready: make(chan struct{}), waiting: map[chan struct{}]string{},
	}
}

// run watches until ctx ends.
func (v *views) run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return store.Fleets(v.queue).Watch(ctx, v.seeFleet, v.caughtUp()) })
	all.Go(func() error { return store.Rollouts(v.queue).Watch(ctx, v.seeRollout, v.caughtUp()) })
	all.Go(func() error { return store.Members(v.queue).Watch(ctx, v.seeMember, v.caughtUp()) })
	all.Go(func() error { return store.Nodes(v.queue).Watch(ctx, v.seeBeat, v.caughtUp()) })
	return all.Wait()
}

// caughtUp returns what a watch calls when it has caught up; the first time counts.
func (v *views) caughtUp() func() {
	return sync.OnceFunc(func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.unread--; v.unread == 0 {
			close(v.ready)
		}
	})
}

// seeFleet takes in a fleet's record, as a watch or a write gave it.
func (v *views) seeFleet(e queue.Entry[messages.FleetRecord]) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.takeFleet(e)
}

// readFleet takes in a fleet's record as the leader of its bucket has it, or that there is none, where the view was at
// a revision before it was asked.
func (v *views) readFleet(e queue.Entry[messages.FleetRecord], before uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if believe(v.fleets, &e, before) {
		v.takeFleet(e)
	}
}

// takeFleet is called with mu held.
func (v *views) takeFleet(e queue.Entry[messages.FleetRecord]) {
	old := v.fleets[e.Key]
	if takeNewer(v.fleets, e) {
		v.countDecision(old, e)
		v.notify(e.Key)
	}
}

// seeRollout takes in a rollout's record.
func (v *views) seeRollout(e queue.Entry[messages.RolloutRecord]) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.takeRollout(e)
}

// readRollout is readFleet for a rollout's record.
func (v *views) readRollout(e queue.Entry[messages.RolloutRecord], before uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if believe(v.rollouts, &e, before) {
		v.takeRollout(e)
	}
}

// takeRollout is called with mu held.
func (v *views) takeRollout(e queue.Entry[messages.RolloutRecord]) {
	old := v.rollouts[e.Key]
	if takeNewer(v.rollouts, e) {
		v.countFlip(old, e)
		v.notify("") // other fleets may wait for it
	}
}

// takeNewer takes a record that is newer than the known one, and tells whether it did. What a watch
// finds when it begins anew is taken at a lower revision too, as revisions start over in a bucket
// that was lost or restored; and at the same one where it was written at another time.
func takeNewer[T any](m map[string]queue.Entry[T], e queue.Entry[T]) bool {
	old, known := m[e.Key]
	switch {
	case e.Deleted:
		delete(m, e.Key)
		return known
	case known && e.Revision == old.Revision && (!e.Earlier || e.Created.Equal(old.Created)):
		return false
	case known && e.Revision < old.Revision && !e.Earlier:
		return false
	}
	m[e.Key] = e
	return true
}

// believe tells whether to take in what the leader of a bucket has, where the known record was at a revision before
// it was asked. If it still is, a lower one counts too, or that there is none: the bucket was lost or restored, and
// a write of ours into the one before came in after the watch had told so.
func believe[T any](m map[string]queue.Entry[T], e *queue.Entry[T], before uint64) bool {
	unmoved := m[e.Key].Revision == before
	if unmoved && e.Revision < before {
		e.Earlier = true
	}
	return unmoved || !e.Deleted
}

// seeMember takes in who is a member, and who was retired, as the watch tells it.
func (v *views) seeMember(e queue.Entry[messages.Member]) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.told[e.Key] = e.Revision
	if e.Revision == 0 { // the record went with its bucket: of one that comes now the watch tells
		v.told[e.Key] = math.MaxUint64
	}
	v.takeMember(e)
}

// noteMember takes in a member's record that was written or read beside the watch, unless the watch has told
// of something later: who was retired since must not come back by this.
func (v *views) noteMember(e queue.Entry[messages.Member]) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e.Revision > v.told[e.Key] {
		v.takeMember(e)
	}
}

// takeMember is called with mu held.
func (v *views) takeMember(e queue.Entry[messages.Member]) {
	fleet, _, err := messages.ParseNodeKey(e.Key)
	if err != nil {
		return
	}
	if e.Deleted {
		delete(v.members, e.Key)
		delete(v.made, e.Key)
		delete(v.silent, e.Key)
		delete(v.heard, e.Key)
		// An operator's deletion has a revision. That of a bucket that was lost has none, and takes
		// nobody out of a rollout.
		if e.Revision > 0 {
			v.retired[e.Key] = time.Now()
		}
	} else {
		v.members[e.Key] = true
		v.silent[e.Key] = e.Value.Silent
		delete(v.retired, e.Key)
	}
	v.notify(fleet)
}

// noteMade notes that this controller makes a node a member.
func (v *views) noteMade(key string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.made[key] = true
}

// seeBeat takes in a heartbeat, and wakes the fleet's actor where it is news.
func (v *views) seeBeat(e queue.Entry[messages.NodeStatus]) {
	fleet, _, err := messages.ParseNodeKey(e.Key)
	if err != nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if e.Deleted {
		delete(v.beats, e.Key)
		v.notify(fleet)
		return
	}
	old, known := v.beats[e.Key]
	if was := &old.status; known && was.Instance == e.Value.Instance && was.Beat == e.Value.Beat {
		return // the same heartbeat again, after an interruption of the watch
	}
	now := time.Now()
	b := heartbeat{status: e.Value}
	if known {
		b.inherit(old, now)
	}
	if !e.Earlier {
		b.at, v.heard[e.Key] = now, now
	}
	v.beats[e.Key] = b
	if !known || b.isNews(old) {
		v.notify(fleet)
	}
}

// subscribe returns a channel that has a value whenever something about the fleet changed
// since the last receive; "" is any fleet.
func (v *views) subscribe(fleet string) (changed <-chan struct{}, done func()) {
	c := make(chan struct{}, 1)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.waiting[c] = fleet
	return c, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.waiting, c)
	}
}

// notify wakes those who wait for a fleet; "" is every fleet. It is called with mu held.
func (v *views) notify(fleet string) {
	for c, f := range v.waiting {
		if fleet == "" || f == "" || f == fleet {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
}

// fleetNames lists the fleets that anything is known of.
func (v *views) fleetNames() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	found := map[string]bool{}
	for name := range v.fleets {
		found[name] = true
	}
	for _, r := range v.rollouts {
		found[r.Value.Fleet] = true
	}
	for key := range v.beats {
		fleet, _, _ := messages.ParseNodeKey(key) // was checked when it came
		found[fleet] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// strangers lists the nodes of a fleet that beat and are no members. One that was retired is none
// until it beats a whole interval later: what it had sent when it was retired may come after that.
func (v *views) strangers(fleet string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []string
	for key, b := range v.beats {
		if f, node, _ := messages.ParseNodeKey(key); f == fleet && !v.members[key] && !v.mayBeLate(key, b) {
			out = append(out, node)
		}
	}
	return out
}

// mayBeLate tells whether a node was retired, and may have sent its heartbeat before that.
func (v *views) mayBeLate(key string, b heartbeat) bool {
	at, was := v.retired[key]
	return was && b.at.Before(at.Add(b.status.Interval.Std()))
}

// snapshot is the state of a fleet as it is seen now, and the revisions that writes expect.
func (v *views) snapshot(fleet string, clocks *decide.Clocks) (s decide.State, revision uint64, revisions map[string]uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	e := v.fleets[fleet]
	revisions = map[string]uint64{}
	s = decide.State{
		Record: e.Value, Before: map[string]messages.RolloutRecord{}, Retired: map[string]bool{}, New: map[string]bool{}, Nodes: map[string]decide.Node{}, Now: now.UTC(),
	}
	for id, r := range v.rollouts {
		if r.Value.Fleet == fleet {
			s.Rollouts = append(s.Rollouts, r.Value)
			revisions[id] = r.Revision
		} else {
			s.Before[id] = r.Value
		}
	}
	for key := range v.members {
		if f, node, _ := messages.ParseNodeKey(key); f == fleet {
			s.Members = append(s.Members, node)
			if v.made[key] {
				s.New[node] = true
			}
		}
	}
	slices.Sort(s.Members)
	for key := range v.retired {
		if f, node, _ := messages.ParseNodeKey(key); f == fleet {
			s.Retired[node] = true
		}
	}
	for key, b := range v.beats {
		if f, name, _ := messages.ParseNodeKey(key); f == fleet {
			s.Nodes[name] = decide.Node{Status: b.status, Fresh: b.fresh(now), Twin: b.isTwo(now)}
		}
	}
	if v.kind != nil {
		s.Kind = v.kind(fleet, s.Record.Fence)
	}
	s.MarkShared()
	clocks.Measure(&s, now)
	return s, e.Revision, revisions
}

// fleet returns a fleet's record as it was seen last.
func (v *views) fleet(name string) messages.FleetRecord {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.fleets[name].Value
}

// fleetRevision is that of a fleet's record as it was seen last; 0 for none.
func (v *views) fleetRevision(name string) uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.fleets[name].Revision
}

// rollout returns a rollout's record as it was seen last.
func (v *views) rollout(id string) messages.RolloutRecord {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.rollouts[id].Value
}
