package distributor_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
)

// failed checks that exactly one NodeFailed was published, at this step.
func (w *world) failed(step, reason string) {
	w.t.Helper()
	events := w.events()
	if len(events) != 1 {
		w.t.Fatalf("events %+v, want one", events)
	}
	e, ok := events[0].(*messages.NodeFailed)
	if !ok || e.Step != step || !strings.Contains(e.Reason, reason) || e.Node != node || e.Rollout != "r1" || e.Image != img("1") {
		w.t.Fatalf("event %+v, want NodeFailed at %s for %q", events[0], step, reason)
	}
}

func TestARegistryThatIsDownIsTriedAgain(t *testing.T) {
	run(t, nil, func(w *world) {
		w.engine.Do(func(f *enginetest.Fake) { f.Gone[img("1")] = true })
		w.announce(messages.FleetRecord{Preload: preload("1")})
		w.works(messages.WorkFailed, "registry")
		after(10 * time.Minute)
		w.failed("pull", "registry")
		w.engine.Do(func(f *enginetest.Fake) {
			if n := len(f.Pulled); n < 8 || n > 20 {
				t.Errorf("pulled %d times in 10 minutes", n)
			}
			f.Gone = nil
		})
		after(2 * time.Minute)
		w.has("1")
		w.works(messages.WorkDone, "")
	})
}

func TestOneImageThatCantBeHadHoldsUpNoOther(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("a"), Preload: preload("1")})
		w.has("1")
		w.works(messages.WorkDone, "")
	})
}

// Ports and byte counts differ from one try to the next; the failure is the same.
func TestAFailureIsToldOnceThoughItsNumbersChange(t *testing.T) {
	run(t, func(w *world) { w.engine.Free = 5 }, func(w *world) {
		w.announce(messages.FleetRecord{Preload: preload("1")})
		for range 10 {
			w.engine.Do(func(f *enginetest.Fake) { f.Free++ })
			after(time.Minute)
		}
		if got := w.works(messages.WorkFailed, "bytes are free"); strings.Contains(got.Reason, ": 5 bytes") {
			t.Errorf("the reason %q is that of the first try", got.Reason)
		}
		w.failed("disk", "5 bytes are free")
	})
}

func TestAnErrorOfAnyLengthFitsAHeartbeat(t *testing.T) {
	run(t, func(w *world) {
		w.engine.Broken = map[messages.Image]error{img("1"): errors.New("begin " + strings.Repeat("<br>", 1<<20) + " end")}
	}, func(w *world) {
		w.announce(messages.FleetRecord{Preload: preload("1")})
		if got := w.works(messages.WorkFailed, "begin"); len(got.Reason) > 4<<10 || !strings.Contains(got.Reason, " end") {
			t.Errorf("a reason of %d bytes: %.3000s", len(got.Reason), got.Reason)
		}
	})
}

// An engine lists an image whose files were deleted, and takes its layers for present.
func TestWhatTheEngineListsAndCantReadIsNotPresent(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("2"), Preload: preload("1")})
		w.has("2", "1")
		w.engine.Do(func(f *enginetest.Fake) {
			f.Broken = map[messages.Image]error{img("1"): errors.New("stat: no such file")}
		})
		after(2 * time.Second)
		w.has("2")
		w.works(messages.WorkFailed, "stat: no such file")
		w.failed("verify", "stat: no such file")
		w.pulled("2", "1")
		after(time.Minute) // it does not pass: the image is removed, and fetched anew
		w.pulled("2", "1", "1")
		w.has("2", "1")
		w.works(messages.WorkDone, "")
	})
}

func TestWhatTheEngineSaysIsDamagedIsFetchedAnewAtOnce(t *testing.T) {
	damaged := fmt.Errorf("blob not found: %w", distributor.ErrDamaged)
	for name, harm := range map[string]func(*enginetest.Fake){
		"seen when it is read":   func(f *enginetest.Fake) { f.Broken = map[messages.Image]error{img("1"): damaged} },
		"seen when it is tagged": func(f *enginetest.Fake) { f.NoTags = damaged },
	} {
		t.Run(name, func(t *testing.T) {
			prepare := func(w *world) {
				w.engine.Put(img("1"))
				harm(w.engine)
			}
			run(t, prepare, func(w *world) {
				w.announce(messages.FleetRecord{Current: fleetImage("1")})
				after(5 * time.Second)
				w.pulled("1")
				w.has("1")
			})
		})
	}
}

func TestADamagedImageThatCantBeRemovedIsReported(t *testing.T) {
	prepare := func(w *world) {
		w.engine.Put(img("1"))
		w.engine.Used = []distributor.Container{{Name: "app", ImageID: "id-" + img("1").Digest()}}
		w.engine.Broken = map[messages.Image]error{img("1"): distributor.ErrDamaged}
	}
	run(t, prepare, func(w *world) {
		w.announce(messages.FleetRecord{Preload: preload("1")})
		got := w.works(messages.WorkFailed, "a container uses it")
		if !strings.Contains(got.Reason, "docker image rm -f "+(&messages.FleetRecord{Fleet: fleet}).LocalName(img("1"))) {
			t.Errorf("the reason %q does not say how to mend it", got.Reason)
		}
		w.pulled()
	})
}

// Without its local tag a prune would take it.
func TestAnImageWithoutItsLocalTagIsNotPresent(t *testing.T) {
	run(t, func(w *world) { w.engine.NoTags = errors.New("no more tags") }, func(w *world) {
		w.announce(messages.FleetRecord{Preload: preload("1")})
		w.has()
		w.works(messages.WorkFailed, "no more tags")
		w.failed("verify", "no more tags")
		w.engine.Do(func(f *enginetest.Fake) { f.NoTags = nil })
		after(time.Minute)
		w.has("1")
		w.pulled("1")
	})
}

// What a killed agent left goes at the start; what a trial left goes after it. Nothing of
// another node's or installation's does.
func TestLeftContainersAreRemoved(t *testing.T) {
	const own = "abcdefgh." + fleet + "." + node
	others := map[string]int{fleet + "." + node: 1, "ijklmnop." + fleet + "." + node: 1, "abcdefgh." + fleet + ".dea-2": 1}
	left := func(w *world, n int) {
		w.engine.Do(func(f *enginetest.Fake) {
			f.Left = maps.Clone(others)
			f.Left[own] = n
		})
	}
	gone := func(w *world) {
		w.t.Helper()
		w.engine.Do(func(f *enginetest.Fake) {
			if !maps.Equal(f.Left, others) {
				w.t.Fatalf("%v are left, want %v", f.Left, others)
			}
		})
	}
	run(t, func(w *world) { left(w, 2) }, func(w *world) {
		w.announce(messages.FleetRecord{ID: "abcdefgh", Current: fleetImage("3")})
		gone(w)
		w.announce(messages.FleetRecord{ID: "abcdefgh", Preload: canary("1", "pre-running")})
		w.works(messages.WorkFailed, "pre-running")
		left(w, 1)
		w.announce(messages.FleetRecord{ID: "abcdefgh", Preload: canary("2")})
		gone(w)
		w.engine.Do(func(f *enginetest.Fake) {
			if got := f.Trials[0].Owner; got != own {
				t.Errorf("the trial's owner is %s", got)
			}
		})
	})
}

func TestAStalledPullIsBegunAgain(t *testing.T) {
	var hold chan struct{}
	prepare := func(w *world) {
		hold = make(chan struct{})
		w.engine.Hold = hold
	}
	run(t, prepare, func(w *world) {
		w.announce(messages.FleetRecord{Preload: preload("1")})
		after(time.Minute)
		w.works(messages.WorkPulling, "")
		after(61 * time.Second)
		w.failed("pull", "nothing moved")
		close(hold)
		after(time.Minute)
		w.has("1")
	})
}

func TestAnImageThatIsLostIsFetchedAgain(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		hold := make(chan struct{})
		w.engine.Do(func(f *enginetest.Fake) { f.Hold = hold })
		w.engine.Lose(img("1"))
		synctest.Wait()
		w.has()
		close(hold)
		synctest.Wait()
		w.has("1")
	})
}

func TestHeartbeatsListRunningContainers(t *testing.T) {
	run(t, func(w *world) {
		w.engine.Used = []distributor.Container{
			{Name: "b", Image: "two", Running: true}, {Name: "a", Image: "one", Running: true}, {Name: "c", Image: "three"},
		}
	}, func(w *world) {
		want := []messages.ContainerUse{{Container: "a", Image: "one"}, {Container: "b", Image: "two"}}
		if got := w.last().Containers; !slices.Equal(got, want) {
			t.Errorf("containers %+v, want %+v", got, want)
		}
	})
}

// An image that the engine can't take in is not fetched over and over: a canary has its verdict at once.
func TestAnImageThatTheEngineCantTake(t *testing.T) {
	for name, c := range map[string]struct {
		preload *messages.Preload
		verdict bool
	}{"on a canary": {canary("1"), true}, "on another node": {preload("1"), false}} {
		t.Run(name, func(t *testing.T) {
			run(t, func(w *world) { w.engine.Unfit = map[messages.Image]bool{img("1"): true} }, func(w *world) {
				w.announce(messages.FleetRecord{Preload: c.preload})
				after(30 * time.Minute)
				w.pulled("1")
				got := w.works(messages.WorkFailed, "max depth exceeded")
				if !got.Unusable || (got.Trial != nil) != c.verdict || c.verdict && got.Trial.Passed {
					t.Errorf("it says %+v", got)
				}
				w.engine.Do(func(f *enginetest.Fake) { f.Down = true })
				after(time.Minute)
				w.engine.Do(func(f *enginetest.Fake) { f.Down, f.Unfit = false, nil }) // the engine was updated
				after(2 * time.Minute)
				w.has("1")
			})
		})
	}
}

// An engine that can read no image is to blame itself: nothing is removed, and all is as before once it can.
func TestAnEngineThatCanReadNothingLosesNothing(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.has("1")
		broken := errors.New("Error response from daemon: metadata is locked")
		w.engine.Do(func(f *enginetest.Fake) {
			f.Broken, f.Unsound = map[messages.Image]error{img("1"): broken}, broken
		})
		after(20 * time.Minute)
		w.has()
		if got := w.last().Problems; len(got) != 1 || !strings.Contains(got[0].Reason, "nor any other image") {
			t.Errorf("problems %+v", got)
		}
		w.engine.Do(func(f *enginetest.Fake) {
			if len(f.Removed) > 0 {
				t.Errorf("removed %q", f.Removed)
			}
			f.Broken, f.Unsound = nil, nil
		})
		after(2 * time.Minute)
		w.pulled("1")
		w.has("1")
	})
}
