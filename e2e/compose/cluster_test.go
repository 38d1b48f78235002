package compose

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// TestCluster runs over three NATS servers with a push every 3 seconds: one is killed and comes
// back, then each is restarted. Nothing is lost, nothing doubled.
func TestCluster(t *testing.T) {
	s, err := start(running, mark+"-cluster", 3)
	if s != nil {
		s.onFailure(t)
		t.Cleanup(func() {
			if err := s.end(); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	l := s.load(t.Context(), 3*time.Second, quick)
	first := s.the(t, "nats")
	giveBack := s.take(t, killed, first)
	s.pushed(t, 3) // while it is gone
	giveBack()
	s.healthy(t)
	for _, server := range []string{"nats", "nats-2", "nats-3"} {
		c := s.the(t, server)
		t.Logf("%s is restarted", c)
		s.docker(t, "restart", string(c))
		s.healthy(t)
	}
	last := l.ended(t)
	s.flipped(t, last)
	s.check(t)
}

// pushed waits until so many more builds have been accepted.
func (s *shape) pushed(t *testing.T, more int) {
	t.Helper()
	want := len(s.ledger.all()) + more
	await(t, "more pushes", func(context.Context) error {
		if n := len(s.ledger.all()); n < want {
			return fmt.Errorf("%d builds were accepted, %d are to be", n, want)
		}
		return nil
	})
}
