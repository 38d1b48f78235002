package distributor_test

import (
	"slices"
	"testing"
	"time"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
)

// learnt checks which images the engine was to learn the digests of, in order.
func (w *world) learnt(want ...string) {
	w.t.Helper()
	var images []messages.Image
	for _, c := range want {
		images = append(images, img(c))
	}
	w.engine.Do(func(f *enginetest.Fake) {
		if !slices.Equal(f.Learned, images) {
			w.t.Errorf("learnt %v, want %v", f.Learned, images)
		}
	})
}

// An engine that was fed asks for the digest once the image is there, and seldom again while the registry is away.
func TestADigestIsLearntOnceTheImageIsThere(t *testing.T) {
	run(t, func(w *world) {
		w.contents, w.pull, w.engine.Classic = &contents{}, &messages.Pull{Way: messages.PullLoad}, true
	}, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.has("1")
		w.learnt("1")
		after(time.Hour)
		w.learnt("1")
		w.announce(messages.FleetRecord{Current: fleetImage("2"), Previous: fleetImage("1")})
		w.has("2", "1")
		w.learnt("1", "2")
	})
}

// A registry that is away is asked a few times an hour, and the image is there meanwhile.
func TestARegistryThatIsAwayIsSeldomAskedForADigest(t *testing.T) {
	run(t, func(w *world) {
		w.contents, w.pull, w.engine.Classic = &contents{}, &messages.Pull{Way: messages.PullLoad}, true
		w.engine.Mute = map[messages.Image]bool{img("1"): true}
	}, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.has("1")
		w.learnt("1")
		after(24 * time.Hour)
		w.has("1")
		asked := 0
		w.engine.Do(func(f *enginetest.Fake) { asked = len(f.Learned) })
		if asked < 20 || asked > 40 {
			t.Errorf("asked %d times in a day", asked)
		}
		w.engine.Do(func(f *enginetest.Fake) { f.Mute = nil })
		after(2 * time.Hour)
		w.engine.Do(func(f *enginetest.Fake) { asked = len(f.Learned) })
		after(24 * time.Hour)
		w.engine.Do(func(f *enginetest.Fake) {
			if len(f.Learned) != asked {
				t.Errorf("asked %d times after it had learnt", len(f.Learned)-asked)
			}
		})
	})
}

// A newer record doesn't wait for a registry that says nothing.
func TestARecordDoesNotWaitForADigest(t *testing.T) {
	var silent chan struct{}
	run(t, func(w *world) {
		w.contents, w.pull, w.engine.Classic = &contents{}, &messages.Pull{Way: messages.PullLoad}, true
		silent = make(chan struct{})
		w.engine.Silent = silent
	}, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.has("1")
		w.learnt("1")
		before := time.Now()
		w.announce(messages.FleetRecord{Current: fleetImage("2"), Previous: fleetImage("1")})
		w.has("2", "1")
		if waited := time.Since(before); waited > distributor.DefaultInterval/10 {
			t.Errorf("it took %v", waited)
		}
		close(silent)
	})
}
