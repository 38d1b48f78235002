package decide

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

func presents(r *messages.RolloutRecord) (present, applied []int) {
	for _, p := range r.Curve {
		present, applied = append(present, p.Present), append(applied, p.Applied)
	}
	return present, applied
}

func TestACurveGoesFromTheOpeningToTheEnd(t *testing.T) {
	s := fleetOf(4, func(p *messages.Policy) {
		p.Soak, p.QuorumPercent, p.Canaries, p.Waves = messages.Duration(time.Minute), 100, 0, []int{100}
	})
	s.settle(t)
	r := s.rollout("default-b1")
	for _, name := range s.Members {
		s.Now = s.Now.Add(2 * time.Second)
		n := s.Nodes[name]
		n.Status.Applied = &messages.NodeApplied{State: messages.ApplyWaiting}
		s.Nodes[name] = n
		s.fetch(name)
		n = s.Nodes[name]
		n.Status.Work.Bytes = 1000
		s.Nodes[name] = n
		s.settle(t)
	}
	s.apply()
	s.settle(t)
	if r.State != messages.RolloutSoaking {
		t.Fatalf("it is %s: %s", r.State, r.Why)
	}
	s.Now = s.Now.Add(curveEvery)
	s.applies("", "n0", "n1")
	s.settle(t)
	s.Now = s.Now.Add(time.Second)
	s.applies("", "n2") // too soon for a point of its own
	s.settle(t)
	s.Now = s.Now.Add(time.Minute)
	s.applies("", "n3")
	s.Soaked = time.Minute
	s.settle(t)
	present, applied := presents(r)
	if r.State != messages.RolloutDone || present[0] != 0 || !slices.IsSorted(present) || present[len(present)-1] != 4 ||
		!slices.Contains(applied, 2) || slices.Contains(applied, 3) || applied[len(applied)-1] != 4 {
		t.Errorf("it is %s, present %v, applied %v", r.State, present, applied)
	}
	if last := r.Curve[len(r.Curve)-1]; last.Fetched < 3000 || last.Applying != 4 || !last.At.Equal(s.Now) {
		t.Errorf("its last point is %+v", last)
	}
	if len(r.Members) != 0 {
		t.Errorf("it still names %d members", len(r.Members))
	}
}

// TestACurveSaysNothingOnceNobodyIsAsked: nodes don't list what they are not to have.
func TestACurveSaysNothingOnceNobodyIsAsked(t *testing.T) {
	s := fleetOf(2, func(p *messages.Policy) { p.QuorumPercent, p.Canaries, p.Waves = 100, 0, []int{100} })
	s.settle(t)
	s.fetch("n0")
	s.settle(t)
	r := s.rollout("default-b1")
	r.Aborted = "ada"
	s.settle(t)
	for name, n := range s.Nodes {
		n.Status.Images = nil
		s.Nodes[name] = n
	}
	s.settle(t)
	if present, _ := presents(r); r.State != messages.RolloutAborted || present[len(present)-1] != 1 {
		t.Errorf("it is %s, present %v", r.State, present)
	}
}

// TestACurveAsksForFewWrites: of a fleet that is always on the move, and none of what stands still.
func TestACurveAsksForFewWrites(t *testing.T) {
	s := fleetOf(3, func(p *messages.Policy) { p.Soak, p.Canaries = messages.Duration(240*time.Hour), 0 })
	s.settle(t)
	s.fetch(s.Members...)
	s.settle(t)
	s.apply()
	s.settle(t)
	r := s.rollout("default-b1")
	writes := 0
	for tick := range 4 * 1800 { // four hours of looks, every two seconds
		s.Now = s.Now.Add(2 * time.Second)
		n := s.Nodes["n0"]
		n.Status.Applied = &messages.NodeApplied{Image: testImage(uint64(1 + tick%2)), State: messages.ApplyDone}
		s.Nodes["n0"] = n
		if out := Next(s); out.Rollout != nil {
			writes++
			*r = *out.Rollout
		}
	}
	if writes < 100 || writes > 300 || len(r.Curve) != curveMost {
		t.Errorf("%d writes, %d points", writes, len(r.Curve))
	}
	was := writes
	for range 900 {
		s.Now = s.Now.Add(2 * time.Second)
		if out := Next(s); out.Rollout != nil {
			writes++
			*r = *out.Rollout
		}
	}
	if writes > was+1 {
		t.Errorf("%d more writes, though nothing changes any more", writes-was)
	}
	if text, err := json.Marshal(r.Curve); err != nil || len(text) > 12_000 {
		t.Errorf("the curve has %d bytes, %v", len(text), err)
	}
}

func TestALongCurveIsThinnedOut(t *testing.T) {
	var curve []messages.CurvePoint
	from := time.Unix(1000, 0).UTC()
	for i := range 1000 {
		curve = withPoint(curve, messages.CurvePoint{At: from.Add(time.Duration(i) * time.Second), Present: i, Fetched: int64(i)})
	}
	if len(curve) != curveMost || curve[0].Present != 0 || curve[curveMost-1].Present != 999 {
		t.Fatalf("%d points, from %+v to %+v", len(curve), curve[0], curve[len(curve)-1])
	}
	for i := 1; i < len(curve); i++ {
		if gap := curve[i].At.Sub(curve[i-1].At); gap <= 0 || gap > 40*time.Second {
			t.Errorf("%s between two points", gap)
		}
	}
	before := slices.Clone(curve)
	behind := withPoint(curve, messages.CurvePoint{At: from, Present: 5})
	if last := behind[len(behind)-1]; last.At.Before(curve[len(curve)-1].At) || last.Fetched != 999 {
		t.Errorf("a clock that is behind gives %+v", last)
	}
	if !slices.Equal(before, curve) {
		t.Error("the curve that was given is changed")
	}
	flat := withPoint(withPoint(nil, messages.CurvePoint{At: from}), messages.CurvePoint{At: from.Add(time.Second)})
	if flat = withPoint(flat, messages.CurvePoint{At: from.Add(time.Hour)}); len(flat) != 2 || !flat[1].At.Equal(from.Add(time.Hour)) {
		t.Errorf("where nothing changes it has %+v", flat)
	}
}

func TestWavesHaveEachMemberOnce(t *testing.T) {
	s := fleetOf(20, func(p *messages.Policy) { p.Canaries, p.Waves = 3, []int{10, 50, 100} })
	s.settle(t)
	r := s.rollout("default-b1")
	seen := map[string]int{}
	var sizes []int
	for _, w := range WavesOf(r, s.Record.Preload) {
		sizes = append(sizes, len(w.Members))
		for _, name := range w.Members {
			seen[name]++
		}
	}
	if !slices.Equal(sizes, []int{3, 0, 7, 10}) || len(seen) != 20 {
		t.Errorf("waves of %v, %d members in all", sizes, len(seen))
	}
}
