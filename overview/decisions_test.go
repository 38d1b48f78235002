package overview

import (
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// TestDecisionsOf are those about a rollout, and its fleet's holds of its time, wherever they are recorded.
func TestDecisionsOf(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 9, 9, 12, minute, 0, 0, time.UTC) }
	rollout := func(from, to int) *messages.RolloutRecord {
		r := &messages.RolloutRecord{ID: "two", Opened: at(from), State: messages.RolloutPreloading}
		if to > 0 {
			r.State, r.Updated = messages.RolloutDone, at(to)
		}
		return r
	}
	held := func(of string, minute int, by, why string) Told {
		return Told{Rollout: of, At: at(minute), State: messages.RolloutHeld, By: by, Why: why}
	}
	released := func(of string, minute int, by string) Told {
		return Told{Rollout: of, At: at(minute), State: messages.RolloutWaiting, By: by, Why: "released"}
	}
	back := func(of string, minute int, by, why string, epoch uint64) Told {
		return Told{Rollout: of, At: at(minute), State: messages.RolloutRolledBack, By: by, Why: why, Epoch: epoch, Members: 3}
	}
	for about, c := range map[string]struct {
		of    *messages.RolloutRecord
		fleet *messages.FleetRecord
		told  []Told
		want  string
	}{
		"nothing":                         {rollout(10, 0), nil, nil, ""},
		"a hold from before":              {rollout(10, 20), nil, []Told{held("one", 1, "ann", "held: frozen"), released("two", 15, "bob")}, "12:01 ann hold held: frozen\n12:15 bob release released\n"},
		"one that ended before":           {rollout(10, 20), nil, []Told{held("one", 1, "ann", "held: frozen"), released("one", 9, "bob"), held("three", 30, "ann", "held")}, ""},
		"one that goes on":                {rollout(10, 0), nil, []Told{held("one", 1, "ann", "held: frozen")}, "12:01 ann hold held: frozen\n"},
		"one of this one":                 {rollout(10, 0), nil, []Told{held("two", 11, "ann", "held: frozen")}, "12:11 ann hold held: frozen\n"},
		"one that a rollback of one set":  {rollout(10, 0), nil, []Told{back("one", 1, "ann", "rolled back by ann to x", 4)}, "12:01 ann rollback rolled back by ann to x\n"},
		"one after another":               {rollout(10, 0), nil, []Told{held("one", 1, "ann", "held"), back("one", 11, "", "trial failed", 4)}, "12:01 ann hold held\n12:11 fenceline rollback trial failed\n"},
		"soak's rollback, told twice":     {rollout(10, 20), nil, []Told{back("two", 12, "", "trial failed", 4), back("two", 13, "", "trial failed", 4)}, "12:12 fenceline rollback trial failed\n"},
		"a person's, and what came of it": {rollout(10, 20), nil, []Told{back("two", 12, "ann", "rolled back by ann to x", 4), back("two", 13, "", "rolled back by ann: y", 4)}, "12:12 ann rollback rolled back by ann to x\n"},
		"a person's that was not told":    {rollout(10, 20), nil, []Told{back("two", 13, "", "rolled back by ann: y", 4)}, "12:13  rollback rolled back by ann: y\n"},
		"a controller's hold":             {rollout(10, 0), nil, []Told{held("one", 11, "", "the fence config was set by hand")}, "12:11 fenceline hold the fence config was set by hand\n"},
		"what nodes told":                 {rollout(10, 0), nil, []Told{{Rollout: "two", Node: "n", State: messages.RolloutHeld, At: at(11)}}, ""},
		"a rollout that waits":            {rollout(10, 0), nil, []Told{{Rollout: "two", State: messages.RolloutHeld, Members: 3, At: at(11)}}, ""},
		"only the record has it": {
			rollout(10, 0), &messages.FleetRecord{Hold: &messages.Hold{By: "ann", Reason: "frozen", At: at(1)}}, nil, "12:01 ann hold frozen\n",
		},
		"the record and an event have it": {
			rollout(10, 0), &messages.FleetRecord{Hold: &messages.Hold{By: "ann", Reason: "frozen", At: at(0)}}, []Told{held("one", 1, "ann", "held: frozen")}, "12:01 ann hold held: frozen\n",
		},
		"both have a rollback": {
			rollout(10, 0), &messages.FleetRecord{Hold: &messages.Hold{By: "ann", Reason: "rolled back from x", At: at(0), Epoch: 4}}, []Told{back("one", 1, "ann", "rolled back by ann to y", 4)}, "12:01 ann rollback rolled back by ann to y\n",
		},
		"only the record has its end": {
			rollout(10, 20), &messages.FleetRecord{Released: &messages.Released{By: "bob", Reason: "over", At: at(15)}}, []Told{held("one", 1, "ann", "held")}, "12:01 ann hold held\n12:15 bob release over\n",
		},
	} {
		told := map[string][]Told{}
		for _, t := range c.told {
			told[t.Rollout] = append(told[t.Rollout], t)
		}
		got := ""
		for _, d := range DecisionsOf(c.of, c.fleet, told) {
			got += d.At.Format("15:04") + " " + d.By + " " + d.What + " " + d.Why + "\n"
		}
		if got != c.want {
			t.Errorf("%s:\n%swant\n%s", about, got, c.want)
		}
	}
}
