package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// contested is a decision that two people make at the same moment.
type contested struct {
	name   string
	begin  func(t *testing.T, s *site) (path string)
	second string // what the second is told of the change
	twice  bool   // both may be carried out, as doing it twice is doing it once
}

func ofFleet(action string) func(*testing.T, *site) string {
	return func(t *testing.T, s *site) string {
		t.Helper()
		s.fleet(t, "production", 2)
		return "/fleets/production/" + action
	}
}

func ofRollout(action string) func(*testing.T, *site) string {
	return func(t *testing.T, s *site) string {
		t.Helper()
		s.fleet(t, "production", 2)
		return "/rollouts/" + s.moving(t, "production", messages.RolloutApproval, func(r *messages.RolloutRecord) { r.Policy.Approval = true }) + "/" + action
	}
}

var contests = []contested{
	{name: "hold", begin: ofFleet(actHold), second: "The hold was none, and is that of %s since "},
	{name: "release", begin: func(t *testing.T, s *site) string {
		t.Helper()
		path := ofFleet(actRelease)(t, s)
		_, err := people.Hold(queuetest.Within(t), s.admin, "production", "lunch", "carl")
		queuetest.Must(t, err)
		return path
	}, second: "and is none (released by %s: because of "},
	{name: "rollback", begin: ofFleet(actRollback), second: fmt.Sprintf("The current image was %s (epoch 2), and is %s (epoch 3) (%%s: rolled back from", imageOf(2), imageOf(1))},
	{name: "promote", begin: ofFleet(actPromote), second: fmt.Sprintf("The current image was %s (epoch 2), and is %s (epoch 3) (%%s: promoted", imageOf(2), imageOf(1))},
	{name: "approve", begin: ofRollout(actApprove), second: "The approval was not given, and is that of %s: because of "},
	{name: "abort", begin: ofRollout(actAbort), second: "The wish to abort was not given, and is that of %s: because of "},
	{name: "retire", begin: func(t *testing.T, s *site) string {
		t.Helper()
		s.fleet(t, "production", 2)
		s.silent(t, "production", "node-00007")
		return "/fleets/production/nodes/node-00007/retire"
	}, second: "and is none any more. %s decided"},
	{name: "requeue", begin: func(t *testing.T, s *site) string {
		t.Helper()
		return "/dead-letters/" + s.buriedRequest(t) + "/requeue"
	}, second: "and is gone. %s decided", twice: true},
	{name: "drop", begin: func(t *testing.T, s *site) string {
		t.Helper()
		return "/dead-letters/" + s.buriedRequest(t) + "/drop"
	}, second: "and is gone. %s decided"},
	{name: "cancel", begin: func(t *testing.T, s *site) string {
		t.Helper()
		return "/builds/" + s.asked(t, 1, nil) + "/cancel"
	}, second: "The build was queued, and is cancelled (%[1]s: because of %[1]s)"},
	{name: "retry", begin: func(t *testing.T, s *site) string {
		t.Helper()
		build := s.asked(t, 1, nil)
		queuetest.Must(t, builds.New(s.admin).Cancel(queuetest.Within(t), build, "carl"))
		return "/builds/" + build + "/retry"
	}, twice: true},
}

// beating has the nodes of the fleet send heartbeats until the test ends, which a promotion waits for.
func (s *site) beating(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for beat := uint64(2); ; beat++ {
			for _, node := range []string{"node-00000", "node-00001"} {
				_ = store.Nodes(s.admin).Note(messages.NodeKey("production", node), status("production", node, func(n *messages.NodeStatus) { n.Beat = beat }))
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	t.Cleanup(func() { stop(); <-ended })
}

// TestTwoPeopleDecideTheSameAtOnce: one of them does it, and the other is told what was, what is, and by whom.
func TestTwoPeopleDecideTheSameAtOnce(t *testing.T) {
	for _, c := range contests {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			path := c.begin(t, s)
			if c.name == "promote" {
				s.beating(t)
			}
			people := []string{"ada", "bob"}
			browsers, forms := map[string]*browser{}, map[string]url.Values{}
			for _, name := range people {
				browsers[name] = s.as(t, name)
				browsers[name].until(t, path, "it can be decided", says(`name="form"`))
				forms[name] = browsers[name].form(t, path, "because of "+name)
			}
			answers, before := map[string]answer{}, s.requests(t)
			var mu sync.Mutex
			var all sync.WaitGroup
			start := make(chan struct{})
			for _, name := range people {
				all.Go(func() {
					<-start
					a := browsers[name].post(t, path, forms[name])
					mu.Lock()
					defer mu.Unlock()
					answers[name] = a
				})
			}
			close(start)
			all.Wait()
			first, second := "ada", "bob"
			if answers[first].status != http.StatusSeeOther {
				first, second = second, first
			}
			if answers[first].status != http.StatusSeeOther {
				t.Fatalf("nobody could: %d %s\n%d %s", answers[first].status, answers[first].body, answers[second].status, answers[second].body)
			}
			if c.twice && answers[second].status == http.StatusSeeOther {
				if n := s.requests(t); n != before+1 || len(s.letters(t)) != 0 {
					t.Errorf("%d builds are asked for, %d letters are left", n-before, len(s.letters(t)))
				}
				return
			}
			want := fmt.Sprintf(c.second, first)
			if a := answers[second]; a.status != http.StatusConflict || !strings.Contains(a.body, want) || !strings.Contains(a.body, "Nothing was done") {
				t.Errorf("the second is answered %d, and not %q:\n%s", a.status, want, a.body)
			}
		})
	}
}

// TestTheSecondIsToldOfAnotherDecision, which is another one than theirs, and made at the command line.
func TestTheSecondIsToldOfAnotherDecision(t *testing.T) {
	s := newSite(t)
	path := ofRollout(actApprove)(t, s)
	id := strings.Split(path, "/")[2]
	ada := s.as(t, "ada")
	form := ada.form(t, path, "tried by hand")
	_, err := people.Abort(messages.Saying(queuetest.Within(t), "it leaks"), s.admin, id, "carl")
	queuetest.Must(t, err)
	a := ada.post(t, path, form)
	if a.status != http.StatusConflict || !strings.Contains(a.body, "The wish to abort was not given, and is that of carl: it leaks") || strings.Contains(a.body, "Who did that") || strings.Contains(a.body, `name="form"`) {
		t.Errorf("approving what was aborted: %d\n%s", a.status, a.body)
	}
	path = "/dead-letters/" + s.buriedRequest(t) + "/drop"
	form = ada.form(t, path, "")
	queuetest.Must(t, builds.New(s.admin).DropDeadLetter(queuetest.Within(t), strings.Split(path, "/")[2]))
	if a := ada.post(t, path, form); a.status != http.StatusConflict || !strings.Contains(a.body, "and is gone. Who did that this console doesn") {
		t.Errorf("dropping what was dropped: %d\n%s", a.status, a.body)
	}
}
