package decide

import (
	"fmt"
	"maps"
	"slices"
	"testing"
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
	nodes     map[string]Node
	soaked    time.Duration
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
		revisions: map[string]int{}, earlier: map[string]messages.RolloutRecord{}, retired: map[string]bool{}, nodes: map[string]Node{},
	}
	for range members {
		w.join()
	}
	return w
}

func (w *world) join() {
	name := fmt.Sprintf("n%d", len(w.nodes))
	w.members = append(w.members, name)
	w.nodes[name] = Node{Fresh: true, Status: messages.NodeStatus{Fleet: "default", Node: name, Revision: 1}}
}

func (w *world) view() snapshot {
	s := State{
		Record: cloneRecord(w.record), Members: slices.Sorted(slices.Values(w.members)), Retired: maps.Clone(w.retired),
		Nodes: maps.Clone(w.nodes), Soaked: w.soaked, Report: true, Now: time.Unix(1, 0),
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
		w.soaked = 0
		r.Applied = messages.Applied{Epoch: r.Epoch, Value: string(r.Current.Image)} // the backend follows
	}
	w.record = r
	w.revision++
}

// soak lets time pass; an image soaks while the fence config holds it.
func (w *world) soak(d time.Duration) {
	if w.record.Applied.Value == string(w.record.Current.Image) {
		w.soaked += d
	}
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
	p := w.record.Preload
	if p != nil && admits(p, name) {
		n.Status.Images = append(slices.Clone(n.Status.Images), messages.PresentImage{Image: p.Image})
		n.Status.Work = &messages.NodeWork{Rollout: p.Rollout, Image: p.Image, State: messages.WorkDone}
		if slices.Contains(p.Canaries, name) && !p.Trial.Disabled {
			n.Status.Work.Trial = &messages.TrialResult{Passed: trialPasses}
		}
	}
	if c := w.record.Current.Image; c != "" && !n.Has(c) {
		n.Status.Images = append(slices.Clone(n.Status.Images), messages.PresentImage{Image: c})
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

func (w *world) actions() map[string]func(*rapid.T) {
	pick := func(t *rapid.T) string { return rapid.SampledFrom(w.members).Draw(t, "node") }
	live := func(t *rapid.T) *messages.RolloutRecord {
		var ids []string
		for id, r := range w.rollouts {
			if !r.State.Final() {
				ids = append(ids, id)
			}
		}
		if len(ids) == 0 {
			t.Skip("none is live")
		}
		slices.Sort(ids)
		r := w.rollouts[rapid.SampledFrom(ids).Draw(t, "rollout")]
		return &r
	}
	return map[string]func(*rapid.T){
		"build":      w.build,
		"look":       func(*rapid.T) { w.seen = append(w.seen, w.view()) },
		"look late":  func(t *rapid.T) { w.seen = append(w.seen, w.late(t)) },
		"act late":   func(t *rapid.T) { w.apply(t, w.late(t)) },
		"act":        func(t *rapid.T) { w.apply(t, w.view()) },
		"act again":  func(t *rapid.T) { w.apply(t, w.view()) },
		"node works": func(t *rapid.T) { w.works(t, pick(t), true) },
		"another works": func(t *rapid.T) {
			w.works(t, pick(t), rapid.IntRange(0, 9).Draw(t, "trial") > 0)
		},
		"all is done that can be": func(t *rapid.T) {
			w.settle(t)
			for range 3 {
				for _, name := range w.members {
					w.works(t, name, true)
				}
				w.settle(t)
			}
		},
		"some do what they can, and fall silent": func(t *rapid.T) {
			for range 3 {
				for _, name := range w.members {
					w.works(t, name, true)
				}
				w.settle(t)
			}
			for _, name := range w.members {
				if n := w.nodes[name]; rapid.Bool().Draw(t, "silent") {
					n.Fresh, n.Quiet = false, time.Hour
					w.nodes[name] = n
				}
			}
		},
		"act on what was seen": func(t *rapid.T) {
			if len(w.seen) == 0 {
				t.Skip("nothing seen")
			}
			i := rapid.IntRange(0, len(w.seen)-1).Draw(t, "view")
			v := w.seen[i]
			w.seen = slices.Delete(w.seen, i, i+1)
			w.apply(t, v)
		},
		"node loses its images": func(t *rapid.T) {
			n := w.nodes[pick(t)]
			n.Status.Images = nil
			w.nodes[n.Status.Node] = n
		},
		"node fails": func(t *rapid.T) {
			n := w.nodes[pick(t)]
			if p := w.record.Preload; p != nil && admits(p, n.Status.Node) {
				n.Status.Work = &messages.NodeWork{Rollout: p.Rollout, State: messages.WorkFailed, Reason: "no space"}
			}
			w.nodes[n.Status.Node] = n
		},
		"node falls silent": func(t *rapid.T) {
			n := w.nodes[pick(t)]
			n.Fresh, n.Quiet = false, time.Hour
			w.nodes[n.Status.Node] = n
		},
		"node joins": func(t *rapid.T) {
			if len(w.nodes) > 8 {
				t.Skip("enough")
			}
			w.join()
		},
		"node retires": func(t *rapid.T) {
			if len(w.members) < 2 {
				t.Skip("the last one")
			}
			n := pick(t)
			w.members = slices.DeleteFunc(w.members, func(m string) bool { return m == n })
			w.retired[n] = true
			w.nodes[n] = Node{Quiet: time.Hour, Status: messages.NodeStatus{Fleet: "default", Node: n}}
		},
		"hold": func(t *rapid.T) {
			w.change(t, func(r *messages.FleetRecord) { h := NewHold("a person", "", time.Time{}); r.Hold = &h })
		},
		"somebody sets the fence config": func(t *rapid.T) {
			w.change(t, func(r *messages.FleetRecord) {
				r.Applied = messages.Applied{Epoch: r.Epoch, Value: "else", Error: "set by somebody else"}
				if r.Hold == nil {
					h := NewHold("fenceline", r.Applied.Error, time.Time{})
					r.Hold = &h
				}
			})
			w.soaked = 0
		},
		"release": func(t *rapid.T) { w.change(t, func(r *messages.FleetRecord) { r.Hold = nil }) },
		"rollback": func(t *rapid.T) {
			if to := Kept(&w.record); len(to) > 0 {
				w.change(t, func(r *messages.FleetRecord) {
					Back(r, rapid.SampledFrom(to).Draw(t, "to"), NewHold("a person", "rollback", time.Time{}))
				})
			}
		},
		"promote": func(t *rapid.T) {
			if to := Kept(&w.record); len(to) > 0 {
				w.change(t, func(r *messages.FleetRecord) {
					Forward(r, rapid.SampledFrom(to).Draw(t, "to"), len(r.Keep))
				})
				if w.record.Highest < highest(&w.record) {
					t.Fatalf("the highest order fell: %+v", w.record)
				}
			}
		},
		"approve": func(t *rapid.T) { r := live(t); r.Approved = "a person"; w.putRollout(*r) },
		"abort": func(t *rapid.T) {
			r := live(t)
			if r.ID == w.record.Current.Rollout {
				t.Skip("flipped")
			}
			w.abort(t, *r)
			if rapid.Bool().Draw(t, "is seen late") {
				for range 4 {
					w.apply(t, w.behind(func(id string) bool { return id == r.ID }))
				}
			}
		},
		"time passes": func(*rapid.T) { w.soak(40 * time.Second) },
		"":            w.always,
	}
}

// settle lets controllers act until nothing is left to be decided.
func (w *world) settle(t *rapid.T) {
	for range 500 {
		if !w.apply(t, w.view()) {
			return
		}
	}
	t.Fatalf("controllers never come to rest; record %+v", w.record)
}

// TestRandomRuns checks invariants 4 and 5 in random runs, and that whatever happened, a
// fleet whose nodes are well again and that is released ends with the newest image.
func TestRandomRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.IntRange(1, 5).Draw(t, "members"))
		t.Repeat(w.actions())
		w.settle(t)
		w.recover(t)
		for _, r := range w.rollouts {
			if !r.State.Final() {
				t.Fatalf("all is well, but %s is %s: %s", r.ID, r.State, r.Why)
			}
			if current := r.ID == w.record.Current.Rollout; current && r.State != messages.RolloutDone && !r.FailedInSoak() {
				t.Fatalf("%s is %s, and its image is current", r.ID, r.State)
			}
			if r.State == messages.RolloutSuperseded && r.Ready.Order > w.record.Highest && !w.replaced(&r) {
				t.Fatalf("%s ended as superseded, but nothing is newer", r.ID)
			}
		}
		if w.record.Preload != nil || w.record.Rollout != "" || w.record.Soaking != "" {
			t.Fatalf("all is done, but the record says %+v", w.record)
		}
	})
}
