package queue

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"
)

func TestWhatCameExpiresUnlessMoreComesOrItWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &expiry{age: time.Minute, timers: map[string]*time.Timer{}}
		gone := map[string]time.Duration{}
		began := time.Now()
		came := func(key string) {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.came(key, func() { gone[key] += time.Since(began) })
		}
		for _, key := range []string{"silent", "beats", "deleted"} {
			came(key)
		}
		<-time.After(40 * time.Second) // of the test's own clock
		came("beats")
		x.mu.Lock()
		x.went("deleted")
		x.mu.Unlock()
		<-time.After(2 * time.Minute)
		came("ended")
		x.end()
		<-time.After(2 * time.Minute)
		if len(gone) != 2 || gone["silent"] != time.Minute || gone["beats"] != 100*time.Second {
			t.Errorf("gone are %v", gone)
		}
	})
}

// TestAWatchHoldsNoEntries until they expire: there may be ten thousand, and who watches keeps what it needs.
func TestAWatchHoldsNoEntries(t *testing.T) {
	x := &expiry{age: time.Hour, timers: map[string]*time.Timer{}}
	defer x.end()
	w := &watching[*[64]byte]{known: map[string]bool{}, seen: map[string]bool{}, starting: true, expiry: x, fn: func(Entry[*[64]byte]) {}}
	value := &[64]byte{}
	held := weak.Make(value)
	w.take(Entry[*[64]byte]{Key: "a", Value: value})
	w.caughtUp(nil)
	runtime.GC()
	if held.Value() != nil {
		t.Error("the entry is held")
	}
	if len(x.timers) != 1 || !w.known["a"] {
		t.Error("the entry is not waited for")
	}
}
