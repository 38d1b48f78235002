package controller_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
)

func TestRollbackHoldsAndReleaseLetsTheNewestFollow(t *testing.T) {
	i, _ := installed(t, 2)
	if _, err := people.Rollback(t.Context(), i.q, "default", "", "ada"); err != nil {
		t.Fatal(err)
	}
	i.applied(t, "default", 1)
	i.state(t, messages.RolloutID("default", build(2)), messages.RolloutRolledBack)

	third := i.announce(t, 3, target("default", nil))
	i.state(t, third, messages.RolloutHeld)
	fourth := i.announce(t, 4, target("default", nil))
	i.state(t, fourth, messages.RolloutHeld)
	i.state(t, third, messages.RolloutSuperseded)
	i.applied(t, "default", 1)
	if _, err := people.Release(t.Context(), i.q, "default", "ada"); err != nil {
		t.Fatal(err)
	}
	i.applied(t, "default", 4)
}

func TestRollbackWithoutAControllerReachesTheFenceConfigLater(t *testing.T) {
	i := install(t)
	kill := i.controller(t, "c1")
	startNode(t, i.q, "default", "n1")
	i.members(t, 1)
	for order := range uint64(2) {
		i.announce(t, order+1, target("default", nil))
		i.applied(t, "default", order+1)
	}
	kill()
	r, err := people.Rollback(t.Context(), i.q, "default", image(1).Digest(), "ada")
	if err != nil || r.Current.Order != 1 || r.Applied.Epoch == r.Epoch {
		t.Fatalf("the record is %+v, error %v", r, err)
	}
	i.controller(t, "c2")
	i.applied(t, "default", 1)
}

func TestPromoteNeedsTheImageOnTheNodes(t *testing.T) {
	i, n := installed(t, 2)
	if _, err := people.Rollback(t.Context(), i.q, "default", "", "ada"); err != nil {
		t.Fatal(err)
	}
	i.applied(t, "default", 1)
	n.awaited(t)
	n.set(func(n *simulated) { n.lost = append(n.lost, image(2)) })
	until(t, store.Nodes(i.q), messages.NodeKey("default", "n1"), "n1 to say that it lost it", func(s messages.NodeStatus) bool {
		return !slices.ContainsFunc(s.Images, func(p messages.PresentImage) bool { return p.Image == image(2) })
	})
	_, err := people.Promote(t.Context(), i.q, "default", image(2).Digest(), "ada")
	if !errors.Is(err, people.ErrNotPresent) || !strings.Contains(err.Error(), "n1") {
		t.Fatalf("promoting what no node has gave %v", err)
	}
	n.set(func(n *simulated) { n.lost = nil })
	if _, err := people.Promote(t.Context(), i.q, "default", image(2).Digest(), "ada"); err != nil {
		t.Fatal(err)
	}
	if r := i.applied(t, "default", 2); r.Hold == nil {
		t.Error("promoting ended the hold")
	}
}

func TestPeoplesMistakes(t *testing.T) {
	i, _ := installed(t, 0)
	id := i.announce(t, 1, target("default", nil))
	i.state(t, id, messages.RolloutDone)
	for _, c := range []struct {
		name string
		do   func() error
		is   error
		says string
	}{
		{"rolling back an unknown fleet names the known ones", func() error {
			_, err := people.Rollback(t.Context(), i.q, "prod", "", "ada")
			return err
		}, people.ErrUnknownFleet, "default"},
		{"rolling back where there is no previous image", func() error {
			_, err := people.Rollback(t.Context(), i.q, "default", "", "ada")
			return err
		}, people.ErrNoImage, "no previous image"},
		{"rolling back to a digest that is not kept", func() error {
			_, err := people.Rollback(t.Context(), i.q, "default", image(7).Digest(), "ada")
			return err
		}, people.ErrNoImage, "keeps none"},
		{"rolling back to what is current", func() error {
			_, err := people.Rollback(t.Context(), i.q, "default", image(1).Digest(), "ada")
			return err
		}, people.ErrNothingToDo, "current"},
		{"promoting an image that was never rolled out", func() error {
			_, err := people.Promote(t.Context(), i.q, "default", image(7).Digest(), "ada")
			return err
		}, people.ErrNoImage, "no rollout"},
		{"releasing a fleet without a hold", func() error {
			_, err := people.Release(t.Context(), i.q, "default", "ada")
			return err
		}, people.ErrNothingToDo, "no hold"},
		{"approving a rollout that is over", func() error {
			_, err := people.Approve(t.Context(), i.q, id, "ada")
			return err
		}, people.ErrTooLate, "done"},
		{"aborting a rollout that is over", func() error {
			_, err := people.Abort(t.Context(), i.q, id, "ada")
			return err
		}, people.ErrTooLate, "done"},
		{"aborting an unknown rollout", func() error {
			_, err := people.Abort(t.Context(), i.q, "none", "ada")
			return err
		}, people.ErrUnknownRollout, "fenceline rollouts"},
		{"retiring an unknown node names the members", func() error {
			return people.RetireNode(t.Context(), i.q, "default", "n9")
		}, people.ErrUnknownNode, "n1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.do(); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestAbortEndsAnOpenRollout(t *testing.T) {
	i := install(t)
	i.controller(t, "c1")
	startNode(t, i.q, "default", "n1").set(func(n *simulated) { n.broken = "no space" })
	i.members(t, 1)
	id := i.announce(t, 1, target("default", nil))
	i.rollout(t, id, "to say what is missing", func(r messages.RolloutRecord) bool { return strings.Contains(r.Why, "n1 (no space)") })
	if _, err := people.Abort(t.Context(), i.q, id, "ada"); err != nil {
		t.Fatal(err)
	}
	i.state(t, id, messages.RolloutAborted)
	i.fleet(t, "default", "to preload nothing", func(r messages.FleetRecord) bool { return r.Preload == nil })
}
