package console

import (
	"context"
	"testing"

	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// TestWhatCannotBeReadIsAnotherVersion, once: a page that shows it shows the problem, and is not made again and again.
func TestWhatCannotBeReadIsAnotherVersion(t *testing.T) {
	s := newSite(t)
	known := readings[string]{queue: s.it.queue}
	get := func(basis string) (value, problem string, version uint64) {
		return known.get(t.Context(), "a", basis, func(context.Context) (string, error) { return "value of " + basis, nil })
	}
	value, problem, first := get("1")
	if value != "value of 1" || problem != "" {
		t.Fatalf("it is %q, %q", value, problem)
	}
	s.nats.Stop()
	queuetest.Eventually(t, "NATS is away", func() bool { return !s.it.queue.Connected() })
	value, problem, away := get("2")
	if value != "value of 1" || problem != unreached || away <= first {
		t.Errorf("while NATS is away it is %q, %q, version %d after %d", value, problem, away, first)
	}
	if _, _, again := get("2"); again != away {
		t.Errorf("while it stays away the version goes on to %d", again)
	}
	s.nats.Resume(t)
	queuetest.Eventually(t, "NATS is back", s.it.queue.Connected)
	if value, problem, back := get("2"); value != "value of 2" || problem != "" || back <= away {
		t.Errorf("afterwards it is %q, %q, version %d", value, problem, back)
	}
	clear(known.all) // as it is where there are too many
	if _, _, anew := get("2"); anew <= away {
		t.Errorf("after all was thrown away it has version %d again", anew)
	}
}
