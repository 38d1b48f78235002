package enginetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// HooksDir is where the suite's images have their hooks.
const HooksDir = messages.DefaultHooksDir

// Fixture is an engine that has none of these images yet, in a world where it can pull them.
type Fixture struct {
	Engine distributor.Engine
	Fleet  string // whose local tags nobody else uses
	// Good passes its hooks pre-staging and pre-running, each printing its name and
	// FENCELINE_TRIAL's value as "NAME 1".
	Good messages.Image
	// Next is Good with one small layer more.
	Next messages.Image
	// Failing has a pre-running that prints 30 lines "line 1" to "line 30" and ends with 3.
	Failing messages.Image
	// Hanging has a pre-running that prints "waiting" and never ends.
	Hanging messages.Image
	// Bare has a pre-running without a shebang, which prints "bare".
	Bare messages.Image
	// Plain has a shell and no hooks.
	Plain messages.Image
	// NoShell has neither.
	NoShell messages.Image
	// Missing is in no registry, though its registry answers.
	Missing messages.Image
	// Unreachable is in a registry that is gone.
	Unreachable messages.Image
	// Content opens what an image is made of.
	Content func(image messages.Image) distributor.Content
}

// Run runs the suite. make is called for each test, and cleans up after it.
func Run(t *testing.T, makeFixture func(t *testing.T) Fixture) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Fixture)
	}{
		{"a pulled image is there by its digest", testPull},
		{"layers that are there are not fetched again", testSharedLayers},
		{"a loaded image is there by its digest", testLoad},
		{"a load fetches the layers that are not there", testLoadSharedLayers},
		{"a load that can't be had leaves nothing", testLoadErrors},
		{"a load that ends in the middle of a layer leaves nothing", testLoadCutOff},
		{"a loaded image is kept, tried and removed as a pulled one", testLoadKeeps},
		{"a missing image and a dead registry are told apart", testPullErrors},
		{"a pull ends with its context", testPullCancelled},
		{"what a pull takes is known before it", testRoom},
		{"an engine that is well is sound", testSound},
		{"a local tag keeps an image until it is removed", testTags},
		{"a removal is noticed by who watches", testWatch},
		{"a note stays until it is removed", testNotes},
		{"a trial runs the hooks in order", testTrialPasses},
		{"a failing hook ends the trial", testTrialFails},
		{"a hook that hangs ends with the time limit", testTrialHangs},
		{"a hook without a shebang runs", testTrialBare},
		{"an image without hooks must start a shell", testTrialPlain},
		{"a hook that is not there is a verdict", testTrialMissingHook},
		{"a trial given up is no verdict", testTrialCancelled},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, makeFixture(t)) })
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// room looks at what a pull takes, again where that took too long: on a machine with much to do it may.
func room(t *testing.T, f Fixture, image messages.Image) distributor.Room {
	t.Helper()
	for ctx := within(t); ; {
		r, err := f.Engine.Room(ctx, image, nil)
		if err != nil {
			t.Fatalf("looking at what a pull of %s takes: %v", image, err)
		}
		if !errors.Is(r.Unknown, context.DeadlineExceeded) {
			return r
		}
	}
}

// pull pulls an image as agents do, after a look at what that takes.
func pull(t *testing.T, f Fixture, image messages.Image) int64 {
	t.Helper()
	room(t, f, image)
	n, err := f.Engine.Pull(within(t), image, func(distributor.Progress) {})
	if err != nil {
		t.Fatalf("pulling %s: %v", image, err)
	}
	return n
}

func find(t *testing.T, f Fixture, image messages.Image) *distributor.Image {
	t.Helper()
	all, err := f.Engine.Images(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Has(image) {
			return &i
		}
	}
	return nil
}

func testPull(t *testing.T, f Fixture) {
	if i := find(t, f, f.Good); i != nil {
		t.Fatalf("the engine has %v before the pull", i)
	}
	if _, err := f.Engine.Inspect(within(t), f.Good); !errors.Is(err, distributor.ErrNotFound) {
		t.Fatalf("inspecting before the pull: %v, want ErrNotFound", err)
	}
	room(t, f, f.Good)
	var last, total int64
	n, err := f.Engine.Pull(within(t), f.Good, func(p distributor.Progress) { last = p.Bytes; total = p.Total })
	if err != nil || n <= 0 || last != n || total < last {
		t.Fatalf("pulled %d bytes with the last progress at %d of %d, error %v", n, last, total, err)
	}
	got, err := f.Engine.Inspect(within(t), f.Good)
	listed := find(t, f, f.Good)
	if err != nil || !got.Has(f.Good) || listed == nil || listed.ID != got.ID || got.ID == "" {
		t.Fatalf("inspected %v (error %v), listed %v", got, err, listed)
	}
	if n := pull(t, f, f.Good); n != 0 {
		t.Fatalf("the second pull fetched %d bytes", n)
	}
}

func testSharedLayers(t *testing.T, f Fixture) {
	first := pull(t, f, f.Good)
	if second := pull(t, f, f.Next); second <= 0 || second >= first {
		t.Fatalf("fetched %d bytes for one small layer more, after %d for the image", second, first)
	}
}

func testPullErrors(t *testing.T, f Fixture) {
	for image, want := range map[messages.Image]error{
		f.Missing: distributor.ErrNotFound, f.Unreachable: distributor.ErrRegistry,
	} {
		_, err := f.Engine.Pull(within(t), image, func(distributor.Progress) {})
		if !errors.Is(err, want) {
			t.Errorf("pulling %s: %v, want %v", image, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), string(image)) {
			t.Errorf("the error does not name the image: %v", err)
		}
	}
}

func testPullCancelled(t *testing.T, f Fixture) {
	given := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(within(t))
	cancel(given)
	if _, err := f.Engine.Pull(ctx, f.Good, func(distributor.Progress) {}); !errors.Is(err, given) {
		t.Fatalf("error %v, want the context's cause", err)
	}
}

func testRoom(t *testing.T, f Fixture) {
	look := func(image messages.Image) distributor.Room { t.Helper(); return room(t, f, image) }
	all := look(f.Good)
	if all.Unknown != nil || all.Fetch <= 0 || all.Needs < all.Fetch || all.Needs != all.Fetch+all.Unpacked {
		t.Fatalf("of an image that is not there a pull takes %+v", all)
	}
	pull(t, f, f.Good)
	if got := look(f.Good); got.Unknown != nil || got.Needs != 0 {
		t.Errorf("of an image that is there a pull takes %+v", got)
	}
	if got := look(f.Next); got.Unknown != nil || got.Fetch <= 0 || got.Needs >= all.Needs {
		t.Errorf("of one with a small layer more a pull takes %+v, and of all %+v", got, all)
	}
	for _, image := range []messages.Image{f.Missing, f.Unreachable} {
		if got := look(image); got.Unknown == nil || got.Needs >= 0 {
			t.Errorf("of %s a pull takes %+v", image, got)
		}
	}
}

func testSound(t *testing.T, f Fixture) {
	if err := f.Engine.Sound(within(t)); err != nil {
		t.Error(err)
	}
}

func testTags(t *testing.T, f Fixture) {
	pull(t, f, f.Good)
	local := (&messages.FleetRecord{Fleet: f.Fleet}).LocalName(f.Good)
	if err := f.Engine.Tag(within(t), f.Good, local); err != nil {
		t.Fatal(err)
	}
	if i := find(t, f, f.Good); i == nil || !slices.Contains(i.Tags, local) {
		t.Fatalf("%v does not have the tag %s", i, local)
	}
	for _, name := range []string{string(f.Good), local, local} {
		if err := f.Engine.Remove(within(t), name); err != nil {
			t.Fatalf("removing %s: %v", name, err)
		}
	}
	if i := find(t, f, f.Good); i != nil {
		t.Fatalf("%v is left", i)
	}
	if err := f.Engine.Tag(within(t), f.Good, local); !errors.Is(err, distributor.ErrNotFound) {
		t.Fatalf("tagging what is not there: %v, want ErrNotFound", err)
	}
}

func testWatch(t *testing.T, f Fixture) {
	pull(t, f, f.Plain)
	ctx, cancel := context.WithCancel(within(t))
	changes, ended := make(chan struct{}, 100), make(chan error, 1)
	go func() { ended <- f.Engine.Watch(ctx, func() { changes <- struct{}{} }) }()
	<-changes
	if err := f.Engine.Remove(within(t), string(f.Plain)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changes:
	case <-within(t).Done():
		t.Fatal("nothing was noticed")
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("watching ended with %v", err)
	}
}

func testNotes(t *testing.T, f Fixture) {
	written := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	note := distributor.Note{Kind: distributor.NotePull, Realm: "fenceline.local/" + f.Fleet, Text: string(f.Good), At: written}
	have := func() []distributor.Note {
		t.Helper()
		all, err := f.Engine.Notes(within(t))
		if err != nil {
			t.Fatal(err)
		}
		// Agents of other tests may ask for the realm, if the engine is theirs too: such a note has no text.
		return slices.DeleteFunc(all, func(n distributor.Note) bool { return n.Realm != note.Realm || n.Text != note.Text })
	}
	other := note
	other.Kind = distributor.NoteAsk
	again := note
	again.At = written.Add(time.Hour)
	for _, n := range []distributor.Note{note, other, again} {
		if err := f.Engine.AddNote(within(t), n); err != nil {
			t.Fatal(err)
		}
	}
	got := have()
	if len(got) != 2 || !slices.ContainsFunc(got, func(n distributor.Note) bool {
		return n.Kind == note.Kind && n.Text == note.Text && n.At.Equal(written)
	}) {
		t.Fatalf("got %+v, want two notes, as they were written first", got)
	}
	for _, n := range []distributor.Note{again, other, other} {
		if err := f.Engine.RemoveNote(within(t), n); err != nil {
			t.Fatal(err)
		}
	}
	if got := have(); len(got) != 0 {
		t.Fatalf("%+v is left", got)
	}
}
