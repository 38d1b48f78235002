package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	fleetMembers = metric{name: "fenceline_fleet_members", kind: gauge, by: byActing, labels: []string{"fleet"},
		help: "Members of the fleet."}
	fleetPresent = metric{name: "fenceline_fleet_present_nodes", kind: gauge, by: byActing, labels: []string{"fleet"},
		help: "Members whose last heartbeat is fresh and lists the current image."}
	fleetApplied = metric{name: "fenceline_fleet_applied_nodes", kind: gauge, by: byActing, labels: []string{"fleet"},
		help: "Members that said last that they have applied the current image. 0 where nodes apply nothing."}
	fleetBehind = metric{name: "fenceline_fleet_behind_nodes", kind: gauge, by: byActing, labels: []string{"fleet"},
		help: "Members whose last heartbeat is fresh and lacks the current image, or whose engine does not answer."}
	fleetSilent = metric{name: "fenceline_fleet_silent_nodes", kind: gauge, by: byActing, labels: []string{"fleet"},
		help: "Members without a fresh heartbeat. Two nodes of one name, or of one engine, don't count, and are among them."}
	fleetEpoch = metric{name: "fenceline_fleet_epoch", kind: gauge, by: byActing, labels: []string{"fleet"},
		help: "How often the current image was decided, ever."}
	fleetHeld = metric{name: "fenceline_fleet_held", kind: gauge, by: byActing, labels: []string{"fleet"},
		help: "1 while a hold stops the fleet's flips; else 0."}
	fleetHeldFor = metric{name: "fenceline_fleet_hold_age_seconds", kind: gauge, by: byActing, labels: []string{"fleet"},
		help: "How long ago the hold was set. Absent without one."}
	fleetFence = metric{name: "fenceline_fleet_fence_broken", kind: gauge, by: byActing, labels: []string{"fleet"},
		help: "1 while the fleet's fence config could not be read or set when it was last tried; else 0."}
	rollouts = metric{name: "fenceline_rollouts", kind: gauge, by: byActing, labels: []string{"fleet", "state"},
		help: "Rollouts that are on record, by state."}
	rolloutMembers = metric{name: "fenceline_rollout_members", kind: gauge, by: byActing, labels: []string{"fleet"},
		help: "Members that the newest rollout counts that is not over; one that waits for another rollout only where none moves. Absent without one, like all about it."}
	rolloutPresent = metric{name: "fenceline_rollout_present_nodes", kind: gauge, by: byActing, labels: []string{"fleet"},
		help: "Those of them that have its image."}
	rolloutApplied = metric{name: "fenceline_rollout_applied_nodes", kind: gauge, by: byActing, labels: []string{"fleet"},
		help: "Those of them that have applied it."}
	rolloutFailed = metric{name: "fenceline_rollout_failed_nodes", kind: gauge, by: byActing, labels: []string{"fleet"},
		help: "Those of them that could not get or try it."}
	rolloutAge = metric{name: "fenceline_rollout_age_seconds", kind: gauge, by: byActing, labels: []string{"fleet", "state"},
		help: "How long ago it was opened, with the state that it is in."}
	rolloutStill = metric{name: "fenceline_rollout_unchanged_seconds", kind: gauge, by: byActing, labels: []string{"fleet", "state"},
		help: "How long it has come no further, with the state that it is in: no wave, trial, or node more that has the image or has applied it. As far as its record tells where a controller has just begun to act."}
)

func fleetMetrics() []metric {
	return []metric{fleetMembers, fleetPresent, fleetApplied, fleetBehind, fleetSilent, fleetEpoch, fleetHeld, fleetHeldFor, fleetFence,
		rollouts, rolloutMembers, rolloutPresent, rolloutApplied, rolloutFailed, rolloutAge, rolloutStill}
}

// FleetNow is what the acting controller knows of a fleet.
type FleetNow struct {
	Fleet                                     string
	Members, Present, Applied, Behind, Silent int
	Epoch                                     uint64
	Held, FenceBroken                         bool
	HeldFor                                   time.Duration
	Rollouts                                  map[string]int // by state
	Moving                                    *RolloutNow    // nil for none
}

// RolloutNow is what it knows of a rollout.
type RolloutNow struct {
	State                             string
	Members, Present, Applied, Failed int
	Age, Unchanged                    time.Duration
}

// Fleets has it told how fleets are, while the controller acts.
func (c *Controller) Fleets(now func() []FleetNow) {
	if c == nil {
		return
	}
	c.all.MustRegister(&asker{fleetMetrics(), func(tell func(prometheus.Metric)) {
		if !c.Acting() {
			return
		}
		all := now()
		if !c.Acting() { // it may have lost the lease meanwhile
			return
		}
		for _, f := range all {
			if name := c.fleets.bounded(f.Fleet); name != others { // gauges of several can't be one
				f.tell(tell, name)
			}
		}
	}})
}

func (f *FleetNow) tell(tell func(prometheus.Metric), name string) {
	for _, v := range []struct {
		m *metric
		n int
	}{
		{&fleetMembers, f.Members}, {&fleetPresent, f.Present}, {&fleetApplied, f.Applied}, {&fleetBehind, f.Behind}, {&fleetSilent, f.Silent},
	} {
		tell(v.m.told(float64(v.n), name))
	}
	tell(fleetEpoch.told(float64(f.Epoch), name))
	tell(fleetHeld.told(truth(f.Held), name))
	tell(fleetFence.told(truth(f.FenceBroken), name))
	if f.Held {
		tell(fleetHeldFor.told(f.HeldFor.Seconds(), name))
	}
	for state, n := range f.Rollouts {
		tell(rollouts.told(float64(n), name, state))
	}
	if m := f.Moving; m != nil {
		tell(rolloutMembers.told(float64(m.Members), name))
		tell(rolloutPresent.told(float64(m.Present), name))
		tell(rolloutApplied.told(float64(m.Applied), name))
		tell(rolloutFailed.told(float64(m.Failed), name))
		tell(rolloutAge.told(m.Age.Seconds(), name, m.State))
		tell(rolloutStill.told(m.Unchanged.Seconds(), name, m.State))
	}
}
