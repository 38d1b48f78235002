package decide

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"pgregory.net/rapid"
)

// actions are what may happen next, in any order.
func (w *world) actions() map[string]func(*rapid.T) {
	out := map[string]func(*rapid.T){
		"time passes": func(*rapid.T) { w.soak(40 * time.Second) },
		"":            w.always,
	}
	for _, of := range []map[string]func(*rapid.T){w.controllersActions(), w.nodesActions(), w.peoplesActions()} {
		maps.Copy(out, of)
	}
	return out
}

func (w *world) controllersActions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"build":     w.build,
		"look":      func(*rapid.T) { w.seen = append(w.seen, w.view()) },
		"look late": func(t *rapid.T) { w.seen = append(w.seen, w.late(t)) },
		"act late":  func(t *rapid.T) { w.apply(t, w.late(t)) },
		"act":       func(t *rapid.T) { w.apply(t, w.view()) },
		"act again": func(t *rapid.T) { w.apply(t, w.view()) },
		"act on what was seen": func(t *rapid.T) {
			if len(w.seen) == 0 {
				t.Skip("nothing seen")
			}
			i := rapid.IntRange(0, len(w.seen)-1).Draw(t, "view")
			v := w.seen[i]
			w.seen = slices.Delete(w.seen, i, i+1)
			w.apply(t, v)
		},
	}
}

func (w *world) nodesActions() map[string]func(*rapid.T) {
	pick := func(t *rapid.T) string {
		if len(w.members) == 0 {
			t.Skip("nobody is left")
		}
		return rapid.SampledFrom(w.members).Draw(t, "node")
	}
	return map[string]func(*rapid.T){
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
		"node fails to apply": func(t *rapid.T) {
			n := w.nodes[pick(t)]
			n.Status.Applied = &messages.NodeApplied{Image: w.record.Current.Image, State: messages.ApplyFailed, Error: "reload ended with 1"}
			w.nodes[n.Status.Node] = n
		},
		"node is of an older version": func(t *rapid.T) {
			n := w.nodes[pick(t)]
			w.older[n.Status.Node], n.Status.Applied = true, nil
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
			n := pick(t)
			w.members = slices.DeleteFunc(w.members, func(m string) bool { return m == n })
			w.retired[n] = true
			w.nodes[n] = Node{Quiet: time.Hour, Status: messages.NodeStatus{Fleet: "default", Node: n}}
			if rapid.Bool().Draw(t, "is seen late") {
				w.untold[n] = true
			}
		},
		"retirements are seen": func(*rapid.T) { clear(w.untold) },
	}
}

func (w *world) peoplesActions() map[string]func(*rapid.T) {
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
			if r.State == messages.RolloutSuperseded && r.Ready.Order > w.record.Highest && !w.superseded(&r) {
				t.Fatalf("%s ended as superseded, but nothing is newer", r.ID)
			}
		}
		if w.record.Preload != nil || w.record.Rollout != "" || w.record.Soaking != "" {
			t.Fatalf("all is done, but the record says %+v", w.record)
		}
	})
}
