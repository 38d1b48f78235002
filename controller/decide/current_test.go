package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// doneFleet is a fleet whose rollouts of orders 1 and 2 are done, the second's image current.
func doneFleet() *State {
	s := fleetOf(1, nil)
	s.Rollouts = append(s.Rollouts, s.Rollouts[0])
	for i := range s.Rollouts {
		r, of := &s.Rollouts[i], testFleetImage(uint64(i)+1)
		r.ID, r.Ready.Build, r.Ready.Order, r.Ready.Image, r.State = of.Rollout, of.Build, of.Order, of.Image, messages.RolloutDone
		r.FlippedAt = s.Now
		Forward(&s.Record, of, 2)
	}
	s.apply()
	return s
}

// apply drives the fence config to the current image.
func (s *State) apply() {
	s.Record.Applied = messages.Applied{Epoch: s.Record.Epoch, Value: string(s.Record.Current.Image)}
}

func TestWhatARolloutThatTheFleetLeftSays(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*messages.FleetRecord)
		says string
	}{
		{"a rollback that was not marked", func(r *messages.FleetRecord) {
			Back(r, testFleetImage(1), NewHold("ada", "it is broken", time.Unix(1, 0)))
		}, "ada: it is broken"},
		{"an older image was promoted", func(r *messages.FleetRecord) { Forward(r, testFleetImage(1), 2) }, "went back to " + string(testImage(1))},
		{"an older image was promoted, and a hold has another reason", func(r *messages.FleetRecord) {
			h := NewHold("bob", "release freeze", time.Unix(1, 0))
			r.Hold = &h
			Forward(r, testFleetImage(1), 2)
		}, "went back to " + string(testImage(1))},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := doneFleet()
			c.do(&s.Record)
			s.settle(t)
			if r := s.Rollouts[1]; r.State != messages.RolloutRolledBack || !strings.Contains(r.Why, c.says) {
				t.Errorf("the rollout that was left is %s: %s", r.State, r.Why)
			}
		})
	}
}

func TestAPromotedImagesRolloutIsDone(t *testing.T) {
	for _, was := range []messages.RolloutState{
		messages.RolloutRolledBack, messages.RolloutFailed, messages.RolloutAborted, messages.RolloutSuperseded,
	} {
		t.Run("after it was "+string(was), func(t *testing.T) {
			s := doneFleet()
			Back(&s.Record, testFleetImage(1), NewHold("ada", "it is broken", s.Now))
			s.Rollouts[1].State, s.Rollouts[1].Why, s.Rollouts[1].FlippedAt = was, "that is why", time.Time{}
			Forward(&s.Record, testFleetImage(2), 2)
			s.settle(t)
			if r := s.Rollouts[1]; r.State != messages.RolloutFlipped || r.Why != "" {
				t.Fatalf("before the fence config follows it is %s: %s", r.State, r.Why)
			}
			s.apply()
			s.settle(t)
			if r := s.Rollouts[1]; r.State != messages.RolloutDone {
				t.Errorf("the rollout of the current image is %s: %s", r.State, r.Why)
			}
		})
	}
}

func TestAPromotedRolloutMovesNoMore(t *testing.T) {
	s := doneFleet()
	s.Rollouts[1].State, s.Record.Rollout = messages.RolloutApproval, testFleetImage(2).Rollout
	s.Record.Preload = &messages.Preload{FleetImage: testFleetImage(2)}
	Forward(&s.Record, testFleetImage(2), 2)
	if s.Record.Rollout != "" || s.Record.Preload != nil {
		t.Errorf("the record moves %q and preloads %+v", s.Record.Rollout, s.Record.Preload)
	}
}

func TestARolloutWaitsForTheFenceConfig(t *testing.T) {
	for _, c := range []struct {
		name string
		soak time.Duration
		then messages.RolloutState
	}{{"to be done", 0, messages.RolloutDone}, {"to soak", time.Hour, messages.RolloutSoaking}} {
		t.Run(c.name, func(t *testing.T) {
			s, clock := fleetOf(1, func(p *messages.Policy) { p.Soak = messages.Duration(c.soak) }), &Clocks{}
			for range 2 {
				s.settle(t)
				s.fetch("n0")
			}
			s.settle(t)
			look := func(elapsed time.Duration) {
				t.Helper()
				s.Soaked = 0
				clock.Measure(s, s.Now.Add(elapsed))
				s.settle(t)
			}
			r := &s.Rollouts[0]
			somebodys := messages.Applied{Epoch: s.Record.Epoch, Value: "else", Error: "set by somebody else"}
			s.Record.Applied = somebodys
			look(0)
			if r.State != messages.RolloutFlipped || r.Why != somebodys.Error {
				t.Fatalf("while the fence config holds another value it is %s: %s", r.State, r.Why)
			}
			s.apply()
			look(time.Minute)
			if r.State != c.then || strings.Contains(r.Why, somebodys.Error) {
				t.Fatalf("with the image in the fence config it is %s: %s", r.State, r.Why)
			}
			if c.soak == 0 {
				return
			}
			look(2 * time.Minute) // soaks from now on
			s.Record.Applied = somebodys
			look(2 * c.soak)
			if r.State != messages.RolloutFlipped || s.Record.Soaking != r.ID {
				t.Fatalf("it soaked with another value in the fence config: %s: %s", r.State, r.Why)
			}
			s.apply()
			look(2*c.soak + time.Minute)
			look(2*c.soak + 2*time.Minute) // soaks anew
			look(3*c.soak + time.Minute)
			if r.State != messages.RolloutSoaking {
				t.Fatalf("the soak counts what came before: %s: %s", r.State, r.Why)
			}
			look(3*c.soak + 2*time.Minute)
			if r.State != messages.RolloutDone {
				t.Fatalf("after its time it is %s: %s", r.State, r.Why)
			}
		})
	}
}

// TestInAnotherPlaceNothingIsApplied: what is known of the place before says nothing about where the fence config
// lives now.
func TestInAnotherPlaceNothingIsApplied(t *testing.T) {
	s := State{Record: messages.FleetRecord{
		Fleet: "default", Epoch: 3, Current: testFleetImage(3), Applied: messages.Applied{Epoch: 3, Value: string(testImage(3))},
	}}
	if !s.applied() || s.Behind() {
		t.Error("where it lives it is not applied")
	}
	for _, kind := range []string{messages.FenceKato, messages.FenceNATS} {
		s.Record.Applied.Store = map[bool]string{true: messages.FenceConfdis}[kind == messages.FenceNATS]
		s.Kind = kind
		if s.applied() || !s.Behind() {
			t.Errorf("after %q it is applied in %s", s.Record.Applied.Store, kind)
		}
	}
	c := Compare(&s, messages.FenceNATS, string(testImage(3)))
	if says := Moved(&s, c); says != "the fence config lives in natskv now, and not in confdis: it names the current image there" {
		t.Errorf("of the move it says %q", says)
	}
	s.Record.Applied = *c.Note
	if says := Moved(&s, Compare(&s, messages.FenceNATS, "else")); says != "" {
		t.Errorf("without a move it says %q", says)
	}
}
