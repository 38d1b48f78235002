package distributor_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
)

// TestANodeFetchesInItsTurn whatever it lacks, and only then.
func TestANodeFetchesInItsTurn(t *testing.T) {
	others, mine := &messages.Turns{Nodes: []string{"dea-0", "dea-2"}}, &messages.Turns{Nodes: []string{node}}
	record := func(turns *messages.Turns) messages.FleetRecord {
		return messages.FleetRecord{
			Current: fleetImage("3"), Previous: fleetImage("2"), Keep: []messages.FleetImage{fleetImage("1")}, Preload: preload("4"), Turns: turns,
		}
	}
	run(t, func(w *world) { w.set(record(others)) }, func(w *world) {
		w.pulled()
		w.works(messages.WorkWaiting, "")
		after(time.Minute)
		w.pulled()
		w.announce(record(mine))
		w.has("3", "2", "1", "4")
		w.works(messages.WorkDone, "")
		w.announce(record(others))
		w.works(messages.WorkDone, "")
		w.engine.Lose(img("3"))
		after(time.Minute)
		w.pulled("3", "4", "2", "1")
		w.announce(record(nil)) // no bound any more
		w.pulled("3", "4", "2", "1", "3")
	})
}

// TestAPullEndsWithTheTurn gives up what another node is to fetch.
func TestAPullEndsWithTheTurn(t *testing.T) {
	var hold chan struct{}
	run(t, func(w *world) { hold = make(chan struct{}); w.engine.Hold = hold }, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("3"), Turns: &messages.Turns{Nodes: []string{node}}})
		if f := w.last().Fetching; f != nil && f.Image != img("3") {
			t.Errorf("it fetches %+v", f)
		}
		after(distributor.DefaultInterval)
		if f := w.last().Fetching; f == nil || f.Image != img("3") {
			t.Errorf("the heartbeat says of the pull: %+v", f)
		}
		w.announce(messages.FleetRecord{Current: fleetImage("3"), Turns: &messages.Turns{Nodes: []string{}}})
		after(distributor.DefaultInterval)
		if f := w.last().Fetching; f != nil {
			t.Errorf("out of its turn it fetches %+v", f)
		}
		close(hold)
		after(time.Minute)
		w.has()
	})
}

// TestTheCurrentImageSpreadsInWaves keeps a node from it until its wave.
func TestTheCurrentImageSpreadsInWaves(t *testing.T) {
	hash := messages.WaveHash("r3", node)
	record := func(threshold uint64) messages.FleetRecord {
		return messages.FleetRecord{Current: fleetImage("3"), Previous: fleetImage("2"), Spread: &messages.Spread{Rollout: "r3", Threshold: threshold}}
	}
	run(t, func(w *world) { w.set(record(hash - 1)) }, func(w *world) {
		after(time.Minute)
		w.pulled("2") // what a rollback needs is no part of the wave
		w.announce(record(hash))
		w.has("3", "2")
	})
}

// TestANodeDoesNothingWhenOthersAreAdmitted neither looks at its engine nor sends a heartbeat.
func TestANodeDoesNothingWhenOthersAreAdmitted(t *testing.T) {
	run(t, func(w *world) { w.set(messages.FleetRecord{Current: fleetImage("3")}) }, func(w *world) {
		beats := w.last().Beat
		for n := range 20 {
			p := preload("4")
			p.Threshold = messages.WaveHash("r4", node) - 100 + uint64(n)
			w.announce(messages.FleetRecord{Current: fleetImage("3"), Preload: p, Turns: &messages.Turns{Nodes: []string{"dea-0", strings.Repeat("x", n+1)}}})
		}
		if got := w.last().Beat; got > beats+1 { // the first names an image that is wanted by now
			t.Errorf("%d heartbeats for 20 records that admit others", got-beats)
		}
		w.announce(messages.FleetRecord{Current: fleetImage("3"), Preload: preload("4"), Turns: &messages.Turns{Nodes: []string{node}}})
		w.has("3", "4")
	})
}

// TestEveryWantedImageIsReportedAlike says of each that is not there why, until it is.
func TestEveryWantedImageIsReportedAlike(t *testing.T) {
	for name, record := range map[string]messages.FleetRecord{
		"current":  {Current: fleetImage("3")},
		"previous": {Current: fleetImage("1"), Previous: fleetImage("3")},
		"kept":     {Current: fleetImage("1"), Previous: fleetImage("2"), Keep: []messages.FleetImage{fleetImage("3")}},
		"preload":  {Current: fleetImage("1"), Preload: preload("3")},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(w *world) { w.engine.Gone[img("3")] = true; w.set(record) }, func(w *world) {
				after(distributor.DefaultInterval)
				p := w.last().Problems
				if len(p) != 1 || p[0].Image != img("3") || !strings.Contains(p[0].Reason, "registry") {
					t.Fatalf("the heartbeat says %+v", p)
				}
				w.engine.Do(func(f *enginetest.Fake) { f.Gone[img("3")] = false })
				after(2 * time.Minute)
				if p := w.last().Problems; len(p) > 0 {
					t.Errorf("once it is there: %+v", p)
				}
				w.engine.Do(func(f *enginetest.Fake) { f.Gone[img("3")] = true })
				w.engine.Lose(img("3"))
				after(distributor.DefaultInterval)
				if p := w.last().Problems; len(p) != 1 {
					t.Errorf("once it is lost: %+v", p)
				}
				w.announce(messages.FleetRecord{Current: fleetImage("1")})
				if p := w.last().Problems; len(p) > 0 {
					t.Errorf("once it is not wanted: %+v", p)
				}
			})
		})
	}
}

// TestAnEngineThatIsBackIsUsedAtOnce waits out no pause of the failures before.
func TestAnEngineThatIsBackIsUsedAtOnce(t *testing.T) {
	run(t, func(w *world) { w.engine.Gone[img("3")] = true }, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("3")})
		after(5 * time.Minute) // so that pauses are at their longest
		w.engine.Do(func(f *enginetest.Fake) { f.Down = true })
		after(distributor.DefaultInterval)
		if w.last().Engine.Error == "" {
			t.Fatal("the engine is not gone")
		}
		w.engine.Do(func(f *enginetest.Fake) { f.Down, f.Gone[img("3")] = false, false })
		after(distributor.DefaultInterval) // the next heartbeat sees it
		synctest.Wait()
		w.has("3")
	})
}
