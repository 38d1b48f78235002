package controller_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// whoDies has a rollout that counts n1, which has the image, and n2, which is no more.
func whoDies(t *testing.T) (i installation, alive *simulated, id string, kill func()) {
	t.Helper()
	i = install(t)
	kill = i.controller(t, "c1")
	alive = startNode(t, i.q, "default", "n1")
	dead := startNode(t, i.q, "default", "n2")
	i.members(t, 2)
	dead.end()
	id = i.announce(t, 1, target("default", func(p *messages.Policy) { p.Canaries = 0 }))
	i.rollout(t, id, "to count both", func(r messages.RolloutRecord) bool {
		return slices.Equal(r.Members, []string{"n1", "n2"}) && strings.Contains(r.Why, "n2")
	})
	return i, alive, id, kill
}

// TestARolloutThatCountsWhoWasRetiredUnseen has a rollout count a node that was retired while no controller listened, and
// that nobody took out of it: as one that was opened at the moment of the retirement. The next controller drops it,
// and says so.
func TestARolloutThatCountsWhoWasRetiredUnseen(t *testing.T) {
	i, _, id, kill := whoDies(t)
	kill()
	drop(t, store.Nodes(i.q), messages.NodeKey("default", "n2"))
	drop(t, store.Members(i.q), messages.NodeKey("default", "n2"))
	i.controller(t, "c2")
	i.applied(t, "default", 1)
	queuetest.Eventually(t, "it is told that n2 counts no more", func() bool {
		told := false
		queuetest.Must(t, i.q.Read(t.Context(), i.q.Space().EventsStream(), queue.ReadOptions{}, func(r queue.Received) error {
			e, ok := r.Payload.(*messages.RolloutChanged)
			told = told || ok && e.Rollout == id && strings.Contains(e.Why, "who was retired: n2; 1 member left")
			return nil
		}))
		return told
	})
}

// TestALostBucketOfMembersTakesNobodyOutOfARollout makes the bucket anew under a rollout: who lives is a member again,
// and who doesn't is waited for until a person retires it.
func TestALostBucketOfMembersTakesNobodyOutOfARollout(t *testing.T) {
	i, alive, id, _ := whoDies(t)
	drop(t, store.Nodes(i.q), messages.NodeKey("default", "n2")) // by which it would be a member again
	i.rollout(t, id, "to see that", func(r messages.RolloutRecord) bool { return strings.Contains(r.Why, "n2 (no heartbeat)") })
	queuetest.Remake(t, i.q, "KV_fenceline-members")
	i.members(t, 1)
	for _, broken := range []string{"no space", "", "no space", ""} { // so that the controller has looked since
		alive.set(func(n *simulated) { n.broken = broken })
		r := i.rollout(t, id, "to say what n1 says", func(r messages.RolloutRecord) bool {
			return strings.Contains(r.Why, "no space") == (broken != "")
		})
		if !slices.Equal(r.Members, []string{"n1", "n2"}) {
			t.Fatalf("it counts %v", r.Members)
		}
	}
	if err := people.RetireNode(t.Context(), i.q, "default", "n2"); err != nil {
		t.Fatal(err)
	}
	i.applied(t, "default", 1)
}
