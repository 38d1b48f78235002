package queue

import (
	"testing"
	"testing/synctest"
	"time"
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
