package distributor_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/apply"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
)

// fakeApplier notes what it applies; it is as apply.Target, without a file.
type fakeApplier struct {
	mu      sync.Mutex
	applied messages.Image
	at      time.Time
	tries   []string // digits of the images
	fails   string
	found   string // that somebody else has put in its place
	hold    chan struct{}
	busy    bool
	overlap bool
}

func (f *fakeApplier) Apply(ctx context.Context, c apply.Change) (apply.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	image := messages.Image(c.Image)
	if f.applied == image && f.found == "" {
		return apply.Result{Revision: 1, At: f.at}, nil
	}
	if err := c.Present(ctx); err != nil {
		return apply.Result{}, err
	}
	c.Begins()
	f.tries = append(f.tries, image.Digest()[7:8])
	f.overlap, f.busy = f.overlap || f.busy, true
	if f.hold != nil {
		f.mu.Unlock()
		<-f.hold
		f.mu.Lock()
	}
	f.busy = false
	if f.fails != "" {
		return apply.Result{}, errors.New(f.fails)
	}
	out := apply.Result{Revision: 1, At: time.Now(), Mended: f.found}
	f.applied, f.at, f.found = image, out.At, ""
	return out, nil
}

func (f *fakeApplier) do(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn()
}

// tried checks which images were tried to be applied.
func (f *fakeApplier) tried(t *testing.T, want ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.tries, want) || f.overlap {
		t.Fatalf("applied %v, want %v; two at one time: %v", f.tries, want, f.overlap)
	}
}

// applies checks what the last heartbeat says of what is applied.
func (w *world) applies(c string, state messages.ApplyState, reason string) *messages.NodeApplied {
	w.t.Helper()
	got := w.last().Applied
	image := messages.Image("")
	if c != "" {
		image = img(c)
	}
	if got == nil || got.Image != image || got.State != state || got.Error != reason {
		w.t.Fatalf("the heartbeat says %+v, want %s %s %q", got, c, state, reason)
	}
	return got
}

func withApplier(f *fakeApplier) func(*world) { return func(w *world) { w.applier = f } }

func TestTheCurrentImageIsApplied(t *testing.T) {
	f := &fakeApplier{}
	run(t, withApplier(f), func(w *world) {
		w.applies("", messages.ApplyWaiting, "")
		w.announce(messages.FleetRecord{Preload: preload("1")})
		f.tried(t)
		start := time.Now()
		w.announce(messages.FleetRecord{Epoch: 1, Current: fleetImage("1")})
		if got := w.applies("1", messages.ApplyDone, ""); got.Revision != 1 || !got.At.Equal(start) {
			t.Errorf("it says %+v", got)
		}
		after(time.Minute)
		w.announce(messages.FleetRecord{Epoch: 2, Current: fleetImage("2"), Previous: fleetImage("1")})
		w.applies("2", messages.ApplyDone, "")
		w.announce(messages.FleetRecord{Epoch: 3, Current: fleetImage("1")}) // a rollback
		w.applies("1", messages.ApplyDone, "")
		f.tried(t, "1", "2", "1")
	})
}

// Where the fleet names images by their local names, so does what is applied, and a change of that is applied.
func TestTheCurrentImageIsAppliedInTheFleetsForm(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "image.json")
	target, err := apply.New(apply.Config{File: file, Format: apply.FormatJSON, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	says := func(want func(apply.Values) bool) {
		t.Helper()
		var v apply.Values
		content, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(content, &v)
		}
		if err != nil || !want(v) {
			t.Fatalf("the file has %s, error %v", content, err)
		}
	}
	run(t, func(w *world) { w.applier = target }, func(w *world) {
		local := func(r messages.FleetRecord, c string) string { r.Fleet = fleet; return r.LocalName(img(c)) }
		r := messages.FleetRecord{Epoch: 1, ID: "abcdefgh", Current: fleetImage("1"), Reference: messages.ReferenceLocal}
		w.announce(r)
		w.applies("1", messages.ApplyDone, "")
		says(func(v apply.Values) bool {
			return v.Image == local(r, "1") && v.Local == v.Image && v.Name == img("1").Name() && v.Digest == img("1").Digest() && v.Previous == ""
		})
		r = messages.FleetRecord{Epoch: 2, ID: "abcdefgh", Current: fleetImage("2"), Previous: fleetImage("1"), Reference: messages.ReferenceLocal}
		w.announce(r)
		w.applies("2", messages.ApplyDone, "")
		says(func(v apply.Values) bool { return v.Image == local(r, "2") && v.Previous == local(r, "1") })
		r.Epoch, r.Reference = 3, messages.ReferenceDigest
		w.announce(r)
		w.applies("2", messages.ApplyDone, "")
		says(func(v apply.Values) bool { return v.Image == string(img("2")) && v.Previous == string(img("1")) })
	})
}

func TestANodeWithNothingToApplyToSaysSo(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		if got := w.last().Applied; got != nil {
			t.Errorf("it says %+v", got)
		}
	})
}

// TestAnImageIsAppliedOnceItIsThere: the node fetches it first.
func TestAnImageIsAppliedOnceItIsThere(t *testing.T) {
	f := &fakeApplier{}
	var hold chan struct{}
	run(t, func(w *world) {
		w.applier = f
		hold = make(chan struct{})
		w.engine.Hold = hold
	}, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.applies("1", messages.ApplyWaiting, "this node does not hold the image yet")
		f.tried(t)
		w.engine.Do(func(f *enginetest.Fake) { f.Hold = nil })
		start := time.Now()
		close(hold)
		synctest.Wait()
		w.applies("1", messages.ApplyDone, "")
		if took := time.Since(start); took > 0 {
			t.Errorf("it took %s", took)
		}
		f.tried(t, "1")
	})
}

// TestWhyAnImageIsNotHere is said where the node knows.
func TestWhyAnImageIsNotHere(t *testing.T) {
	f := &fakeApplier{}
	run(t, func(w *world) {
		w.applier = f
		w.engine.Gone[img("1")] = true
	}, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		after(distributor.DefaultInterval)
		if got := w.last().Applied; got.State != messages.ApplyWaiting || !strings.Contains(got.Error, "registry") {
			t.Errorf("it says %+v", got)
		}
		w.engine.Do(func(f *enginetest.Fake) { f.Gone = nil })
		after(2 * time.Minute)
		w.applies("1", messages.ApplyDone, "")
	})
}

func TestApplyingIsTriedAgainWithPauses(t *testing.T) {
	f := &fakeApplier{fails: "reload ended with 1"}
	run(t, withApplier(f), func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.applies("1", messages.ApplyFailed, "reload ended with 1")
		f.tried(t, "1")
		after(10 * time.Minute)
		f.do(func() {
			if n := len(f.tries); n < 10 || n > 25 {
				t.Errorf("tried %d times in ten minutes", n)
			}
		})
		events := w.events()
		if len(events) != 1 {
			t.Fatalf("events %+v, want one", events)
		}
		if e := events[0].(*messages.NodeFailed); e.Step != "apply" || e.Rollout != "r1" || e.Image != img("1") || e.Reason != "reload ended with 1" {
			t.Errorf("it tells %+v", e)
		}
		f.do(func() { f.fails = "" })
		after(2 * time.Minute)
		w.applies("1", messages.ApplyDone, "")
		// Another image waits for no pause of the one before.
		f.do(func() { f.fails, f.tries = "reload ended with 2", nil })
		w.announce(messages.FleetRecord{Epoch: 1, Current: fleetImage("2")})
		f.do(func() { f.fails = "" })
		w.announce(messages.FleetRecord{Epoch: 2, Current: fleetImage("3")})
		w.applies("3", messages.ApplyDone, "")
		f.tried(t, "2", "3")
	})
}

// TestANewerImageWaitsForTheCommandThatRuns: two never run at one time.
func TestANewerImageWaitsForTheCommandThatRuns(t *testing.T) {
	f := &fakeApplier{}
	run(t, func(w *world) {
		w.applier = f
		f.hold = make(chan struct{})
	}, func(w *world) {
		w.announce(messages.FleetRecord{Epoch: 1, Current: fleetImage("1")})
		w.applies("1", messages.ApplyRunning, "")
		w.announce(messages.FleetRecord{Epoch: 2, Current: fleetImage("2")})
		f.tried(t, "1")
		f.hold <- struct{}{}
		synctest.Wait()
		w.applies("2", messages.ApplyRunning, "")
		f.hold <- struct{}{}
		synctest.Wait()
		w.applies("2", messages.ApplyDone, "")
		f.tried(t, "1", "2")
	})
}

func TestWhatOthersChangeIsPutRightAndSaid(t *testing.T) {
	f := &fakeApplier{}
	run(t, withApplier(f), func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		f.do(func() { f.found = "it had x" })
		after(distributor.DefaultInterval)
		if got := w.applies("1", messages.ApplyDone, ""); got.Mended != "it had x" {
			t.Errorf("it says %+v", got)
		}
		after(time.Minute)
		if got := w.last().Applied; got.Mended != "it had x" {
			t.Errorf("a minute later it says %+v", got)
		}
		for range 60 {
			f.do(func() { f.found = "it had x" })
			after(10 * time.Second)
		}
		if got := w.last().Applied; !strings.Contains(got.Mended, "something else writes it") {
			t.Errorf("it says %+v", got)
		}
		f.do(func() {
			if n := len(f.tries); n > 25 {
				t.Errorf("put right %d times in ten minutes", n)
			}
		})
		after(2 * time.Hour)
		if got := w.last().Applied; got.Mended != "" {
			t.Errorf("hours later it says %+v", got)
		}
	})
}
