package decide

import (
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
	"pgregory.net/rapid"
)

// check looks at a controller's write of the fleet record. It counts by itself.
func (w *world) check(t *rapid.T, s *State, to *messages.FleetRecord) {
	from := w.record
	if to.Preload != nil {
		r := w.rollouts[to.Preload.Rollout]
		busy, was := 0, 0
		for _, m := range r.Members {
			n := s.Nodes[m]
			_, tried := r.Trials[m]
			idle := n.Has(r.Ready.Image) || n.Quiet >= r.Policy.NodeDeadline.Std() || tried
			if w := n.workOn(r.ID); w != nil && w.State == messages.WorkFailed {
				idle = true
			}
			if !idle && admits(to.Preload, m) {
				busy++
			}
			if !idle && from.Preload != nil && from.Preload.Rollout == r.ID && admits(from.Preload, m) {
				was++
			}
		}
		if limit := r.Policy.MaxInFlight; limit > 0 && busy > limit && busy > was {
			t.Fatalf("%d nodes preload at one time, the limit is %d", busy, limit)
		}
	}
	w.checkRecord(t, s, to)
	w.checkTurns(t, s, to)
	if to.Current == from.Current || to.Current.Order < from.Current.Order {
		return
	}
	r := w.rollouts[to.Current.Rollout]
	present, able := 0, 0
	for _, m := range r.Members {
		if s.Nodes[m].Status.Applied != nil {
			able++
		}
		if n := s.Nodes[m]; n.Fresh && slices.ContainsFunc(n.Status.Images, func(p messages.PresentImage) bool { return p.Image == to.Current.Image }) {
			present++
		}
	}
	switch {
	case present < r.Policy.QuorumFloor || present*100 < r.Policy.QuorumPercent*len(r.Members):
		t.Fatalf("flipped with %d of %d members present, policy %+v", present, len(r.Members), r.Policy)
	case from.Hold != nil:
		t.Fatalf("flipped during a hold")
	case from.Soaking != "":
		t.Fatalf("flipped during a soak")
	case to.Current.Order <= from.Highest:
		t.Fatalf("flipped order %d after order %d", to.Current.Order, from.Highest)
	case r.Policy.Approval && r.Approved == "":
		t.Fatalf("flipped without approval")
	case r.Aborted != "":
		t.Fatalf("flipped what was aborted")
	case to.Previous != from.Current:
		t.Fatalf("flipped from %+v, and can go back to %+v", from.Current, to.Previous)
	case to.Preload != nil && to.Preload.Rollout == r.ID:
		t.Fatalf("flipped, and preloads it still")
	case (to.Soaking == r.ID) != (r.Policy.Soak > 0 || r.Policy.Apply != nil):
		t.Fatalf("flipped with soak %s and apply %+v, soaking is %q", r.Policy.Soak, r.Policy.Apply, to.Soaking)
	case able*100 < w.applyPercent(&r)*len(r.Members):
		t.Fatalf("flipped where %d of %d members say what they apply, policy %+v", able, len(r.Members), r.Policy.Apply)
	}
	w.checkTrials(t, s, &r)
}

// checkTurns looks at whose turn it is to fetch: never more than the policy lets, but for those that had
// theirs by another policy.
func (w *world) checkTurns(t *rapid.T, s *State, to *messages.FleetRecord) {
	r, known := w.rollouts[to.Rollout]
	if !known {
		r, known = w.rollouts[to.Current.Rollout]
	}
	hadNone := func(node string) bool { return w.record.Turns == nil || !w.record.Turns.Admits(node) }
	switch {
	case known && r.Policy.MaxInFlight > 0 && to.Turns == nil:
		t.Fatalf("at most %d may fetch, and all do", r.Policy.MaxInFlight)
	case known && to.Turns != nil && len(to.Turns.Nodes) > r.Policy.MaxInFlight && slices.ContainsFunc(to.Turns.Nodes, hadNone):
		t.Fatalf("it is the turn of %v, at most %d may fetch", to.Turns.Nodes, r.Policy.MaxInFlight)
	}
}

// checkTrials looks at a flip: as many canaries as asked for passed, and none failed.
func (w *world) checkTrials(t *rapid.T, s *State, r *messages.RolloutRecord) {
	passed := 0
	for _, m := range r.Members {
		trial, tried := r.Trials[m]
		if n := s.Nodes[m]; n.workOn(r.ID) != nil && n.workOn(r.ID).Trial != nil {
			trial, tried = *n.workOn(r.ID).Trial, true
		}
		switch {
		case tried && !trial.Passed:
			t.Fatalf("flipped though the trial failed on %s", m)
		case tried:
			passed++
		}
	}
	if want := min(r.Policy.Canaries, len(r.Members)); !r.Policy.Trial.Disabled && passed < want {
		t.Fatalf("flipped after %d trials of %d", passed, want)
	}
}

// checkRecord looks at how a controller's write changes the fields that decisions hang on.
func (w *world) checkRecord(t *rapid.T, s *State, to *messages.FleetRecord) {
	from := w.record
	back := to.Current != from.Current && to.Current.Order < from.Current.Order
	stays := new(w.rollouts[from.Current.Rollout]).FailedInSoak() && to.Soaking == "" && from.Soaking != ""
	switch {
	case back && from.Applied.Value != string(from.Current.Image):
		t.Fatalf("went back to %s over %q, which somebody set", to.Current.Image, from.Applied.Value)
	case (to.Current != from.Current) != (to.Epoch == from.Epoch+1) || to.Epoch < from.Epoch || to.Epoch > from.Epoch+1:
		t.Fatalf("epoch %d follows %d, image %s follows %s", to.Epoch, from.Epoch, to.Current.Image, from.Current.Image)
	case to.Highest != max(from.Highest, to.Current.Order):
		t.Fatalf("the highest order is %d after %d, current is %d", to.Highest, from.Highest, to.Current.Order)
	case back && (from.Soaking != from.Current.Rollout || to.Current != from.Previous || to.Hold == nil || to.Soaking != ""):
		t.Fatalf("went back from %+v to %+v", from, to)
	case back && !w.better(s, from.Previous.Image, from.Current):
		t.Fatalf("went back to %s, which no more members have", to.Current.Image)
	case stays && to.Hold == nil:
		t.Fatalf("what failed in its soak is current without a hold")
	case !back && !stays && to.Hold != from.Hold && (to.Hold == nil || from.Hold == nil || *to.Hold != *from.Hold):
		t.Fatalf("the hold %+v became %+v", from.Hold, to.Hold)
	case to.Preload != nil && from.Preload != nil && to.Preload.Rollout == from.Preload.Rollout && to.Preload.Threshold < from.Preload.Threshold:
		t.Fatalf("the threshold fell")
	}
	r, soaks := w.rollouts[from.Soaking]
	if !soaks || from.Current.Rollout != r.ID {
		return
	}
	lack := 0
	for _, m := range r.Members {
		if n := s.Nodes[m]; n.Fresh && n.Had && !n.Has(r.Ready.Image) {
			lack++
		}
	}
	failed := r.Policy.Soak > 0 && lack > len(r.Members)*messages.DefaultSoakFailures/100
	applied := w.appliedIn(s, &r)*100 >= w.applyPercent(&r)*len(r.Members)
	switch {
	case back && !failed && (applied || s.Unapplied < r.Policy.Apply.Deadline.Std()):
		t.Fatalf("rolled back with %d of %d members lacking the image", lack, len(r.Members))
	case !back && to.Soaking == "" && !applied && !r.State.Final():
		t.Fatalf("the watch ended with %d of %d that have applied the image, policy %+v", w.appliedIn(s, &r), len(r.Members), r.Policy.Apply)
	case !back && to.Soaking == "" && (failed && !from.Previous.IsZero() || s.Soaked < r.Policy.Soak.Std()) && !r.State.Final():
		t.Fatalf("the soak ended after %s, %d of %d members lack the image", s.Soaked, lack, len(r.Members))
	}
}

// better tells whether a fleet is better off with the image before: a quorum has it, or more members
// than have the current one, which nobody can use that failed its trial.
func (w *world) better(s *State, before messages.Image, current messages.FleetImage) bool {
	r := w.rollouts[current.Rollout]
	held, left := 0, 0
	for _, m := range s.Members {
		if s.Nodes[m].Has(before) {
			held++
		}
		if s.Nodes[m].Has(current.Image) {
			left++
		}
	}
	for _, trial := range r.Trials {
		if !trial.Passed {
			left = 0
		}
	}
	if r.Policy.Apply != nil && s.Unapplied >= r.Policy.Apply.Deadline.Std() && w.appliedIn(s, &r)*100 < w.applyPercent(&r)*len(r.Members) {
		left = w.appliedIn(s, &r)
	}
	return held >= r.Policy.QuorumFloor && held*100 >= r.Policy.QuorumPercent*len(s.Members) || held > left
}

// appliedIn counts the members of a rollout that have applied its image, in a state.
func (w *world) appliedIn(s *State, r *messages.RolloutRecord) int {
	n := 0
	for _, m := range r.Members {
		if s.Nodes[m].Status.Applied.Has(r.Ready.Image) {
			n++
		}
	}
	return n
}

// checkRollout looks at a controller's write of a rollout's record.
func (w *world) checkRollout(t *rapid.T, s *State, to *messages.RolloutRecord) {
	from := w.rollouts[to.ID]
	// Whoever took the fleet back from what was done may have died before saying so.
	left := (from.State == messages.RolloutDone || from.FailedInSoak()) && to.State == messages.RolloutRolledBack && from.Ready.Order > s.Record.Current.Order
	again := from.State.Final() && to.State == messages.RolloutFlipped && s.Record.Current.Rollout == to.ID
	slim := from.State.Final() && to.State == from.State && len(from.Members) > 0
	switch {
	case slim && (len(to.Members) > 0 || to.MemberCount != from.Counts()):
		t.Fatalf("%s is over, and counts %v, %d", to.ID, to.Members, to.MemberCount)
	case from.State.Final() && !left && !again && !slim:
		t.Fatalf("%s was over as %s, and is %s", to.ID, from.State, to.State)
	case to.State.Final() && s.Record.Rollout == to.ID && s.Record.Current.Rollout != to.ID && !s.wasFlipped(&from):
		t.Fatalf("%s ended as %s while the record moves it", to.ID, to.State)
	case !slim && to.State == messages.RolloutDone && s.Record.Current.Rollout == to.ID && s.Record.Applied.Value != string(s.Record.Current.Image):
		t.Fatalf("%s is done, and the fence config holds %q", to.ID, s.Record.Applied.Value)
	case len(from.Members) == 0 && len(to.Members) > 0 && !slices.Equal(to.Members, s.Members):
		t.Fatalf("%s counts %v, the members are %v", to.ID, to.Members, s.Members)
	case len(from.Members) > 0 && slices.ContainsFunc(to.Members, func(m string) bool { return !slices.Contains(from.Members, m) && !slices.Contains(s.Members, m) }):
		t.Fatalf("%s counted %v, and counts %v", to.ID, from.Members, to.Members)
	}
	if len(from.Members) > 0 && !from.State.Final() {
		for _, m := range from.Members {
			if !slices.Contains(to.Members, m) && !w.retired[m] {
				t.Fatalf("%s counts %s no more, which is a member", to.ID, m)
			}
		}
	}
}

// always checks what must be true of the records at any moment.
func (w *world) always(t *rapid.T) {
	r := w.record
	images := Kept(&r)
	if !r.Current.IsZero() {
		images = append(images, r.Current)
	}
	for i, a := range images {
		for _, b := range images[i+1:] {
			if a.Image == b.Image {
				t.Fatalf("%s is in the record twice: %+v", a.Image, r)
			}
		}
	}
	if r.Current.Order > r.Highest {
		t.Fatalf("current has order %d, the highest is %d", r.Current.Order, r.Highest)
	}
}

// superseded tells whether there is a newer rollout than r.
func (w *world) superseded(r *messages.RolloutRecord) bool {
	for _, o := range w.rollouts {
		if older(r, &o) {
			return true
		}
	}
	return false
}

// recover makes everything well: nodes work, people agree, time passes.
func (w *world) recover(t *rapid.T) {
	w.change(t, func(r *messages.FleetRecord) { r.Hold = nil })
	clear(w.untold)
	if len(w.members) == 0 {
		w.join()
	}
	for range 60 {
		w.older = map[string]bool{}
		for _, name := range w.members {
			if n := w.nodes[name]; n.Status.Work != nil && n.Status.Work.State == messages.WorkFailed {
				n.Status.Work = nil
				w.nodes[name] = n
			}
			w.works(t, name, true)
		}
		for _, r := range w.rollouts {
			if r.State == messages.RolloutApproval {
				r.Approved = "a person"
				w.putRollout(r)
			} else if !r.State.Final() && len(r.Members) > 0 && r.Policy.QuorumFloor > len(r.Members) && r.ID != w.record.Current.Rollout {
				w.abort(t, r) // it would wait for nodes that there are not
			}
		}
		w.settle(t)
		for _, name := range w.members {
			w.works(t, name, true)
		}
		w.settle(t)
		w.soak(time.Hour)
		w.change(t, func(r *messages.FleetRecord) { r.Hold = nil })
		w.settle(t)
	}
}
