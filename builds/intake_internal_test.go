package builds

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestARoundWaitsForThoseWhoAreLikelyToCome, for half of the time that the last one took at most, and after small ones not at all.
func TestARoundWaitsForThoseWhoAreLikelyToCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &intake{busy: true}
		waited := func(n int, took time.Duration, come int) time.Duration {
			i.waiting = nil
			began := time.Now()
			go func() {
				for range come {
					i.join(&waiting{})
				}
			}()
			i.linger(n, took)
			spent := time.Since(began)
			synctest.Wait()
			i.join(&waiting{}) // nobody waits for it
			return spent
		}
		if took := waited(batchFrom-1, time.Second, 0); took != 0 {
			t.Errorf("after a small round: %v", took)
		}
		if took := waited(64, 4*time.Millisecond, 63); took != 2*time.Millisecond {
			t.Errorf("where one stays away: %v", took)
		}
		if took := waited(64, time.Second, 0); took != lingerMost {
			t.Errorf("where all stay away: %v", took)
		}
		if took := waited(64, time.Second, 64); took != 0 {
			t.Errorf("where all come: %v", took)
		}
	})
}
