package decide

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
	"pgregory.net/rapid"
)

// world is a fleet with its stores, nodes and people, as a state machine: controllers take
// single steps on what they saw earlier or now, so that a crash after any write and two
// controllers at once are both among its runs.
type world struct {
	record    messages.FleetRecord
	revision  int
	rollouts  map[string]messages.RolloutRecord
	revisions map[string]int
	earlier   map[string]messages.RolloutRecord // each rollout as it was before its last change
	members   []string
	retired   map[string]bool
	untold    map[string]bool // those of them that controllers still see as members
	nodes     map[string]Node
	soaked    time.Duration
	unapplied time.Duration   // how long too few have applied what is watched
	older     map[string]bool // nodes that don't say what they apply
	had       map[string]bool // nodes that had the current image when it was flipped to
	order     uint64
	seen      []snapshot // what controllers have read and not acted on yet
}

// snapshot is a controller's view and the revisions that its writes will expect.
type snapshot struct {
	state     State
	revision  int
	revisions map[string]int
}

func newWorld(members int) *world {
	w := &world{
		record: messages.FleetRecord{Fleet: "default"}, rollouts: map[string]messages.RolloutRecord{},
		revisions: map[string]int{}, earlier: map[string]messages.RolloutRecord{}, retired: map[string]bool{}, untold: map[string]bool{}, nodes: map[string]Node{}, older: map[string]bool{},
	}
	for range members {
		w.join()
	}
	return w
}

func (w *world) join() {
	name := fmt.Sprintf("n%d", len(w.nodes))
	w.members = append(w.members, name)
	w.nodes[name] = Node{Fresh: true, Status: messages.NodeStatus{Fleet: "default", Node: name, Revision: 1, Applied: &messages.NodeApplied{State: messages.ApplyWaiting}}}
}

func (w *world) view() snapshot {
	s := State{
		Record: cloneRecord(w.record), Members: slices.Sorted(slices.Values(w.members)), Retired: maps.Clone(w.retired),
		Nodes: maps.Clone(w.nodes), Soaked: w.soaked, Unapplied: w.unapplied, Report: true, Now: time.Unix(1, 0),
	}
	for name := range w.untold {
		s.Members = append(s.Members, name)
		delete(s.Retired, name)
	}
	slices.Sort(s.Members)
	for name, n := range s.Nodes { // as after the grace of a soak
		if n.Had = w.had[name] || n.Has(w.record.Current.Image); w.record.Soaking != "" && n.lacks(w.record.Current.Image) {
			n.Lacked = time.Hour
		}
		s.Nodes[name] = n
	}
	for _, id := range slices.Sorted(maps.Keys(w.rollouts)) {
		s.Rollouts = append(s.Rollouts, w.rollouts[id])
	}
	return snapshot{s, w.revision, maps.Clone(w.revisions)}
}

// late is a view whose watch of the rollouts is behind, by the last change of some.
func (w *world) late(t *rapid.T) snapshot {
	return w.behind(func(string) bool { return rapid.Bool().Draw(t, "lags") })
}

func (w *world) behind(lags func(rollout string) bool) snapshot {
	v := w.view()
	for i := range v.state.Rollouts {
		r := &v.state.Rollouts[i]
		if before, changed := w.earlier[r.ID]; changed && lags(r.ID) {
			v.revisions[r.ID]--
			*r = before
		}
	}
	return v
}

// apply does one step of a controller by compare-and-set, and checks what must always be
// true of it. It tells whether something was written.
func (w *world) apply(t *rapid.T, v snapshot) bool {
	out := Next(&v.state)
	switch {
	case out.Fleet != nil && out.Rollout != nil:
		t.Fatalf("a step wrote two records")
	case out.Fleet != nil:
		if v.revision != w.revision || out.RestsOn != "" && v.revisions[out.RestsOn] != w.revisions[out.RestsOn] {
			return true // moved: the controller looks again
		}
		w.check(t, &v.state, out.Fleet)
		w.put(*out.Fleet)
		return true
	case out.Rollout != nil:
		if v.revisions[out.Rollout.ID] == w.revisions[out.Rollout.ID] {
			w.checkRollout(t, &v.state, out.Rollout)
			w.putRollout(*out.Rollout)
		}
		return true
	}
	return false
}

func (w *world) put(r messages.FleetRecord) {
	released := w.record.Hold != nil && r.Hold == nil
	if r.Epoch != w.record.Epoch || released && r.Applied.Value != string(r.Current.Image) {
		w.soaked, w.unapplied = 0, 0
		w.had = map[string]bool{}
		for name, n := range w.nodes {
			w.had[name] = slices.ContainsFunc(n.Status.Images, func(p messages.PresentImage) bool { return p.Image == r.Current.Image })
		}
		r.Applied = messages.Applied{Epoch: r.Epoch, Value: string(r.Current.Image)} // the backend follows
	}
	w.record = r
	w.revision++
}

// soak lets time pass; an image soaks while the fence config holds it.
func (w *world) soak(d time.Duration) {
	if r, watched := w.rollouts[w.record.Soaking]; watched && w.appliedOn(&r)*100 < w.applyPercent(&r)*len(r.Members) {
		w.unapplied += d
	} else {
		w.unapplied = 0
	}
	if w.record.Applied.Value == string(w.record.Current.Image) {
		w.soaked += d
	}
}

// appliedOn counts the members of a rollout that have applied its image.
func (w *world) appliedOn(r *messages.RolloutRecord) int {
	n := 0
	for _, m := range r.Members {
		if a := w.nodes[m].Status.Applied; a != nil && a.Image == r.Ready.Image && a.State == messages.ApplyDone {
			n++
		}
	}
	return n
}

// applyPercent is how many members must apply a rollout's image, in percent.
func (w *world) applyPercent(r *messages.RolloutRecord) int {
	if r.Policy.Apply == nil {
		return 0
	}
	return r.Policy.Apply.QuorumPercent
}

func (w *world) putRollout(r messages.RolloutRecord) {
	if before, known := w.rollouts[r.ID]; known {
		w.earlier[r.ID] = before
	}
	w.rollouts[r.ID] = r
	w.revisions[r.ID]++
}

func (w *world) build(t *rapid.T) {
	order := w.order + 1
	if w.order > 1 && rapid.IntRange(0, 2).Draw(t, "late") == 0 {
		order = w.order - 1 // an older build that took longer
	}
	w.order = max(w.order, order)
	build := fmt.Sprintf("app-%d-%d", order, len(w.rollouts))
	p := messages.DefaultPolicy()
	p.Canaries = rapid.IntRange(0, 2).Draw(t, "canaries")
	p.Waves = rapid.SampledFrom([][]int{{100}, {10, 50, 100}, {34, 100}}).Draw(t, "waves")
	p.MaxInFlight = rapid.IntRange(0, 2).Draw(t, "in flight")
	p.QuorumPercent = rapid.SampledFrom([]int{50, 75, 100}).Draw(t, "quorum")
	p.QuorumFloor = rapid.IntRange(1, 3).Draw(t, "floor")
	p.Approval = rapid.IntRange(0, 4).Draw(t, "approval") == 0
	p.Trial.Disabled = rapid.Bool().Draw(t, "no trial")
	if rapid.Bool().Draw(t, "soak") {
		p.Soak = messages.Duration(time.Minute)
	}
	if rapid.Bool().Draw(t, "apply") {
		p.Apply = &messages.ApplyPolicy{QuorumPercent: rapid.SampledFrom([]int{50, 100}).Draw(t, "apply quorum"), Deadline: messages.Duration(time.Minute)}
	}
	w.putRollout(messages.RolloutRecord{
		ID: messages.RolloutID("default", build), Fleet: "default", State: messages.RolloutWaiting, Policy: p,
		Ready: messages.ImageReady{
			BuildRef: messages.BuildRef{Build: build, Pipeline: "app", Order: order},
			Image:    messages.Image(fmt.Sprintf("r.example.com/app@sha256:%064x", len(w.rollouts)+1)),
		},
	})
}

// works lets a node do what the record asks of it.
func (w *world) works(t *rapid.T, name string, trialPasses bool) {
	n := w.nodes[name]
	n.Fresh, n.Quiet = true, 0
	fetch := func(i messages.Image) {
		if i != "" && !n.Has(i) && w.record.Turns.Admits(name) {
			n.Status.Images = append(slices.Clone(n.Status.Images), messages.PresentImage{Image: i})
		}
	}
	if w.record.Spread.Admits(name) {
		fetch(w.record.Current.Image)
	}
	if p := w.record.Preload; p != nil && admits(p, name) {
		if fetch(p.Image); n.Has(p.Image) {
			n.Status.Work = &messages.NodeWork{Rollout: p.Rollout, Image: p.Image, State: messages.WorkDone}
			if slices.Contains(p.Canaries, name) && !p.Trial.Disabled {
				n.Status.Work.Trial = &messages.TrialResult{Passed: trialPasses}
			}
		}
	}
	for _, i := range Kept(&w.record) { // what a rollback needs
		fetch(i.Image)
	}
	switch current := w.record.Current.Image; {
	case w.older[name]:
		n.Status.Applied = nil
	case n.Has(current):
		n.Status.Applied = &messages.NodeApplied{Image: current, State: messages.ApplyDone}
	default:
		n.Status.Applied = &messages.NodeApplied{Image: current, State: messages.ApplyWaiting}
	}
	w.nodes[name] = n
}

func (w *world) change(t *rapid.T, what func(*messages.FleetRecord)) {
	r := cloneRecord(w.record)
	what(&r)
	w.put(r)
}

// highest is the highest order that the record names, of images that were current.
func highest(r *messages.FleetRecord) uint64 {
	var most uint64
	for _, i := range Kept(r) {
		most = max(most, i.Order)
	}
	return most
}

// abort is a person's: the rollout's record first, then the fleet's.
func (w *world) abort(t *rapid.T, r messages.RolloutRecord) {
	r.Aborted = "a person"
	w.putRollout(r)
	w.change(t, func(f *messages.FleetRecord) {
		if f.Rollout == r.ID {
			ClearRollout(f, r.ID)
		}
	})
}
