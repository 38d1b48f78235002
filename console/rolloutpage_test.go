package console

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// tell publishes what a controller or a person tells of a rollout.
func (s *site) tell(t *testing.T, e messages.RolloutChanged) {
	t.Helper()
	e.Build, e.Order, e.Image = "base-3", 3, imageOf(3)
	queuetest.Must(t, s.admin.Publish(queuetest.Within(t), "", &e))
}

func members(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("node-%05d", i))
	}
	return out
}

// lacks is what pages have that must not.
func lacks(t *testing.T, a answer, what ...string) {
	t.Helper()
	for _, text := range what {
		if strings.Contains(a.body, text) {
			t.Errorf("it has %q:\n%s", text, a.body)
		}
	}
}

func holds(t *testing.T, a answer, what ...string) {
	t.Helper()
	for _, text := range what {
		if !strings.Contains(a.body, text) {
			t.Errorf("it lacks %q:\n%s", text, a.body)
		}
	}
}

// TestARolloutIsReadFromRecordsAndEvents while it runs, and changes come in their place.
func TestARolloutIsReadFromRecordsAndEvents(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 20)
	opened := time.Now().UTC().Add(-10 * time.Minute)
	id := s.moving(t, "production", messages.RolloutApproval, func(r *messages.RolloutRecord) {
		r.Members, r.Canaries, r.Opened, r.Policy.Approval, r.Why = members(20), members(2), opened, true, "waits for approval"
		r.Ready.Bytes, r.Ready.Pipeline = 30_000_000, "base"
		r.Trials = map[string]messages.TrialResult{"node-00000": {Passed: true, Hooks: []messages.HookRun{{Hook: "pre-start", Output: hostile}}}}
		r.Curve = []messages.CurvePoint{{At: opened, Applying: 20}, {At: opened.Add(time.Minute), Present: 18, Applying: 20, Fetched: 540_000_000}}
	})
	s.tell(t, messages.RolloutChanged{Fleet: "production", Rollout: id, State: messages.RolloutPreloading, Members: 20})
	s.tell(t, messages.RolloutChanged{Fleet: "production", Rollout: "production-other", State: messages.RolloutHeld, Members: 20, Why: "of another rollout"})
	ada := s.as(t, "ada")
	a := ada.until(t, "/rollouts/"+id, "the rollout is there", says("1 to 20 of 20 members"))
	holds(t, a, "<svg", "540.0 MB", "30.0 MB", "quorum", "have the image: 18 of 20 so far", "canaries: 0 of 2 members have it", "<strong>approved</strong>", "not yet",
		"at a moment that is not known: it is not in the record", `href="/fleets/production/nodes/node-00019"`, `href="/builds/base-3"`, "Nobody has decided anything")
	lacks(t, a, "<script>alert", "\x1b", "of another rollout")
	stream := ada.listen(t, streamOf(t, a))
	await(t, stream, "known") // what it begins with
	s.node(t, "production", "node-00007", func(n *messages.NodeStatus) {
		n.Images = append(n.Images, messages.PresentImage{Image: imageOf(3), ID: "sha256:3", Local: "l3"})
	})
	await(t, stream, `id="m-node-00007"`)
	_, err := store.Rollouts(s.admin).Modify(queuetest.Within(t), id, func(r *messages.RolloutRecord) error {
		r.Approved, r.Updated = "bob", time.Now().UTC()
		return nil
	})
	queuetest.Must(t, err)
	s.tell(t, messages.RolloutChanged{Fleet: "production", Rollout: id, State: messages.RolloutApproval, Members: 20, By: "bob", Why: "approved: " + hostile})
	await(t, stream, "approved: &lt;script&gt;")
	if a := ada.get(t, "/rollouts/"+id); !strings.Contains(a.body, "<strong>bob</strong>: approve") {
		t.Errorf("it does not say who approved it:\n%s", a.body)
	}
}

// TestARolloutOfThePast whose record names no members, has no curve, and of which no event is kept, says what isn't known.
func TestARolloutOfThePast(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	long := time.Now().UTC().Add(-365 * 24 * time.Hour)
	id := s.moving(t, "production", messages.RolloutDone, func(r *messages.RolloutRecord) {
		r.Members, r.MemberCount, r.Opened, r.FlippedAt, r.Updated, r.Present, r.Approved, r.Policy.Approval = nil, 9000, long, long.Add(time.Hour), long.Add(2*time.Hour), 8990, "ada", true
	})
	vera := s.as(t, "vera")
	a := vera.until(t, "/rollouts/"+id, "the rollout is there", says("It counted 9000 members"))
	holds(t, a, "its record has no counts, and no event", "at a moment that is not known: the event", "At a moment that is not known <strong>ada</strong>: approve", "<strong>flipped</strong>")
	lacks(t, a, "<svg class", "0001-01-01")
}

// TestOldRecordsHaveTheirCurveOfEvents as long as they are kept.
func TestOldRecordsHaveTheirCurveOfEvents(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	id := s.moving(t, "production", messages.RolloutDone, func(r *messages.RolloutRecord) {
		r.Members, r.MemberCount, r.Present, r.FlippedAt = nil, 10, 9, time.Now().UTC()
	})
	for n, state := range []messages.RolloutState{messages.RolloutPreloading, messages.RolloutPreloading, messages.RolloutFlipped, messages.RolloutDone} {
		s.tell(t, messages.RolloutChanged{Fleet: "production", Rollout: id, State: state, Members: 10, Present: 3 * n, Epoch: 3, Why: fmt.Sprint("step ", n)})
	}
	vera := s.as(t, "vera")
	a := vera.until(t, "/rollouts/"+id, "its events are read", says("these are of the events"))
	holds(t, a, "have the image: 9 of 10", "Who had applied the image is not known", "<strong>fenceline</strong>: flip", "<strong>done</strong>")
}

// TestTenThousandMembersAreListedByPages and pages that there are not are empty.
func TestTenThousandMembersAreListedByPages(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	id := s.moving(t, "production", messages.RolloutPreloading, func(r *messages.RolloutRecord) { r.Members, r.Wave = members(10_000), 1 })
	vera := s.as(t, "vera")
	a := vera.until(t, "/rollouts/"+id+"?page=50", "the rollout is there", says("9801 to 10000 of 10000 members"))
	if n := strings.Count(a.body, `<li id="m-`); n != membersShown || strings.Contains(a.body, "Those after") || !strings.Contains(a.body, "?page=49") {
		t.Errorf("%d members are on its last page", n)
	}
	seen := map[string]bool{}
	for _, page := range []int{1, 2, 50} {
		for _, line := range strings.Split(vera.get(t, fmt.Sprintf("/rollouts/%s?page=%d", id, page)).body, `<li id="m-`)[1:] {
			seen[line[:strings.Index(line, `"`)]] = true
		}
	}
	if len(seen) != 3*membersShown {
		t.Errorf("three pages have %d members", len(seen))
	}
	for _, page := range []string{"51", "0", "-1", "x", "99999999999999999999"} {
		if a := vera.get(t, "/rollouts/"+id+"?page="+page); a.status != http.StatusOK {
			t.Errorf("page %s: %d", page, a.status)
		}
	}
	holds(t, vera.get(t, "/rollouts/"+id+"?page=51"), "There are no more members")
}

// TestAPageThatIsGoneLeavesNoProblem to those who read the same.
func TestAPageThatIsGoneLeavesNoProblem(t *testing.T) {
	s := newSite(t)
	r := readings[int]{queue: s.it.queue}
	read := func(ctx context.Context) (int, error) { return 7, ctx.Err() }
	gone, leave := context.WithCancel(t.Context())
	leave()
	r.get(gone, "x", "1", read)
	if v, problem, _ := r.get(t.Context(), "x", "1", read); v != 7 || problem != "" {
		t.Errorf("%d, %q", v, problem)
	}
}
