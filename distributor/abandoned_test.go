package distributor_test

import (
	"slices"
	"testing"
	"time"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
)

// tagOf is the local tag of an image of a fleet.
func tagOf(id, fleet, c string) string {
	return (&messages.FleetRecord{ID: id, Fleet: fleet}).LocalName(img(c))
}

// kept is what of these images, by the digit that their digest repeats, is on the engine.
func (w *world) kept(want ...string) {
	w.t.Helper()
	images, err := w.engine.Images(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for _, i := range images {
		got = append(got, i.ID[len("id-sha256:"):][:1])
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		w.t.Fatalf("the engine has the images %v, want %v", got, want)
	}
}

// notes lists the realms of the notes of a kind.
func (w *world) notes(kind distributor.NoteKind) []string {
	var out []string
	w.engine.Do(func(f *enginetest.Fake) {
		for _, n := range f.Kept {
			if n.Kind == kind {
				out = append(out, n.Realm)
			}
		}
	})
	return out
}

// A record with another ID at the same place is the fleet made anew: of the earlier one nobody is left.
func TestWhatAnEarlierInstallationBroughtGoesSoon(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{ID: "earlier", Current: fleetImage("1"), Previous: fleetImage("2")})
		w.kept("1", "2")
		w.announce(messages.FleetRecord{ID: "later", Current: fleetImage("3")})
		after(3 * time.Minute)
		w.kept("3")
		after(time.Minute)
		if got := w.notes(distributor.NoteHome); len(got) != 1 || got[0] != "fenceline.local/later/"+fleet {
			t.Errorf("at home are %v", got)
		}
	})
}

// A node that was given another fleet takes away what it had for the one before, once it is sure that no
// other distributor works for that one here.
func TestWhatAnEarlierFleetOfTheNodeBroughtGoes(t *testing.T) {
	var earlier []distributor.Note
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("3")})
		w.engine.Do(func(f *enginetest.Fake) {
			earlier = slices.DeleteFunc(slices.Clone(f.Kept), func(n distributor.Note) bool { return n.Kind != distributor.NoteHome })
		})
	})
	if len(earlier) != 1 { // its home
		t.Fatalf("kept %+v", earlier)
	}
	run(t, func(w *world) {
		for _, n := range earlier {
			n.Realm = "fenceline.local/staging"
			w.engine.Kept = append(w.engine.Kept, n)
		}
		w.engine.Put(img("1"), tagOf("", "staging", "1"))
	}, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("2")})
		after(5 * time.Minute)
		w.kept("1", "2")
		after(11 * time.Minute)
		w.kept("2")
	})
}

func TestWhatNobodyWorksForGoesAfterLong(t *testing.T) {
	for name, c := range map[string]struct {
		image distributor.Image
	}{
		"of an installation that is gone": {distributor.Image{Tags: []string{tagOf("gone", "prod", "1")}}},
		"of a fleet without an ID":        {distributor.Image{Tags: []string{tagOf("", "old", "1")}}},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(w *world) { w.engine.Put(img("1"), c.image.Tags...) }, func(w *world) {
				w.announce(messages.FleetRecord{Current: fleetImage("2")})
				after(23 * time.Hour)
				w.kept("1", "2")
				after(2 * time.Hour)
				w.kept("2")
				after(time.Hour)
				if got := w.notes(distributor.NoteAsk); len(got) != 0 {
					t.Errorf("it is still asked for %v", got)
				}
			})
		})
	}
}

func TestWhatSomebodyWorksForStays(t *testing.T) {
	run(t, func(w *world) { w.engine.Put(img("1"), tagOf("other", "prod", "1")) }, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("2")})
		for range 30 {
			after(time.Hour)
			w.engine.Do(func(f *enginetest.Fake) { // the other answers
				f.Kept = slices.DeleteFunc(f.Kept, func(n distributor.Note) bool { return n.Kind == distributor.NoteAsk })
			})
		}
		w.kept("1", "2")
	})
}

// While nobody could answer nobody is taken for gone.
func TestAnEngineThatWasDownLongProvesNothing(t *testing.T) {
	run(t, func(w *world) { w.engine.Put(img("1"), tagOf("other", "prod", "1")) }, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("2")})
		w.engine.Do(func(f *enginetest.Fake) {
			for i := range f.Kept {
				f.Kept[i].At = f.Kept[i].At.Add(-72 * time.Hour) // as of before the machine was off
			}
		})
		after(9 * time.Minute)
		w.kept("1", "2")
	})
}

func TestAnAgentAnswersForItsOwn(t *testing.T) {
	ask := distributor.Note{At: time.Now(), Kind: distributor.NoteAsk, Realm: "fenceline.local/" + fleet}
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("2")})
		if err := w.engine.AddNote(t.Context(), ask); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		if got := w.notes(distributor.NoteAsk); len(got) != 0 {
			t.Errorf("it did not answer: %v", got)
		}
		w.kept("2")
	})
}

// A pull that ended as its image became unwanted, or whose agent was killed before it tagged the image,
// leaves nothing but the note of it.
func TestAnImageThatWasPulledInVainGoes(t *testing.T) {
	pulled := func(c string) distributor.Note {
		return distributor.Note{Kind: distributor.NotePull, Realm: "fenceline.local/" + fleet, Text: string(img(c))}
	}
	run(t, func(w *world) {
		w.engine.Put(img("1"))
		w.engine.Put(img("3"), "app:1") // somebody has named it since
		w.engine.Put(img("4"))          // a container runs it
		w.engine.Put(img("5"))          // somebody else pulled it
		w.engine.Kept = []distributor.Note{pulled("1"), pulled("2"), pulled("3"), pulled("4"), pulled("6")}
		w.engine.Used = []distributor.Container{{Name: "app", ImageID: "id-" + img("4").Digest()}}
	}, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("2")})
		after(10 * time.Minute)
		w.kept("2", "3", "4", "5")
		w.engine.Do(func(f *enginetest.Fake) { f.Used = nil })
		after(10 * time.Minute)
		w.kept("2", "3", "5")
		if got := w.notes(distributor.NotePull); len(got) != 1 {
			t.Errorf("%d notes of pulls are left beside that of the image which is wanted", len(got)-1)
		}
	})
}
