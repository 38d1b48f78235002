package controller_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
)

// twins starts two nodes under one name, one of which has fetched what the other could not.
func twins(t *testing.T, i installation) (a, b *simulated) {
	t.Helper()
	a = startNode(t, i.server.Client(t), "default", "n1")
	i.members(t, 1)
	b = startNode(t, i.server.Client(t), "default", "n1")
	b.set(func(n *simulated) { n.broken = "no space left" })
	return a, b
}

// TestNoFlipOnTheWordOfTwoNodesWithOneName holds an image back that only one of the two has, says
// why, and goes on by itself once one of them is gone.
func TestNoFlipOnTheWordOfTwoNodesWithOneName(t *testing.T) {
	i := install(t)
	i.controller(t, "c1")
	_, b := twins(t, i)
	i.nodesBeat(t, 3)
	id := i.announce(t, 1, target("default", nil))
	i.rollout(t, id, "to say that two have one name", func(r messages.RolloutRecord) bool {
		return strings.Contains(r.Why, "n1") && strings.Contains(r.Why, "two distributors have this name")
	})
	i.fleet(t, "default", "to have no image", func(r messages.FleetRecord) bool { return r.Current.IsZero() })
	b.end()
	i.applied(t, "default", 1)
}

// nodesBeat waits until so many changes from one instance of n1 to another were stored.
func (i installation) nodesBeat(t *testing.T, changes int) {
	t.Helper()
	last, late := "", time.After(patience)
	for changes > 0 {
		e, err := store.Nodes(i.q).Get(t.Context(), messages.NodeKey("default", "n1"))
		if err == nil && e.Value.Instance != last {
			last = e.Value.Instance
			changes--
		}
		select {
		case <-late:
			t.Fatalf("%d changes are missing", changes)
		default:
		}
	}
}

// TestClocksThatAreOff has a node whose clock is minutes ahead and one whose is behind: both count,
// as nothing is decided by their times.
func TestClocksThatAreOff(t *testing.T) {
	i := install(t)
	i.controller(t, "c1")
	for name, off := range map[string]time.Duration{"n1": 10 * time.Minute, "n2": -10 * time.Minute} {
		n := startNode(t, i.q, "default", name)
		n.set(func(n *simulated) { n.clock = off })
	}
	i.members(t, 2)
	i.announce(t, 1, target("default", nil))
	i.applied(t, "default", 1)
}
