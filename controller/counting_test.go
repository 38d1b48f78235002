package controller_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// TestAnImageThatWaitsForNodesCountsAllThatStart has an image wait while ten nodes start.
func TestAnImageThatWaitsForNodesCountsAllThatStart(t *testing.T) {
	i := install(t)
	i.controller(t, "c1")
	id := i.announce(t, 1, target("default", nil))
	i.rollout(t, id, "to wait for members", func(r messages.RolloutRecord) bool { return strings.Contains(r.Why, "no members") })
	for n := range 10 {
		startNode(t, i.q, "default", fmt.Sprintf("n%d", n), seldom)
	}
	i.applied(t, "default", 1)
	done := i.rollout(t, id, "to be done", func(r messages.RolloutRecord) bool { return r.State == messages.RolloutDone })
	if done.Counts() != 10 || done.Present != 10 {
		t.Errorf("it was flipped on the word of %d of %d", done.Present, done.Counts())
	}
}

// TestALateMemberCountsBeforeTheFlip keeps the image from the fleet until the member that joined
// during the rollout has it.
func TestALateMemberCountsBeforeTheFlip(t *testing.T) {
	i, n := installed(t, 0)
	n.set(func(n *simulated) { n.broken = "no space" })
	id := i.announce(t, 1, target("default", nil))
	i.rollout(t, id, "to wait for n1", func(r messages.RolloutRecord) bool { return strings.Contains(r.Why, "no space") })
	late := startNode(t, i.q, "default", "n2")
	late.set(func(n *simulated) { n.broken = "the registry refuses access" })
	i.rollout(t, id, "to count n2", func(r messages.RolloutRecord) bool { return slices.Equal(r.Members, []string{"n1", "n2"}) })
	n.set(func(n *simulated) { n.broken = "" })
	i.rollout(t, id, "to wait for n2", func(r messages.RolloutRecord) bool { return r.Present == 1 && strings.Contains(r.Why, "n2") })
	late.set(func(n *simulated) { n.broken = "" })
	i.applied(t, "default", 1)
}

// TestOneEngineUnderTwoNames counts once, is said, and counts twice once the second has its own.
func TestOneEngineUnderTwoNames(t *testing.T) {
	i := install(t)
	i.controller(t, "c1")
	var nodes []*simulated
	for n := range 2 {
		s := startNode(t, i.q, "default", fmt.Sprintf("n%d", n))
		s.set(func(n *simulated) { n.status.Engine.ID = "one" })
		nodes = append(nodes, s)
	}
	i.members(t, 2)
	id := i.announce(t, 1, target("default", nil))
	i.rollout(t, id, "to say that they have one engine", func(r messages.RolloutRecord) bool {
		return r.Present == 1 && strings.Contains(r.Why, "n1 (its engine is that of n0 too")
	})
	held, members, err := people.Holding(t.Context(), i.q, "default", image(1))
	if err != nil || held != 1 || members != 2 {
		t.Errorf("%d of %d hold it, error %v", held, members, err)
	}
	nodes[1].set(func(n *simulated) { n.status.Engine.ID = "another" })
	i.applied(t, "default", 1)
}

// TestARetirementThatMeetsAHeartbeat keeps a node out whose last heartbeat is stored in the middle of
// it, also as a controller sees it that hears of the two in the other order. A node that beats on
// is a member again.
func TestARetirementThatMeetsAHeartbeat(t *testing.T) {
	i := install(t)
	i.controller(t, "c1")
	startNode(t, i.q, "default", "n1")
	dead := startNode(t, i.q, "default", "n2", func(n *simulated) {
		n.status.Interval = messages.Duration(10 * time.Second) // what comes within an interval was under way
	})
	i.members(t, 2)
	dead.end()
	key := messages.NodeKey("default", "n2")
	e, err := store.Nodes(i.q).Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := people.ForceRetireNode(t.Context(), i.q, "default", "n2"); err != nil {
		t.Fatal(err)
	}
	last := e.Value
	last.Beat++
	if err := store.NewNode(i.q).Heartbeat(t.Context(), &last); err != nil { // it was under way
		t.Fatal(err)
	}
	for order := uint64(1); order <= 3; order++ { // so that the controller has looked since
		i.announce(t, order, target("default", nil))
		i.applied(t, "default", order)
	}
	if _, err := store.Members(i.q).Get(t.Context(), key); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("it is a member again: %v", err)
	}
	startNode(t, i.q, "default", "n2")
	until(t, store.Members(i.q), key, "n2 to be a member again", func(m messages.Member) bool { return m.Node == "n2" })
}

// TestPromoteBelievesKeys has one node send heartbeats that name another, and a node that says so of
// its own: what counts is under whose key a heartbeat is.
func TestPromoteBelievesKeys(t *testing.T) {
	i, n := installed(t, 2)
	second := startNode(t, i.q, "default", "n2")
	i.members(t, 2)
	n.awaited(t)
	second.awaited(t)
	if _, err := people.Rollback(t.Context(), i.q, "default", "", "ada"); err != nil {
		t.Fatal(err)
	}
	i.applied(t, "default", 1)
	n.set(func(n *simulated) { n.lost = append(n.lost, image(2)) })
	second.set(func(n *simulated) { n.lost = append(n.lost, image(2)) })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	liar := &simulated{status: messages.NodeStatus{Images: []messages.PresentImage{{Image: image(2)}}, Interval: messages.Duration(beat)}}
	go func() {
		every := time.NewTicker(beat)
		defer every.Stop()
		for turn := 0; ; turn++ {
			select {
			case <-every.C:
			case <-ctx.Done():
				return
			}
			s := liar.status
			s.Fleet, s.Node, s.Beat = "default", []string{"n1", "n2"}[turn%2], uint64(turn)
			_, _ = store.Nodes(i.q).Modify(ctx, messages.NodeKey("default", "n3"), func(n *messages.NodeStatus) error { *n = s; return nil })
		}
	}()
	_, err := people.Promote(t.Context(), i.q, "default", image(2).Digest(), "ada")
	if !errors.Is(err, people.ErrNotPresent) || !strings.Contains(err.Error(), "n1 (the image is not there), n2 (the image is not there)") {
		t.Errorf("promoting what no node has gave %v", err)
	}
}

// TestRollbackToAnImageThatTooFewHold is refused, and done where it is forced.
func TestRollbackToAnImageThatTooFewHold(t *testing.T) {
	i, n := installed(t, 2)
	n.set(func(n *simulated) { n.lost = append(n.lost, image(1)) })
	until(t, store.Nodes(i.q), messages.NodeKey("default", "n1"), "n1 to have lost it", func(s messages.NodeStatus) bool {
		return !slices.ContainsFunc(s.Images, func(p messages.PresentImage) bool { return p.Image == image(1) })
	})
	_, err := people.Rollback(t.Context(), i.q, "default", "", "ada")
	if !errors.Is(err, people.ErrNotPresent) || !strings.Contains(err.Error(), "1 of 1 member must have it, 0 do: missing n1") {
		t.Fatalf("rolling back to what no node has gave %v", err)
	}
	i.applied(t, "default", 2)
	if _, err := people.ForceRollback(t.Context(), i.q, "default", "", "ada"); err != nil {
		t.Fatal(err)
	}
	i.applied(t, "default", 1)
	if held, members, err := people.Holding(t.Context(), i.q, "default", image(1)); err != nil || held != 0 || members != 1 {
		t.Errorf("%d of %d hold it, error %v", held, members, err)
	}
}

// TestTheFenceConfigKeepsWhatCausedAValue has one digest come twice, with two builds.
func TestTheFenceConfigKeepsWhatCausedAValue(t *testing.T) {
	i, _ := installed(t, 2)
	again := &messages.ImageReady{
		BuildRef: messages.BuildRef{Build: build(3), Pipeline: "app", Order: 3},
		Image:    image(1), Tag: "t", HooksDir: messages.DefaultHooksDir, Fleets: []messages.FleetTarget{target("default", nil)}, Received: time.Now().UTC(),
	}
	buildstest.Announce(t, i.q, "", again)
	i.fleet(t, "default", "to hold order 3", func(r messages.FleetRecord) bool { return r.Current.Order == 3 && r.Applied.Epoch == r.Epoch })
	changes, err := i.backend("default").(fence.Historian).History(t.Context())
	if err != nil || len(changes) != 3 {
		t.Fatalf("the history is %+v, error %v", changes, err)
	}
	for n, c := range changes {
		order := uint64(n + 1)
		if want := (fence.Cause{Epoch: order, Rollout: messages.RolloutID("default", build(order)), Build: build(order), Order: order,
			By: "fenceline", Reason: "flipped by rollout " + messages.RolloutID("default", build(order))}); c.Cause != want {
			t.Errorf("%s comes from %+v, want %+v", c.Value, c.Cause, want)
		}
	}
}
