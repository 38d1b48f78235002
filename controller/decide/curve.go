package decide

import (
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
)

const (
	// curveMost is how many points a rollout's curve has, so that it stays small in its record.
	curveMost = 60
	// Where nothing else is to be written after the flip, a point is, at most every curveEvery, and at most every curveShare-th part of
	// the time since the flip: a fleet that is always on the move must not have the record written again and again.
	curveEvery = 10 * time.Second
	curveShare = 50
)

// plot adds to a rollout that is about to be written how far its members are. It says nothing while they are not
// asked for the image: what they have of it they don't tell then.
func (s *State) plot(r *messages.RolloutRecord) {
	begins := r.State == messages.RolloutPreloading && len(r.Curve) == 0
	if len(r.Members) > 0 && (begins || slices.Contains(s.Record.Wanted(), r.Ready.Image)) {
		r.Curve = withPoint(r.Curve, s.pointOf(r))
	}
}

// plotOn is the step that writes a point alone: after the flip, where counts have changed since the last one, and
// it is time for another.
func (s *State) plotOn(r *messages.RolloutRecord) Step {
	if !s.Report || len(r.Members) == 0 {
		return Step{}
	}
	if n := len(r.Curve); n > 0 {
		last, is := r.Curve[n-1], s.pointOf(r)
		same := last.Present == is.Present && last.Applied == is.Applied && last.Applying == is.Applying
		if same || s.Now.Sub(last.At).Abs() < max(curveEvery, s.Now.Sub(r.FlippedAt)/curveShare) {
			return Step{}
		}
	}
	return s.changeRollout(r, func(*messages.RolloutRecord) {})
}

// pointOf counts how far a rollout's members are.
func (s *State) pointOf(r *messages.RolloutRecord) messages.CurvePoint {
	p := messages.CurvePoint{At: s.Now.Truncate(time.Millisecond)}
	for _, name := range r.Members {
		n := s.Nodes[name]
		if n.Has(r.Ready.Image) {
			p.Present++
		}
		if w := n.workOn(r.ID); w != nil {
			p.Fetched += max(w.Bytes, 0)
		}
		if n.Status.Applied == nil || n.uncounted() != "" {
			continue
		}
		p.Applying++
		if n.Status.Applied.Has(r.Ready.Image) {
			p.Applied++
		}
	}
	return p
}

// withPoint is a curve with another point. Where nothing has changed over the last two, the last one moves; where there are too many,
// the one goes that is closest to those beside it. What was fetched stays so when nodes speak of it no more. The clock
// of a controller that takes over may be behind.
func withPoint(curve []messages.CurvePoint, p messages.CurvePoint) []messages.CurvePoint {
	curve = slices.Clone(curve)
	n := len(curve)
	if n > 0 {
		last := curve[n-1]
		p.Fetched = max(p.Fetched, last.Fetched)
		if p.At.Before(last.At) {
			p.At = last.At
		}
	}
	if n > 1 && sameCounts(curve[n-1], p) && sameCounts(curve[n-2], p) {
		curve[n-1] = p
		return curve
	}
	if curve = append(curve, p); len(curve) <= curveMost {
		return curve
	}
	room := func(i int) time.Duration { return curve[i+1].At.Sub(curve[i-1].At) }
	least := 1
	for i := 2; i < len(curve)-1; i++ {
		if room(i) < room(least) {
			least = i
		}
	}
	return slices.Delete(curve, least, least+1)
}

// sameCounts tells whether two points differ in nothing but their moments.
func sameCounts(a, b messages.CurvePoint) bool {
	a.At = b.At
	return a == b
}
