package statuses

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/metrics"
	"github.com/fenceline/fenceline/statuses/target"
)

func giteaTarget(t *testing.T, s *standIn) target.Target {
	t.Helper()
	return filled(t, target.Target{Pipeline: "base", Forge: target.Gitea, URL: s.URL, TokenFile: tokenFile(t, testToken)})
}

// rollout writes a rollout's record, as a controller does, and tells of it where tell is set.
func rollout(t *testing.T, c *queue.Client, build string, tell bool, change func(*messages.RolloutRecord)) {
	t.Helper()
	id := messages.RolloutID("production", build)
	e, err := store.Rollouts(c).Modify(within(t), id, func(r *messages.RolloutRecord) error {
		r.ID, r.Fleet, r.Ready.Build, r.MemberCount = id, "production", build, 20
		change(r)
		return nil
	})
	must(t, err)
	if tell {
		must(t, c.Publish(within(t), "", &messages.RolloutChanged{Fleet: "production", Rollout: id, Build: build, State: e.Value.State}))
	}
}

func feeding(r *messages.BuildRequested) *messages.BuildRequested {
	r.Pipeline.Fleets = []messages.FleetTarget{{Fleet: "production", Policy: messages.DefaultPolicy()}}
	return r
}

// TestACommitIsFollowedToTheFleet has a push followed to where it is live, and back.
func TestACommitIsFollowedToTheFleet(t *testing.T) {
	_, as := installation(t)
	forge := newStandIn(t)
	counted := metrics.New("v1")
	work(t, as("statuses"), giteaTarget(t, forge), func(c *Config) { c.Metrics = counted.Statuses() })
	commit := buildstest.Commit(1)
	request := feeding(buildstest.Request("base", 1))
	a := buildstest.Submit(t, as("producer"), request)
	forge.last(t, commit, "pending queued")
	may := make(chan struct{})
	buildstest.Consume(t, as("builder"), buildstest.Work(func(_ context.Context, j *builds.Job) (messages.Payload, error) {
		<-may
		m := buildstest.Ready(j.Request)
		m.Fleets = j.Request.Pipeline.Fleets
		return m, nil
	}))
	forge.last(t, commit, "pending building")
	close(may)
	forge.last(t, commit, "pending image ready, waiting in production")
	controller := as("controller")
	set := func(state messages.RolloutState, why string, tell bool, present int) {
		rollout(t, controller, a.Build, tell, func(r *messages.RolloutRecord) { r.State, r.Why, r.Present = state, why, present })
	}
	set(messages.RolloutPreloading, "", true, 3)
	forge.last(t, commit, "pending preloading in production: 3 of 20 nodes hold it")
	set(messages.RolloutPreloading, "", false, 18)
	forge.last(t, commit, "pending preloading in production: 18 of 20 nodes hold it")
	set(messages.RolloutApproval, "", true, 20)
	forge.last(t, commit, "pending waits for approval in production: 20 of 20 nodes hold it")
	set(messages.RolloutHeld, "held by ann (rolled back)", true, 20)
	forge.last(t, commit, "pending held in production: held by ann (rolled back)")
	set(messages.RolloutSoaking, "", true, 20)
	forge.last(t, commit, "pending live in production, not trusted yet: 20 of 20 nodes hold it")
	set(messages.RolloutDone, "", true, 20)
	forge.last(t, commit, "success live in production")
	set(messages.RolloutRolledBack, "rolled back by ann to x", true, 20)
	forge.last(t, commit, "failure rolled back in production: rolled back by ann to x")
	if all := forge.texts(commit); len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("something is told twice: %q", all)
	}
	eventually(t, "each is counted", func() bool {
		w := httptest.NewRecorder()
		counted.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return strings.Contains(w.Body.String(), fmt.Sprintf("\nfenceline_statuses_total{forge=\"gitea\",outcome=\"told\"} %d\n", len(forge.texts(commit))))
	})
	if got := forge.all()[0]; got.path != "/api/v1/repos/ops/base/statuses/"+commit || got.authorization != "token "+testToken || got.body["context"] != "fenceline/base" {
		t.Errorf("it was asked %+v", got)
	}
}

// TestHowABuildEndsIsTold has each way in which one ends without an image.
func TestHowABuildEndsIsTold(t *testing.T) {
	_, as := installation(t)
	forge := newStandIn(t)
	work(t, as("statuses"), giteaTarget(t, forge))
	producer := as("producer")
	cancelled := buildstest.Submit(t, producer, buildstest.Request("base", 9))
	forge.last(t, buildstest.Commit(9), "pending queued")
	must(t, builds.New(as("operator")).Cancel(within(t), cancelled.Build, "ann"))
	forge.last(t, buildstest.Commit(9), "error cancelled by ann")

	finding := messages.Finding{File: "pre-running", Line: 3, Problem: "if without fi\x1b[31m", Fix: "add fi"}
	ends := []struct {
		payload messages.Payload
		told    string
	}{
		{&messages.BuildFailed{Failure: messages.Failure{Class: messages.FailureHooks, Reason: "a hook is refused", Findings: []messages.Finding{{File: "x", Warning: true}, finding, finding}}},
			`failure refused: pre-running:3: if without fi\x1b[31m; add fi (and 1 more)`},
		{&messages.BuildFailed{Failure: messages.Failure{Class: messages.FailureUser, Reason: "RUN false\nended with 1", Place: "Dockerfile:3"}},
			"failure failed: Dockerfile:3: RUN false ended with 1"},
		{&messages.BuildFailed{Failure: messages.Failure{Class: messages.FailureInfrastructure, Reason: "the registry is full"}},
			"error not built, by no fault of the commit: the registry is full"},
		{&messages.BuildSuperseded{Head: strings.Repeat("f", 40)}, "error superseded by ffffffffffff, the branch's new head"},
		{&messages.BuildSuperseded{Head: strings.Repeat("e", 40), FollowedBy: "base-next"}, "error superseded by eeeeeeeeeeee, build base-next"},
		{&messages.ImageReady{}, "success image ready: " + string(buildstest.Image(1))},
	}
	buildstest.Consume(t, as("builder"), buildstest.Work(func(_ context.Context, j *builds.Job) (messages.Payload, error) {
		for i, end := range ends {
			if j.Request.Commit != buildstest.Commit(i+1) {
				continue
			}
			switch p := end.payload.(type) {
			case *messages.ImageReady:
				return buildstest.Ready(j.Request), nil
			case *messages.BuildSuperseded:
				p.Commit = j.Request.Commit
			}
			return end.payload, nil
		}
		return nil, fmt.Errorf("%s was asked for", j.Request.Commit)
	}))
	for i, end := range ends {
		buildstest.Submit(t, producer, buildstest.Request("base", i+1))
		forge.last(t, buildstest.Commit(i+1), end.told)
	}
	other := buildstest.Request("other", 5)
	other.Commit = strings.Repeat("e", 40)
	buildstest.Submit(t, producer, other)
	settled(t, as("admin"))
	if got := forge.texts(other.Commit); len(got) > 0 {
		t.Errorf("of a pipeline of which nobody is to be told, it was told %q", got)
	}
}

// TestAForgeThatIsAwayIsToldTheNewestAlone has a forge away while a commit goes through all its states, the worker started
// anew meanwhile: nothing of it is lost, and no earlier state is told.
func TestAForgeThatIsAwayIsToldTheNewestAlone(t *testing.T) {
	_, as := installation(t)
	forge := newStandIn(t)
	var tries atomic.Int32
	forge.answers(func(w http.ResponseWriter, _ *http.Request) bool {
		tries.Add(1)
		w.WriteHeader(http.StatusBadGateway)
		return true
	})
	x := giteaTarget(t, forge)
	stop := work(t, as("statuses"), x)
	commit := buildstest.Commit(1)
	a := buildstest.Submit(t, as("producer"), feeding(buildstest.Request("base", 1)))
	eventually(t, "the forge is asked again and again", func() bool { return tries.Load() > 2 })
	buildstest.Consume(t, as("builder"), buildstest.Work(func(_ context.Context, j *builds.Job) (messages.Payload, error) {
		m := buildstest.Ready(j.Request)
		m.Fleets = j.Request.Pipeline.Fleets
		return m, nil
	}))
	buildstest.Ended(t, as("operator"), a.Build) // whatever the forge does
	stop()
	before := tries.Load()
	work(t, as("statuses"), x)
	rollout(t, as("controller"), a.Build, true, func(r *messages.RolloutRecord) { r.State = messages.RolloutDone })
	eventually(t, "another worker asks the forge", func() bool { return tries.Load() > before+2 })
	problem, err := store.ForgeProblems(as("operator")).Get(within(t), messages.ForgeProblemKey("base"))
	if err != nil || !strings.Contains(problem.Value.Problem, "502 Bad Gateway") || problem.Value.Forge != forge.URL {
		t.Errorf("the problem is %+v, %v", problem.Value, err)
	}
	forge.answers(nil)
	forge.last(t, commit, "success live in production")
	if all := forge.texts(commit); len(all) != 1 {
		t.Errorf("it was told %q", all)
	}
	eventually(t, "there is no problem any more", func() bool {
		_, err := store.ForgeProblems(as("operator")).Get(within(t), messages.ForgeProblemKey("base"))
		return err != nil
	})
}

// TestALaterBuildOfACommitCounts: a build that was asked for again is told of, and the first one no more.
func TestALaterBuildOfACommitCounts(t *testing.T) {
	_, as := installation(t)
	forge := newStandIn(t)
	work(t, as("statuses"), giteaTarget(t, forge))
	commit := buildstest.Commit(1)
	first := buildstest.Submit(t, as("producer"), buildstest.Request("base", 1))
	fail := true
	buildstest.Consume(t, as("builder"), buildstest.Work(func(_ context.Context, j *builds.Job) (messages.Payload, error) {
		if fail {
			fail = false
			return &messages.BuildFailed{Failure: messages.Failure{Class: messages.FailureUser, Reason: "no"}}, nil
		}
		return buildstest.Ready(j.Request), nil
	}))
	forge.last(t, commit, "failure failed: no")
	operator := as("operator")
	_, err := builds.New(operator).Retry(within(t), first.Build, "ann")
	must(t, err)
	ready := "success image ready: " + string(buildstest.Image(1))
	forge.last(t, commit, ready)
	must(t, as("controller").Publish(within(t), "", &messages.RolloutChanged{Fleet: "production", Rollout: "production-" + first.Build, Build: first.Build, State: messages.RolloutDone}))
	other := buildstest.Submit(t, as("producer"), buildstest.Request("base", 2)) // after it
	buildstest.Ended(t, operator, other.Build)
	forge.last(t, buildstest.Commit(2), ready)
	settled(t, as("admin"))
	forge.last(t, commit, ready)
}

// settled waits until no hint is left.
func settled(t *testing.T, c *queue.Client) {
	t.Helper()
	eventually(t, "no hint is left", func() bool {
		for _, from := range store.StatusConsumers(c.Space()) {
			if n, err := c.Unsettled(within(t), from); err != nil || n > 0 {
				return false
			}
		}
		return true
	})
}

// TestTwoWorkersTellOnce: one of two acts, and the other one goes on where it ends.
func TestTwoWorkersTellOnce(t *testing.T) {
	_, as := installation(t)
	forge := newStandIn(t)
	x := giteaTarget(t, forge)
	stop := work(t, as("statuses"), x, func(c *Config) { c.Name = "one" })
	ready := "success image ready: " + string(buildstest.Image(1))
	buildstest.Consume(t, as("builder"), buildstest.Work(func(_ context.Context, j *builds.Job) (messages.Payload, error) {
		return buildstest.Ready(j.Request), nil
	}))
	buildstest.Submit(t, as("producer"), buildstest.Request("base", 1))
	forge.last(t, buildstest.Commit(1), ready)
	work(t, as("statuses"), x, func(c *Config) { c.Name = "two" })
	for n := 2; n < 6; n++ {
		if n == 4 {
			stop()
		}
		buildstest.Submit(t, as("producer"), buildstest.Request("base", n))
		forge.last(t, buildstest.Commit(n), ready)
	}
	settled(t, as("admin"))
	for n := 1; n < 6; n++ {
		all := forge.texts(buildstest.Commit(n))
		for i, text := range all { // each once, in order
			if rank := slices.Index([]string{"pending queued", "pending building", ready}, text); rank < 0 || i > 0 && slices.Index([]string{"pending queued", "pending building", ready}, all[i-1]) >= rank {
				t.Errorf("of commit %d it was told %q", n, all)
			}
		}
	}
}

// TestATokenThatIsRefusedIsReadAgain: the cause and the fix are written down, and a new token counts at once.
func TestATokenThatIsRefusedIsReadAgain(t *testing.T) {
	_, as := installation(t)
	forge := newStandIn(t)
	forge.answers(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "token "+testToken {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"message":"user does not exist [uid: 0, name: ]","url":"https://gitea.example.com/api/swagger"}`))
		return true
	})
	x := giteaTarget(t, forge)
	must(t, os.WriteFile(x.TokenFile, []byte("another-token-0123456789"), 0o600))
	work(t, as("statuses"), x, func(c *Config) { c.Pause = time.Minute }) // it would not try again soon by itself
	buildstest.Submit(t, as("producer"), buildstest.Request("base", 1))
	eventually(t, "the problem is written down", func() bool {
		e, err := store.ForgeProblems(as("operator")).Get(within(t), messages.ForgeProblemKey("base"))
		return err == nil && strings.Contains(e.Value.Problem, "401 Unauthorized") && strings.Contains(e.Value.Problem, x.TokenFile) &&
			strings.Contains(e.Value.Problem, "write:repository") && !strings.Contains(e.Value.Problem, "another-token")
	})
	must(t, os.WriteFile(x.TokenFile, []byte(testToken), 0o600))
	forge.last(t, buildstest.Commit(1), "pending queued")
}

// TestAForgeThatHangsKeepsNobodyWaiting has two forges, of which one takes connections and says nothing.
func TestAForgeThatHangsKeepsNobodyWaiting(t *testing.T) {
	_, as := installation(t)
	hanging, forge := newStandIn(t), newStandIn(t)
	release := make(chan struct{})
	hanging.answers(func(http.ResponseWriter, *http.Request) bool { <-release; return true })
	t.Cleanup(func() { close(release) })
	x, y := giteaTarget(t, forge), giteaTarget(t, hanging)
	y.Pipeline = "other"
	stop := work(t, as("statuses"), x, func(c *Config) { c.Targets = append(c.Targets, y) })
	buildstest.Submit(t, as("producer"), buildstest.Request("other", 1))
	for n := 1; n < 4; n++ {
		buildstest.Submit(t, as("producer"), buildstest.Request("base", n))
		forge.last(t, buildstest.Commit(n), "pending queued")
	}
	stop() // a call under way is given up
}
