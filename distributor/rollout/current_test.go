package rollout

import (
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// doneFleet is a fleet whose rollouts of orders 1 and 2 are done, the second's image current.
func doneFleet() *state {
	s := fleetOf(1, nil)
	s.rollouts = append(s.rollouts, s.rollouts[0])
	for i := range s.rollouts {
		r, of := &s.rollouts[i], testFleetImage(uint64(i)+1)
		r.ID, r.Ready.Build, r.Ready.Order, r.Ready.Image, r.State = of.Rollout, of.Build, of.Order, of.Image, messages.RolloutDone
		r.FlippedAt = s.now
		forward(&s.record, of, 2)
	}
	s.apply()
	return s
}

// apply drives the fence config to the current image.
func (s *state) apply() {
	s.record.Applied = messages.Applied{Epoch: s.record.Epoch, Value: string(s.record.Current.Image)}
}

func TestWhatARolloutThatTheFleetLeftSays(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*messages.FleetRecord)
		says string
	}{
		{"a rollback that was not marked", func(r *messages.FleetRecord) {
			back(r, testFleetImage(1), hold("ada", "it is broken", time.Unix(1, 0)))
		}, "ada: it is broken"},
		{"an older image was promoted", func(r *messages.FleetRecord) { forward(r, testFleetImage(1), 2) }, "went back to " + string(testImage(1))},
		{"an older image was promoted, and a hold has another reason", func(r *messages.FleetRecord) {
			h := hold("bob", "release freeze", time.Unix(1, 0))
			r.Hold = &h
			forward(r, testFleetImage(1), 2)
		}, "went back to " + string(testImage(1))},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := doneFleet()
			c.do(&s.record)
			s.settle(t)
			if r := s.rollouts[1]; r.State != messages.RolloutRolledBack || !strings.Contains(r.Why, c.says) {
				t.Errorf("the rollout that was left is %s: %s", r.State, r.Why)
			}
		})
	}
}

func TestAPromotedImagesRolloutIsDone(t *testing.T) {
	for _, was := range []messages.RolloutState{
		messages.RolloutRolledBack, messages.RolloutFailed, messages.RolloutAborted, messages.RolloutReplaced,
	} {
		t.Run("after it was "+string(was), func(t *testing.T) {
			s := doneFleet()
			back(&s.record, testFleetImage(1), hold("ada", "it is broken", s.now))
			s.rollouts[1].State, s.rollouts[1].Why = was, "that is why"
			forward(&s.record, testFleetImage(2), 2)
			s.settle(t)
			if r := s.rollouts[1]; r.State != messages.RolloutFlipped || r.Why != "" {
				t.Fatalf("before the fence config follows it is %s: %s", r.State, r.Why)
			}
			s.apply()
			s.settle(t)
			if r := s.rollouts[1]; r.State != messages.RolloutDone {
				t.Errorf("the rollout of the current image is %s: %s", r.State, r.Why)
			}
		})
	}
}

func TestAPromotedRolloutMovesNoMore(t *testing.T) {
	s := doneFleet()
	s.rollouts[1].State, s.record.Rollout = messages.RolloutApproval, testFleetImage(2).Rollout
	s.record.Preload = &messages.Preload{FleetImage: testFleetImage(2)}
	forward(&s.record, testFleetImage(2), 2)
	if s.record.Rollout != "" || s.record.Preload != nil {
		t.Errorf("the record moves %q and preloads %+v", s.record.Rollout, s.record.Preload)
	}
}
