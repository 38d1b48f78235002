package distributor_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
)

// names lists the names that an image has on the engine.
func (w *world) names(c string) []string {
	w.t.Helper()
	images, err := w.engine.Images(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, i := range images {
		if i.Has(img(c)) || strings.HasSuffix(i.ID, img(c).Digest()) {
			return append(i.Digests, i.Tags...)
		}
	}
	return nil
}

func (w *world) named(c string, want ...string) {
	w.t.Helper()
	if got := w.names(c); !slices.Equal(got, want) {
		w.t.Fatalf("image %s has the names %q, want %q", c, got, want)
	}
}

// idle lets the agent come to rest, and time pass until it looks again by itself.
func (w *world) idle() { after(10 * time.Minute) }

// What was on the engine before it was wanted stays there, whoever wants it no more.
func TestAnImageThatWasThereBeforeStays(t *testing.T) {
	run(t, func(w *world) { w.engine.Put(img("1")) }, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.idle()
		w.pulled()
		w.has("1")
		w.announce(messages.FleetRecord{Current: fleetImage("2")})
		w.idle()
		w.named("1", string(img("1")))
		if got := w.notes(distributor.NoteFound); len(got) != 0 {
			t.Errorf("notes of it are left: %v", got)
		}
	})
}

// What was brought goes by the name that it was brought by, and somebody's own name keeps the image.
func TestWhatWasBroughtGoesBesideSomebodysName(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		if err := w.engine.Tag(t.Context(), img("1"), "app:1"); err != nil {
			t.Fatal(err)
		}
		w.announce(messages.FleetRecord{Current: fleetImage("2")})
		w.idle()
		w.named("1", "app:1")
	})
}

// A person who takes the local tag away doesn't leave the image behind for ever.
func TestAnImageWithoutItsTagIsStillKnown(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.setGone(true)
		w.engine.Do(func(f *enginetest.Fake) { f.NoTags = errors.New("not now") })
		if err := w.engine.Remove(t.Context(), tagOf("", fleet, "1")); err != nil {
			t.Fatal(err)
		}
		w.setGone(false)
		w.announce(messages.FleetRecord{Current: fleetImage("2")})
		w.engine.Do(func(f *enginetest.Fake) { f.NoTags = nil })
		w.idle()
		w.kept("2")
	})
}

// A node that changes its fleet takes over what it brought for the one before, and takes it away in the end.
func TestANodeOfAnotherFleetTakesOver(t *testing.T) {
	var earlier []distributor.Note
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.engine.Do(func(f *enginetest.Fake) { earlier = slices.Clone(f.Kept) })
	})
	run(t, func(w *world) {
		for _, n := range earlier {
			n.Realm = "fenceline.local/staging"
			w.engine.Kept = append(w.engine.Kept, n)
		}
		w.engine.Put(img("1"), tagOf("", "staging", "1"))
	}, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.pulled()
		w.has("1")
		after(30 * time.Minute)
		w.named("1", string(img("1")), tagOf("", fleet, "1"))
		got := w.last().Ledger
		if len(got) != 1 || got[0].Found || got[0].Fleet != fleet || got[0].Why != "taken over from fleet staging" {
			t.Errorf("the ledger is %+v", got)
		}
		w.announce(messages.FleetRecord{Current: fleetImage("2")})
		w.idle()
		w.kept("2")
	})
}

// Two fleets on one engine that want one image don't take it from each other.
func TestAnImageOfTwoFleetsStaysWithTheOther(t *testing.T) {
	other := distributor.Note{Kind: distributor.NotePull, Realm: "fenceline.local/staging", Text: string(img("1")), At: time.Now()}
	run(t, func(w *world) {
		w.engine.Put(img("1"), tagOf("", "staging", "1"))
		w.engine.Kept = []distributor.Note{other}
	}, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.announce(messages.FleetRecord{Current: fleetImage("2")})
		after(15 * time.Minute)
		w.named("1", string(img("1")), tagOf("", "staging", "1"))
	})
}

// Tags as earlier versions made them are renamed; nothing is fetched again, nothing is lost.
func TestTagsOfAnEarlierVersionAreRenamed(t *testing.T) {
	older := func(c string) string { return "fenceline.local/" + fleet + ":" + strings.Repeat(c, 16) }
	run(t, func(w *world) {
		for _, c := range []string{"1", "2", "3"} {
			w.engine.Put(img(c), older(c))
		}
	}, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1"), Previous: fleetImage("2")})
		w.idle()
		w.pulled()
		w.has("1", "2")
		w.kept("1", "2")
		w.named("1", string(img("1")), tagOf("", fleet, "1"))
		w.announce(messages.FleetRecord{Current: fleetImage("4")})
		w.idle()
		w.kept("4")
	})
}

// The ledger outlives a prune of volumes while its agent runs, and says anew when an image was fetched
// that a person's prune of images took.
func TestTheLedgerOutlivesPrunes(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1"), Previous: fleetImage("2")})
		first := w.last()
		w.idle()
		w.engine.Do(func(f *enginetest.Fake) { f.Kept = nil })
		w.idle()
		if got := w.notes(distributor.NotePull); len(got) != 2 {
			t.Fatalf("%d notes are there after a prune of volumes, want 2", len(got))
		}
		w.engine.Lose(img("1"))
		w.engine.Lose(img("2"))
		w.idle()
		w.has("1", "2")
		for _, e := range w.last().Ledger {
			if !e.At.After(first.At) || e.Found || e.Tag == "" || !strings.HasPrefix(e.Why, "rollout r") {
				t.Errorf("the ledger says %+v", e)
			}
		}
		if got := w.last().Ledger; len(got) != 2 {
			t.Errorf("the ledger has %d entries, want 2", len(got))
		}
	})
}

// An engine that keeps no notes keeps nobody from having images, nor from removing those that are tagged.
func TestAnEngineThatKeepsNoNotes(t *testing.T) {
	run(t, func(w *world) { w.engine.NoNotes = errors.New("a volume plugin hangs") }, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.idle()
		w.has("1")
		w.announce(messages.FleetRecord{Current: fleetImage("2")})
		w.idle()
		w.has("2")
		w.kept("2")
	})
}

func TestTheLedgerInAHeartbeatIsBounded(t *testing.T) {
	run(t, func(w *world) {
		for n := range 30 {
			image := messages.Image(string(img("9")[:len(img("9"))-2]) + string(rune('a'+n/10)) + string(rune('0'+n%10)))
			w.engine.Put(image, (&messages.FleetRecord{Fleet: "other"}).LocalName(image))
		}
	}, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.idle()
		got := w.last()
		if len(got.Ledger) != 20 || got.LedgerMore != 11 || got.Ledger[0].Image != img("1") {
			t.Fatalf("%d entries and %d more, the first is %+v", len(got.Ledger), got.LedgerMore, got.Ledger[0])
		}
		if e := got.Ledger[1]; e.Fleet != "other" || e.Tag == "" || e.Image == "" || !e.At.IsZero() {
			t.Errorf("of a tag without a note it says %+v", e)
		}
	})
}
