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

func TestAFullDiskIsNotPulledOnto(t *testing.T) {
	run(t, func(w *world) { w.engine.Free = 5 }, func(w *world) {
		w.announce(messages.FleetRecord{Preload: preload("1")})
		w.pulled()
		got := w.works(messages.WorkFailed, "5 bytes are free")
		if !strings.Contains(got.Reason, "1073741824 must stay free") {
			t.Errorf("the reason %q does not say how much is needed", got.Reason)
		}
		w.failed("disk", "5 bytes are free")
		w.engine.Do(func(f *enginetest.Fake) { f.Free = -1 }) // not known: the engine will say
		after(time.Minute)
		w.has("1")
	})
}

// A pull that ran out of space is tried again when there is more of it, not over and over.
func TestAPullThatRunsOutOfSpaceWaitsForMore(t *testing.T) {
	prepare := func(w *world) {
		w.engine.Free = 2 << 30
		w.engine.Registry[img("1")] = enginetest.FakeImage{Layers: map[string]int64{"huge": 3 << 30}}
	}
	run(t, prepare, func(w *world) {
		w.announce(messages.FleetRecord{Preload: preload("1")})
		w.works(messages.WorkFailed, "no space left")
		after(10 * time.Minute)
		w.pulled("1")
		w.has()
		w.works(messages.WorkFailed, "ran out with 2147483648: remove")
		after(10 * time.Minute) // room may have been made that is not to be seen
		w.pulled("1", "1")
		w.engine.Do(func(f *enginetest.Fake) { f.Free = 4 << 30 })
		after(2 * time.Minute)
		w.has("1")
		w.works(messages.WorkDone, "")
	})
}

// An engine may keep what it fetched of a pull that failed: then less than was free before is enough.
func TestRoomThatWasMadeIsNoticedSoon(t *testing.T) {
	prepare := func(w *world) {
		w.engine.Free = 3 << 30
		w.engine.Registry[img("1")] = enginetest.FakeImage{Layers: map[string]int64{"huge": 4 << 30}}
	}
	run(t, prepare, func(w *world) {
		w.announce(messages.FleetRecord{Preload: preload("1")})
		w.works(messages.WorkFailed, "no space left")
		w.engine.Do(func(f *enginetest.Fake) { f.Free = 1100 << 20 }) // what was fetched stays
		after(3 * time.Minute)
		w.pulled("1")
		w.engine.Do(func(f *enginetest.Fake) {
			f.Free = 2 << 30 // somebody made room
			f.Registry[img("1")] = enginetest.FakeImage{Layers: map[string]int64{"rest": 1 << 30}}
		})
		after(80 * time.Second)
		w.has("1")
	})
}

func TestAPullLeavesTheSpaceThatMustStayFree(t *testing.T) {
	var hold chan struct{}
	prepare := func(w *world) {
		hold = make(chan struct{})
		w.engine.Hold = hold
	}
	run(t, prepare, func(w *world) {
		w.announce(messages.FleetRecord{Preload: preload("1")})
		w.engine.Do(func(f *enginetest.Fake) { f.Free = 1<<30 - 1 })
		after(3 * time.Second)
		hold <- struct{}{}
		synctest.Wait()
		got := w.works(messages.WorkFailed, "1073741824 must stay free")
		if !strings.Contains(got.Reason, "given up") {
			t.Errorf("the reason %q does not say that the pull was given up", got.Reason)
		}
		w.failed("disk", "given up")
		close(hold)
		w.engine.Do(func(f *enginetest.Fake) { f.Free = 1 << 40 })
		after(time.Minute)
		w.has("1")
	})
}

func TestCleanupTakesOnlyWhatTheAgentTagged(t *testing.T) {
	tag := func(c string) string { return (&messages.FleetRecord{Fleet: fleet}).LocalName(img(c)) }
	run(t, func(w *world) {
		w.engine.Put(img("1"), tag("1"))                                                                  // an old one of ours
		w.engine.Put(img("2"), "app:1")                                                                   // somebody's
		w.engine.Put(img("3"), tag("3"))                                                                  // a container runs it
		w.engine.Put(img("4"), tag("4"), "app:2")                                                         // ours and somebody's
		w.engine.Put(img("5"), (&messages.FleetRecord{Fleet: "staging"}).LocalName(img("5")))             // another fleet's
		w.engine.Put(img("6"), (&messages.FleetRecord{Fleet: "prod-eu"}).LocalName(img("6")))             // of a fleet whose name begins alike
		w.engine.Put(img("8"), (&messages.FleetRecord{Fleet: fleet, ID: "abcdefgh"}).LocalName(img("8"))) // of another installation's fleet of the same name
		w.engine.Used = []distributor.Container{{Name: "app", ImageID: "id-" + img("3").Digest()}}
	}, func(w *world) {
		w.setGone(true)
		after(10 * time.Minute)
		removed := func() (names []string) {
			w.engine.Do(func(f *enginetest.Fake) { names = slices.Clone(f.Removed) })
			return names
		}
		if got := removed(); len(got) != 0 {
			t.Fatalf("removed %q without a record", got)
		}
		w.announce(messages.FleetRecord{Current: fleetImage("7")}) // heard, but it can't be read
		if got := removed(); len(got) != 0 {
			t.Fatalf("removed %q while the record can't be read", got)
		}
		w.setGone(false)
		after(10 * time.Minute)
		want := []string{string(img("1")), tag("1"), tag("4")}
		if got := removed(); !slices.Equal(got, want) {
			t.Fatalf("removed %q, want %q", got, want)
		}
		w.engine.Do(func(f *enginetest.Fake) { f.Used = nil })
		after(10 * time.Minute)
		if got := removed(); !slices.Equal(got, append(want, string(img("3")), tag("3"))) {
			t.Fatalf("removed %q after the container ended", got)
		}
	})
}

// Two builds of the same content differ in their digest and have one image ID.
func TestCleanupLeavesNoDigestOfAnImageThatWasBuiltTwice(t *testing.T) {
	tag := func(c string) string { return (&messages.FleetRecord{Fleet: fleet}).LocalName(img(c)) }
	run(t, func(w *world) {
		w.engine.PutImage(distributor.Image{ID: "one", Digests: []string{string(img("1")), string(img("2"))}, Tags: []string{tag("1"), tag("2")}})
	}, func(w *world) {
		removed := func() (names []string) {
			w.engine.Do(func(f *enginetest.Fake) { names = slices.Clone(f.Removed) })
			return names
		}
		w.announce(messages.FleetRecord{Current: fleetImage("2")})
		if got, want := removed(), []string{string(img("1")), tag("1")}; !slices.Equal(got, want) {
			t.Fatalf("removed %q, want %q", got, want)
		}
		w.has("2")
		w.announce(messages.FleetRecord{Current: fleetImage("3")})
		if got, want := removed(), []string{string(img("1")), tag("1"), string(img("2")), tag("2")}; !slices.Equal(got, want) {
			t.Fatalf("removed %q, want %q", got, want)
		}
	})
}

// A pull that its manifest says is too large is not begun, and says what it needs; what the fleet no longer
// wants makes room first.
func TestAPullThatDoesNotFitIsNotBegun(t *testing.T) {
	run(t, func(w *world) {
		w.engine.Tells, w.engine.Free = true, 3<<30
		w.engine.Registry[img("1")] = enginetest.FakeImage{Layers: map[string]int64{"huge": 3 << 30}, Shell: true}
	}, func(w *world) {
		w.announce(messages.FleetRecord{Preload: preload("1")})
		got := w.works(messages.WorkFailed, "the pull needs 3.2 GB (3.2 GB to fetch")
		if !strings.Contains(got.Reason, "3.2 GB are free") || !strings.Contains(got.Reason, "1.1 GB must stay free: remove") || got.Unusable {
			t.Errorf("the work is %+v", got)
		}
		w.failed("disk", "the pull needs")
		after(10 * time.Minute)
		w.pulled()
		w.engine.Do(func(f *enginetest.Fake) { f.Free = 5 << 30 })
		after(2 * time.Minute)
		w.pulled("1")
		w.works(messages.WorkDone, "")
	})
}

func TestRoomIsMadeOfWhatIsNotWanted(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1"), Previous: fleetImage("2"), Keep: []messages.FleetImage{fleetImage("3")}})
		w.engine.Do(func(f *enginetest.Fake) {
			f.Tells, f.Free = true, 2<<30
			f.Registry[img("4")] = enginetest.FakeImage{Layers: map[string]int64{"huge": 3 << 30}, Shell: true}
			f.Freed = func(distributor.Image) int64 { return 2 << 30 }
		})
		w.announce(messages.FleetRecord{Current: fleetImage("1"), Previous: fleetImage("3"), Preload: preload("4")})
		w.pulled("1", "2", "3", "4") // 2 went before it
		w.kept("1", "3", "4")
		w.works(messages.WorkDone, "")
		if got := w.events(); len(got) != 0 {
			t.Errorf("events %+v", got)
		}
	})
}
