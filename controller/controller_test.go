package controller_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/controller"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

func TestAnImageReachesTheFleet(t *testing.T) {
	i := install(t)
	i.controller(t, "c1")
	for n := range 5 {
		startNode(t, i.q, "default", fmt.Sprintf("n%d", n))
	}
	i.members(t, 5)
	id := i.announce(t, 1, target("default", func(p *messages.Policy) { p.Waves = []int{20, 60, 100}; p.MaxInFlight = 2 }))
	r := i.applied(t, "default", 1)
	if r.Epoch != 1 || r.Highest != 1 || r.Preload != nil {
		t.Errorf("the record is %+v", r)
	}
	done := i.rollout(t, id, "to be done, and name no members", func(r messages.RolloutRecord) bool {
		return r.State == messages.RolloutDone && len(r.Members) == 0
	})
	if done.Present != 5 || done.Counts() != 5 || len(done.Members) > 0 || len(done.Trials) != 1 || done.FlippedAt.IsZero() {
		t.Errorf("the rollout is %+v", done)
	}
	if c := done.Curve; len(c) < 2 || c[0].Present != 0 || !slices.ContainsFunc(c, func(p messages.CurvePoint) bool { return p.Present == 5 }) {
		t.Errorf("its curve is %+v", c)
	}
	i.announce(t, 2, target("default", nil))
	if r := i.applied(t, "default", 2); r.Previous.Order != 1 {
		t.Errorf("the previous image is %+v", r.Previous)
	}
}

func TestFlipFollowsTheLastPresentNodeAtOnce(t *testing.T) {
	i := install(t)
	i.controller(t, "c1", func(c *controller.Config) { c.Interval = time.Hour }) // nothing comes by the timer
	n := startNode(t, i.q, "default", "n1")
	i.members(t, 1)
	n.set(func(n *simulated) { n.broken = "still pulling" })
	id := i.announce(t, 1, target("default", nil))
	i.rollout(t, id, "to wait for n1", func(r messages.RolloutRecord) bool { return strings.Contains(r.Why, "still pulling") })
	began := time.Now()
	n.set(func(n *simulated) { n.broken = "" })
	i.applied(t, "default", 1)
	if d := time.Since(began); d > patience/4 {
		t.Errorf("from present to the fence config it took %s", d)
	}
}

func TestAFailedTrialEndsTheRollout(t *testing.T) {
	i, n := installed(t, 1)
	n.set(func(n *simulated) {
		n.trial = messages.TrialResult{Hooks: []messages.HookRun{{Hook: "pre-running", Exit: 3, Output: "no licence key"}}}
	})
	id := i.announce(t, 2, target("default", nil))
	r := i.state(t, id, messages.RolloutFailed)
	for _, part := range []string{"n1", "pre-running", "status 3", "no licence key"} {
		if !strings.Contains(r.Why, part) {
			t.Errorf("%q does not say %q", r.Why, part)
		}
	}
	i.fleet(t, "default", "to preload nothing", func(r messages.FleetRecord) bool { return r.Preload == nil && r.Rollout == "" })
	i.applied(t, "default", 1)
}

// stuck is a fence config that takes no writes until it is freed.
type stuck struct {
	fence.Backend
	tried chan struct{}
}

func (s stuck) Set(ctx context.Context, _ string, _ fence.Revision) (fence.Setting, error) {
	select {
	case s.tried <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return fence.Setting{}, ctx.Err()
}

func TestASuccessorDrivesWhatAKilledControllerDecided(t *testing.T) {
	i := install(t)
	tried := make(chan struct{}, 1)
	kill := i.controller(t, "c1", func(c *controller.Config) {
		real := c.Backend
		c.Backend = func(fleet, kind string) (fence.Place, error) {
			p, err := real(fleet, kind)
			p.Backend = stuck{p.Backend, tried}
			return p, err
		}
	})
	startNode(t, i.q, "default", "n1")
	i.members(t, 1)
	i.announce(t, 1, target("default", nil))
	select {
	case <-tried: // decided, and the fence config has not followed
	case <-time.After(patience):
		t.Fatal("the first controller decided nothing")
	}
	i.controller(t, "c2")
	began := time.Now()
	kill()
	i.applied(t, "default", 1)
	if d := time.Since(began); d > 5*leaseTTL {
		t.Errorf("the successor took %s", d)
	}
	i.state(t, messages.RolloutID("default", build(1)), messages.RolloutDone)
}

func TestAFleetWithoutMembersWaitsForThem(t *testing.T) {
	i := install(t)
	i.controller(t, "c1")
	id := i.announce(t, 1, target("default", nil))
	i.rollout(t, id, "to say why it waits", func(r messages.RolloutRecord) bool {
		return r.State == messages.RolloutWaiting && strings.Contains(r.Why, "no members")
	})
	startNode(t, i.q, "default", "n1")
	i.applied(t, "default", 1)
}

func TestProductionFollowsStaging(t *testing.T) {
	i := install(t)
	i.controller(t, "c1")
	staging := startNode(t, i.q, "staging", "s1")
	startNode(t, i.q, "production", "p1")
	i.members(t, 2)
	both := []messages.FleetTarget{target("staging", func(p *messages.Policy) { p.Approval = true }), target("production", nil)}
	first := i.announce(t, 1, both...)
	i.state(t, first, messages.RolloutApproval)
	i.rollout(t, messages.RolloutID("production", build(1)), "to wait for staging", func(r messages.RolloutRecord) bool {
		return r.State == messages.RolloutWaiting && strings.Contains(r.Why, "staging")
	})
	if _, err := people.Approve(t.Context(), i.q, first, "ada"); err != nil {
		t.Fatal(err)
	}
	i.applied(t, "staging", 1)
	i.applied(t, "production", 1)

	staging.set(func(n *simulated) { n.trial = messages.TrialResult{Reason: "broken"} })
	i.state(t, i.announce(t, 2, both...), messages.RolloutFailed)
	i.state(t, messages.RolloutID("production", build(2)), messages.RolloutFailed)
	i.applied(t, "production", 1)
}

func TestASilentMemberKeepsTheQuorumUntilItIsRetired(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		t.Run(fmt.Sprintf("an earlier retirement was interrupted: %v", interrupted), func(t *testing.T) {
			i := install(t)
			kill := i.controller(t, "c1")
			startNode(t, i.q, "default", "n1")
			dead := startNode(t, i.q, "default", "n2")
			i.members(t, 2)
			dead.end()
			id := i.announce(t, 1, target("default", func(p *messages.Policy) {
				p.NodeDeadline, p.Canaries = messages.Duration(300*time.Millisecond), 0
			}))
			i.rollout(t, id, "to name n2", func(r messages.RolloutRecord) bool {
				return r.State == messages.RolloutPreloading && strings.Contains(r.Why, "n2 (no progress") && r.Present == 1
			})
			if interrupted {
				kill()
				drop(t, store.Nodes(i.q), messages.NodeKey("default", "n2"))
				drop(t, store.Members(i.q), messages.NodeKey("default", "n2"))
			}
			if err := people.ForceRetireNode(t.Context(), i.q, "default", "n2"); err != nil {
				t.Fatal(err)
			}
			if interrupted {
				i.controller(t, "c2")
			}
			i.applied(t, "default", 1)
		})
	}
}

// drop deletes a record.
func drop[T any](t *testing.T, r *queue.Records[T], key string) {
	t.Helper()
	e, err := r.Get(t.Context(), key)
	if err == nil {
		err = r.Delete(t.Context(), key, e.Revision)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestASoakRollsBackWhenTheImageGoes(t *testing.T) {
	i, n := installed(t, 1)
	id := i.announce(t, 2, target("default", func(p *messages.Policy) { p.Soak = messages.Duration(time.Hour) }))
	i.state(t, id, messages.RolloutSoaking)
	third := i.announce(t, 3, target("default", nil))
	i.rollout(t, third, "to wait for the soak", func(r messages.RolloutRecord) bool {
		return r.State == messages.RolloutWaiting && strings.Contains(r.Why, "soak")
	})
	n.set(func(n *simulated) { n.lost = append(n.lost, image(2)) })
	r := i.applied(t, "default", 1)
	if r.Hold == nil || !strings.Contains(r.Hold.Reason, "soak") {
		t.Errorf("the hold is %+v", r.Hold)
	}
	i.state(t, id, messages.RolloutRolledBack)
	i.state(t, third, messages.RolloutHeld)
}

func TestASoakEnds(t *testing.T) {
	i, _ := installed(t, 0)
	id := i.announce(t, 1, target("default", func(p *messages.Policy) { p.Soak = messages.Duration(300 * time.Millisecond) }))
	i.state(t, id, messages.RolloutDone)
	// How it came to that is in the events: who looks at the record may miss a state.
	queuetest.Eventually(t, "it is told that it soaked, and was done then", func() bool {
		var told []messages.RolloutState
		queuetest.Must(t, i.q.Read(t.Context(), i.q.Space().EventsStream(), queue.ReadOptions{}, func(r queue.Received) error {
			if e, ok := r.Payload.(*messages.RolloutChanged); ok && e.Rollout == id {
				told = append(told, e.State)
			}
			return nil
		}))
		soaks := slices.Index(told, messages.RolloutSoaking)
		return soaks >= 0 && slices.Index(told, messages.RolloutDone) > soaks
	})
}

func TestAPersonsValueIsReportedAndNotFought(t *testing.T) {
	i, _ := installed(t, 0)
	b := i.backend("default")
	if _, err := b.Set(t.Context(), "stackato/stack-alsek", ""); err != nil {
		t.Fatal(err)
	}
	i.fleet(t, "default", "to have seen what was there", func(r messages.FleetRecord) bool { return r.Applied.Value == "stackato/stack-alsek" })
	i.announce(t, 1, target("default", nil))
	i.applied(t, "default", 1)
	i.announce(t, 2, target("default", nil))
	i.applied(t, "default", 2)

	overwrite := func(value string) {
		t.Helper()
		s, err := b.Get(t.Context())
		if err == nil {
			_, err = b.Set(t.Context(), value, s.Revision)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	overwrite(string(image(1))) // an earlier decision of ours
	i.holds(t, "default", string(image(2)))
	overwrite("somebody/else")
	r := i.fleet(t, "default", "to be held", func(r messages.FleetRecord) bool { return r.Hold != nil })
	if !strings.Contains(r.Hold.Reason, "somebody/else") || r.Applied.Value != "somebody/else" {
		t.Errorf("hold %+v, applied %+v", r.Hold, r.Applied)
	}
	if s, err := b.Get(t.Context()); err != nil || s.Value != "somebody/else" {
		t.Errorf("the fence config was fought over: %+v, %v", s, err)
	}
	if _, err := people.Release(t.Context(), i.q, "default", "ada"); err != nil {
		t.Fatal(err)
	}
	i.applied(t, "default", 2)
}

func TestBasesArePreloadedWhileTheBuildRuns(t *testing.T) {
	i, _ := installed(t, 0)
	ref := messages.BuildRef{Build: build(1), Pipeline: "app", Order: 1}
	fleets := []messages.FleetTarget{target("default", func(p *messages.Policy) { p.PreloadBases = true })}
	pinned := &messages.BasePinned{BuildRef: ref, Attempt: 1, Bases: []messages.PinnedBase{{Source: "docker.io/library/base:latest", Image: image(99)}}, Fleets: fleets}
	buildstest.Built(t, i.q, ref, fleets, func(*messages.BuildRecord) {})
	if err := i.q.Publish(t.Context(), "", pinned); err != nil {
		t.Fatal(err)
	}
	i.fleet(t, "default", "to preload the base", func(r messages.FleetRecord) bool { return r.Bases != nil && r.Bases.Threshold > 0 })
	i.announce(t, 1, fleets...)
	i.applied(t, "default", 1)
	i.fleet(t, "default", "to preload nothing", func(r messages.FleetRecord) bool { return r.Bases == nil })
}

func TestTheServerRestartsInTheMiddle(t *testing.T) {
	i, n := installed(t, 0)
	n.set(func(n *simulated) { n.broken = "no space" })
	id := i.announce(t, 1, target("default", nil))
	i.rollout(t, id, "to wait for n1", func(r messages.RolloutRecord) bool { return strings.Contains(r.Why, "no space") })
	i.server.Restart(t)
	n.set(func(n *simulated) { n.broken = "" })
	i.applied(t, "default", 1)
	if _, err := store.Rollouts(i.q).Get(t.Context(), id); err != nil {
		t.Error(err)
	}
}
