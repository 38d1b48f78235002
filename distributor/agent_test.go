package distributor_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
)

func TestNewRefusesWhatCantWork(t *testing.T) {
	good := distributor.Config{Fleet: fleet, Node: node, Queue: &fakeQueue{}, Engine: &enginetest.Fake{}}
	for name, change := range map[string]func(*distributor.Config){
		"fleet":    func(c *distributor.Config) { c.Fleet = "Prod" },
		"node":     func(c *distributor.Config) { c.Node = "" },
		"queue":    func(c *distributor.Config) { c.Queue = nil },
		"engine":   func(c *distributor.Config) { c.Engine = nil },
		"interval": func(c *distributor.Config) { c.Interval = -1 },
		"minimum":  func(c *distributor.Config) { c.MinFreeBytes = -1 },
	} {
		c := good
		change(&c)
		if _, err := distributor.New(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v does not name it", name, err)
		}
	}
	if _, err := distributor.New(good); err != nil {
		t.Error(err)
	}
}

func TestANodeJoinsBeforeItsFleetHasARecord(t *testing.T) {
	run(t, nil, func(w *world) {
		got := w.last()
		if got.Fleet != fleet || got.Node != node || got.Revision != 0 || got.Engine.Name != "fake" ||
			got.Instance == "" || got.Version != "test" || got.Labels["zone"] != "a" || got.FreeBytes != 100<<30 {
			t.Errorf("the first heartbeat is %+v", got)
		}
		if err := w.agent.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		before := got.Beat
		after(distributor.DefaultInterval)
		if got := w.last(); got.Beat != before+1 {
			t.Errorf("beat %d after one interval, was %d", got.Beat, before)
		}
	})
}

func TestALateNodePullsTheCurrentImageFirst(t *testing.T) {
	run(t, func(w *world) {
		w.set(messages.FleetRecord{
			Current: fleetImage("3"), Previous: fleetImage("2"), Keep: []messages.FleetImage{fleetImage("1")}, Preload: preload("4"),
		})
	}, func(w *world) {
		w.pulled("3", "4", "2", "1")
		w.has("3", "2", "1", "4")
		w.works(messages.WorkDone, "")
		if got := w.last().Revision; got != 1 {
			t.Errorf("revision %d", got)
		}
	})
}

func TestAPreloadWaitsForItsWave(t *testing.T) {
	run(t, nil, func(w *world) {
		hash := messages.WaveHash("r1", node)
		p := preload("1")
		p.Threshold = hash - 1
		w.announce(messages.FleetRecord{Preload: p})
		if w.pulled(); w.last().Work != nil {
			t.Fatalf("work %+v before the node's wave", w.last().Work)
		}
		admitted := preload("1")
		admitted.Threshold = hash
		start := time.Now()
		w.announce(messages.FleetRecord{Preload: admitted})
		w.has("1")
		if got := w.works(messages.WorkDone, ""); got.Bytes != 1000 || got.Trial != nil {
			t.Errorf("work %+v", got)
		}
		if took := time.Since(start); took >= time.Second {
			t.Errorf("presence was reported after %s, not at once", took)
		}
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		if w.has("1"); w.last().Work != nil {
			t.Errorf("work %+v is left over", w.last().Work)
		}
	})
}

func TestACanaryTriesTheImageOnce(t *testing.T) {
	run(t, func(w *world) {
		i := w.engine.Registry[img("1")]
		i.Hooks = map[string]enginetest.FakeHook{"pre-running": {Output: "started"}}
		w.engine.Registry[img("1")] = i
	}, func(w *world) {
		w.announce(messages.FleetRecord{Preload: canary("1", "pre-running")})
		got := w.works(messages.WorkDone, "")
		if got.Trial == nil || !got.Trial.Passed || len(got.Trial.Hooks) != 1 || got.Trial.Hooks[0].Output != "started" {
			t.Fatalf("trial %+v", got.Trial)
		}
		for range 3 {
			w.announce(messages.FleetRecord{Preload: canary("1", "pre-running")})
		}
		w.engine.Do(func(f *enginetest.Fake) {
			if len(f.Trials) != 1 || f.Trials[0].Owner != fleet+"."+node || f.Trials[0].HooksDir != messages.DefaultHooksDir {
				t.Errorf("trials %+v, want one", f.Trials)
			}
		})
		events := w.events()
		if e, ok := events[0].(*messages.TrialFinished); len(events) != 1 || !ok || !e.Passed || e.Rollout != "r1" || e.Image != img("1") {
			t.Errorf("events %+v, want one TrialFinished", events)
		}
	})
}

// A commit that changes nothing in the image builds the one that is current.
func TestAPreloadOfTheCurrentImageIsReported(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		again := canary("1")
		again.Rollout = "r2"
		w.announce(messages.FleetRecord{Current: fleetImage("1"), Preload: again})
		got := w.works(messages.WorkDone, "")
		if got.Rollout != "r2" || got.Trial == nil || !got.Trial.Passed {
			t.Errorf("work %+v", got)
		}
		if events := w.events(); len(events) != 1 || events[0].(*messages.TrialFinished).Rollout != "r2" {
			t.Errorf("events %+v, want one of the second rollout", events)
		}
		w.pulled("1")
	})
}

func TestAFailedTrialIsAVerdict(t *testing.T) {
	run(t, func(w *world) {
		i := w.engine.Registry[img("1")]
		i.Hooks = map[string]enginetest.FakeHook{"pre-running": {Exit: 3}}
		w.engine.Registry[img("1")] = i
	}, func(w *world) {
		w.announce(messages.FleetRecord{Preload: canary("1", "pre-running")})
		after(5 * time.Minute)
		w.has("1")
		if got := w.works(messages.WorkFailed, "status 3"); got.Trial == nil || got.Trial.Passed {
			t.Errorf("trial %+v", got.Trial)
		}
		if events := w.events(); len(events) != 1 {
			t.Errorf("events %+v, want one", events)
		}
	})
}

func TestATrialTheRecordNoLongerWantsIsGivenUp(t *testing.T) {
	run(t, func(w *world) {
		i := w.engine.Registry[img("1")]
		i.Hooks = map[string]enginetest.FakeHook{"pre-running": {Hang: true}}
		w.engine.Registry[img("1")] = i
	}, func(w *world) {
		w.announce(messages.FleetRecord{Preload: canary("1", "pre-running")})
		w.works(messages.WorkTrial, "")
		w.announce(messages.FleetRecord{Preload: canary("2")})
		w.works(messages.WorkDone, "")
		w.has("2")
	})
}

func TestWhatANodeTellsOfAPreloadCarriesItsTrace(t *testing.T) {
	run(t, func(w *world) { w.engine.Gone[img("1")] = true }, func(w *world) {
		p := canary("1")
		p.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		w.announce(messages.FleetRecord{Preload: p})
		w.works(messages.WorkFailed, "registry")
		w.engine.Do(func(f *enginetest.Fake) { f.Gone = nil })
		after(time.Minute)
		w.works(messages.WorkDone, "")
		w.queue.mu.Lock()
		defer w.queue.mu.Unlock()
		if got := w.queue.traces; !slices.Equal(got, []string{p.Traceparent, p.Traceparent}) {
			t.Errorf("a failure and a trial were told with %q", got)
		}
	})
}

func TestADisabledTrialIsNotRun(t *testing.T) {
	run(t, nil, func(w *world) {
		p := canary("1")
		p.Trial.Disabled = true
		w.announce(messages.FleetRecord{Preload: p})
		if got := w.works(messages.WorkDone, ""); got.Trial != nil {
			t.Errorf("trial %+v", got.Trial)
		}
	})
}

func TestANewerPreloadCancelsAnOlderPull(t *testing.T) {
	var hold chan struct{}
	prepare := func(w *world) {
		hold = make(chan struct{})
		w.engine.Hold = hold
	}
	run(t, prepare, func(w *world) {
		w.announce(messages.FleetRecord{Preload: preload("1")})
		w.works(messages.WorkPulling, "")
		w.announce(messages.FleetRecord{Preload: preload("2")})
		w.pulled("1", "2")
		w.engine.Do(func(f *enginetest.Fake) { f.Hold = nil })
		close(hold)
		synctest.Wait()
		w.has("2")
		if events := w.events(); len(events) != 0 {
			t.Errorf("events %+v for what nobody wants", events)
		}
	})
}

func TestBasesAreFetchedWithoutFuss(t *testing.T) {
	run(t, nil, func(w *world) {
		bases := messages.BasePreload{Build: "b1", Images: []messages.Image{img("1"), img("a")}}
		admitted := bases
		admitted.Threshold = all
		w.announce(messages.FleetRecord{Bases: &bases})
		w.pulled()
		w.announce(messages.FleetRecord{Bases: &admitted})
		w.has("1")
		if events := w.events(); len(events) != 0 || w.last().Work != nil {
			t.Errorf("events %+v, work %+v about a base that can't be had", events, w.last().Work)
		}
	})
}

func TestMissedAnnouncementsAreMadeUpFor(t *testing.T) {
	run(t, nil, func(w *world) {
		w.set(messages.FleetRecord{Current: fleetImage("1")})
		after(time.Minute)
		w.has("1")
	})
}

func TestARecordThatStartsOverIsBelievedTheSecondTime(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.announce(messages.FleetRecord{Current: fleetImage("2")})
		w.queue.mu.Lock()
		w.queue.record = nil
		w.queue.mu.Unlock()
		w.announce(messages.FleetRecord{Current: fleetImage("3")}) // revision 1 again
		w.has("2")
		after(2 * time.Minute)
		w.has("3")
	})
}
