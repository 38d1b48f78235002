package console

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/natskv"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// set writes a fleet's fence config, as a controller does.
func (s *site) set(t *testing.T, fleet, value string, cause fence.Cause) {
	t.Helper()
	ctx, config := queuetest.Within(t), natskv.New(s.admin, fleet)
	was, err := config.Get(ctx)
	queuetest.Must(t, err)
	_, err = config.SetFor(ctx, value, was.Revision, cause)
	queuetest.Must(t, err)
}

func TestTheHistoryOfAFleet(t *testing.T) {
	s := newSite(t)
	s.set(t, "production", "by/hand:1", fence.Cause{})
	s.set(t, "production", string(imageOf(9)), fence.Cause{Epoch: 1, Rollout: "production-base-9", Build: "base-9", Order: 1, By: "fenceline", Reason: "flipped by rollout production-base-9"})
	s.set(t, "production", string(imageOf(1)), fence.Cause{Epoch: 2, By: "bob", Reason: "promoted: " + hostile})
	s.set(t, "production", string(imageOf(2)), fence.Cause{Epoch: 3, By: "fenceline"})
	s.fleet(t, "production", 4)
	ada, vera := s.as(t, "ada"), s.as(t, "vera")
	a := ada.until(t, "/fleets/production/history", "it is read", says("1 to 4 of 4 values"))
	holds(t, a, "Epoch 2.", "By bob: promoted: &lt;script&gt;", "<strong>current</strong>", "production-base-9, whose record is gone", "By whom is not recorded",
		`href="/fleets/production/rollback?to=`+imageOf(1).Digest()+`"`, "the fleet keeps it no more", "it is no image by digest")
	lacks(t, a, "<script>alert", "\x1b", "0001-01-01")
	if n := strings.Count(a.body, "Make this current again"); n != 1 {
		t.Errorf("%d values can be made current again:\n%s", n, a.body)
	}
	lacks(t, vera.get(t, "/fleets/production/history"), "Make this current again")
	holds(t, ada.get(t, "/fleets/production/rollback?to="+imageOf(1).Digest()), "From", "4 of 4 nodes have it now", `name="to" value="`+imageOf(1).Digest()+`"`)
	holds(t, ada.get(t, "/fleets/production"), `href="/fleets/production/history"`, `href="/fleets/production/rollouts"`)
	if a := ada.get(t, "/fleets/none/history"); a.status != http.StatusNotFound {
		t.Errorf("of no fleet: %d", a.status)
	}
	stream := ada.listen(t, streamOf(t, a))
	await(t, stream, "history")
	if a := ada.post(t, "/fleets/production/rollback", ada.form(t, "/fleets/production/rollback", "it leaks")); a.status != http.StatusSeeOther {
		t.Fatalf("a rollback: %d", a.status)
	}
	await(t, stream, `href="/fleets/production/promote?to=`+imageOf(2).Digest()+`"`) // the newer one is gone back to by promoting it
}

func TestHistoryByPages(t *testing.T) {
	s := newSite(t)
	for n := range 60 {
		s.set(t, "production", fmt.Sprintf("by/hand:%d", n), fence.Cause{})
	}
	s.fleet(t, "production", 1)
	vera := s.as(t, "vera")
	a := vera.until(t, "/fleets/production/history", "it is read", says("1 to 50 of 60 values"))
	holds(t, a, "by/hand:59", "by/hand:10", `href="/fleets/production/history?page=2"`)
	lacks(t, a, "by/hand:9<")
	holds(t, vera.get(t, "/fleets/production/history?page=2"), "51 to 60 of 60", "by/hand:9<", "Newer ones")
	holds(t, vera.get(t, "/fleets/production/history?page=9"), "There are no more")
}

func TestRolloutsOfAFleet(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	for n := range 55 {
		s.moving(t, "production", messages.RolloutDone, func(r *messages.RolloutRecord) {
			r.ID, r.Ready.Order, r.Why = fmt.Sprint("production-base-", n), uint64(n+1), hostile
			r.FlippedAt, r.MemberCount, r.Members = time.Now().UTC(), 3, nil
		})
	}
	s.moving(t, "staging", messages.RolloutDone, nil)
	vera := s.as(t, "vera")
	a := vera.until(t, "/fleets/production/rollouts", "all are there", says("1 to 50 of 55 rollouts"))
	holds(t, a, `href="/rollouts/production-base-54"`, `href="/rollouts/production-base-5"`)
	lacks(t, a, `href="/rollouts/production-base-4"`, "staging-base", "<script>alert", "\x1b")
	holds(t, vera.get(t, "/fleets/production/rollouts?page=2"), `href="/rollouts/production-base-4"`)
}
