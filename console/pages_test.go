package console

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// moving writes a rollout of an image into a fleet.
func (s *site) moving(t *testing.T, fleet string, state messages.RolloutState, change func(*messages.RolloutRecord)) string {
	t.Helper()
	r := messages.RolloutRecord{
		ID: fleet + "-base-3", Fleet: fleet, State: state, Policy: messages.DefaultPolicy(), Members: []string{"node-00000"}, Canaries: []string{"node-00000"},
		Opened: time.Now().UTC(), Updated: time.Now().UTC(),
	}
	r.Ready.BuildRef = messages.BuildRef{Build: "base-3", Pipeline: "base", Order: 3}
	r.Ready.Image = imageOf(3)
	if change != nil {
		change(&r)
	}
	_, err := store.Rollouts(s.admin).Create(queuetest.Within(t), r.ID, r)
	queuetest.Must(t, err)
	return r.ID
}

func TestTheFirstPageSaysWhatNeedsAPerson(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 3)
	s.moving(t, "production", messages.RolloutApproval, func(r *messages.RolloutRecord) {
		r.Policy.Approval, r.Why = true, "everything holds but a person's word"
	})
	_, err := store.Builds(s.admin).Create(queuetest.Within(t), "other-1", messages.BuildRecord{
		BuildRef: messages.BuildRef{Build: "other-1", Pipeline: "other", Order: 1}, State: messages.BuildStateFailed,
		Failure: &messages.Failure{Class: messages.FailureUser, Reason: "the hook has no shebang", Fix: "write #!/bin/sh first"},
	})
	queuetest.Must(t, err)
	for who, decides := range map[string]bool{"ada": true, "vera": false} {
		a := s.as(t, who).until(t, "/", "all is there", func(a answer) bool {
			return strings.Contains(a.body, "no shebang") && strings.Contains(a.body, "3 present") && strings.Contains(a.body, "everything holds")
		})
		for _, want := range []string{
			"Present on 3 of 3 members", `>approval</a>`, "everything holds but a person&#39;s word", "Fix: write #!/bin/sh first", `title="` + string(imageOf(2)) + `"`,
		} {
			if !strings.Contains(a.body, want) {
				t.Errorf("%s is not told %q:\n%s", who, want, a.body)
			}
		}
		for _, link := range []string{"/rollouts/production-base-3/approve", "/fleets/production/hold", "/fleets/production/rollback"} {
			if strings.Contains(a.body, `href="`+link+`"`) != decides {
				t.Errorf("%s has a link to %s: %t", who, link, !decides)
			}
		}
	}
}

// TestTextFromOutsideIsEscaped wherever it stands: neither a browser nor a terminal obeys it.
func TestTextFromOutsideIsEscaped(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	s.node(t, "production", "node-00001", func(n *messages.NodeStatus) {
		n.Engine.Error, n.Engine.Version, n.Version, n.Mirror = hostile, hostile, hostile, hostile
		n.Labels = map[string]string{"x": hostile}
		n.Containers = []messages.ContainerUse{{Container: hostile, Image: hostile}}
		n.Troubles = []messages.MirrorTrouble{{Mirror: hostile, Reason: hostile}}
	})
	id := s.moving(t, "production", messages.RolloutPreloading, func(r *messages.RolloutRecord) {
		r.Why, r.Ready.Ref, r.Ready.Commit = hostile, "refs/heads/"+hostile, hostile
		r.Ready.Reason = &messages.Reason{Kind: messages.ReasonPush, Detail: hostile}
		r.Failed = map[string]string{"node-00001": hostile}
		r.Trials = map[string]messages.TrialResult{"node-00000": {Reason: hostile, Hooks: []messages.HookRun{{Hook: hostile, Output: hostile}}}}
	})
	_, err := store.Fleets(s.admin).Modify(queuetest.Within(t), "production", func(f *messages.FleetRecord) error {
		f.Hold = &messages.Hold{By: hostile, Reason: hostile, At: time.Now()}
		f.Decided = &messages.Decided{Epoch: 2, By: hostile, Reason: hostile}
		f.Applied.Error = hostile
		return nil
	})
	queuetest.Must(t, err)
	_, err = store.Builds(s.admin).Create(queuetest.Within(t), "other-1", messages.BuildRecord{
		BuildRef: messages.BuildRef{Build: "other-1", Pipeline: "other", Order: 1}, State: messages.BuildStateFailed,
		Failure: &messages.Failure{Class: messages.FailureUser, Reason: hostile, Fix: hostile, Place: hostile, Findings: []messages.Finding{{File: hostile, Problem: hostile, Fix: hostile}}},
	})
	queuetest.Must(t, err)
	ada := s.as(t, "ada")
	ada.until(t, "/", "all is there", func(a answer) bool {
		return strings.Contains(a.body, "other-1") && strings.Contains(a.body, "1 behind") && strings.Contains(a.body, id)
	})
	nothing := func(what, body string) {
		t.Helper()
		for _, bad := range []string{"<script>alert", "<img", "\x1b", "\x07", `"'&`} {
			if strings.Contains(body, bad) {
				t.Errorf("%s has %q as it was sent:\n%s", what, bad, body)
			}
		}
		if !strings.Contains(body, "alert(1)") {
			t.Errorf("%s does not show the text at all", what)
		}
	}
	for _, path := range []string{"/", "/fleets/production", "/fleets/production/nodes/node-00001", "/rollouts/" + id, "/fleets/production/release"} {
		a := ada.get(t, path)
		nothing(path, a.body)
		if strings.Contains(a.body, "data-events") {
			nothing("the stream of "+path, await(t, ada.listen(t, streamOf(t, a)), "patch"))
		}
	}
	for _, path := range []string{"/fleets/%3Cscript%3Ealert(1)", "/rollouts/%3Cscript%3Ealert(1)", "/fleets/production/nodes/%3Cscript%3Ealert(1)"} {
		if a := ada.get(t, path); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		} else {
			nothing(path, a.body)
		}
	}
	a := ada.get(t, "/fleets/production?text=%22%3E%3Cscript%3Ealert(1)&label=%22%3E%3Cscript%3Ealert(1)&state=%3Cscript%3Ealert(1)")
	nothing("a filter", a.body)
}

func TestEveryAnswerIsStrict(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 1)
	ada := s.as(t, "ada")
	for _, a := range []answer{ada.get(t, "/"), ada.get(t, "/none/such"), s.as(t, "").get(t, "/sign-in"), s.as(t, "").get(t, "/assets/x/live.js")} {
		if p := a.header.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") || strings.Contains(p, "unsafe") || strings.Contains(p, "http") {
			t.Errorf("the policy is %q", p)
		}
		if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("X-Frame-Options") != "DENY" || a.header.Get("Referrer-Policy") == "" {
			t.Errorf("the headers are %v", a.header)
		}
		for _, bad := range []string{"<script>", "style=", "onclick", "//cdn", "https://"} {
			if strings.Contains(a.body, bad) {
				t.Errorf("a page has %q", bad)
			}
		}
	}
}

func TestNodesAreFilteredAndPaged(t *testing.T) {
	s := newSite(t)
	s.fleet(t, "production", 30)
	s.node(t, "production", "node-00007", func(n *messages.NodeStatus) { n.Engine.Error = "no such socket"; n.Images = nil })
	s.node(t, "production", "node-00008", func(n *messages.NodeStatus) {
		n.Labels = map[string]string{"rack": "b"}
		n.Fetching = &messages.ImageFetch{Image: imageOf(3), Bytes: 42, Total: 100}
	})
	s.node(t, "production", "node-00009", func(n *messages.NodeStatus) {
		n.Images = append(n.Images, messages.PresentImage{Image: imageOf(3)})
		n.Applied = &messages.NodeApplied{Image: imageOf(2), State: messages.ApplyDone}
	})
	vera := s.as(t, "vera")
	vera.until(t, "/fleets/production", "all nodes are there", func(a answer) bool {
		return strings.Contains(a.body, "1 to 30 of 30 nodes") && strings.Contains(a.body, "node-00009: applied") && strings.Contains(a.body, "no such socket") && strings.Contains(a.body, "pulling 42%")
	})
	for query, want := range map[string][]int{
		"state=behind": {7}, "state=pulling": {8}, "state=applied": {9}, "label=rack=b": {8}, "label=rack": nil, "image=" + strings.Repeat("0", 63) + "3": {9},
		"text=no+such+SOCKET": {7}, "text=node-0000": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, "per=10&page=3": {20, 21, 22, 23, 24, 25, 26, 27, 28, 29}, "per=10&page=4": {}, "page=x&per=y&state=z": nil,
	} {
		a := vera.get(t, "/fleets/production?"+query)
		for n := range 30 {
			shown := strings.Contains(a.body, fmt.Sprintf(`id="n-node-%05d"`, n))
			wanted := want == nil
			for _, w := range want {
				wanted = wanted || w == n
			}
			if shown != wanted {
				t.Errorf("with %s node %d is shown: %t", query, n, shown)
			}
		}
	}
	if a := vera.get(t, "/fleets/production?per=10&page=2&state=present"); !strings.Contains(a.body, "11 to 20 of 27 nodes") || !strings.Contains(a.body, "page=3&amp;per=10&amp;state=present") {
		t.Errorf("the second page:\n%s", a.body)
	}
	a := vera.get(t, "/fleets/production/nodes/node-00008")
	for _, want := range []string{"docker 29.0", "34.4 GB", "rack=b", "as <code>l2</code>", "Heard <time"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the node's page has no %q:\n%s", want, a.body)
		}
	}
}

// TestMomentsInSentences are elements of their own, which the script has in the reader's zone; all else of a sentence is text.
func TestMomentsInSentences(t *testing.T) {
	got := string(timed("held by <b>\x1b at 2026-01-02 03:04:05 UTC: not 2026-13-45 03:04:05 UTC"))
	want := `held by &lt;b&gt;\x1b at <time datetime="2026-01-02T03:04:05Z" title="2026-01-02 03:04:05 UTC">2026-01-02 03:04:05 UTC</time>: not 2026-13-45 03:04:05 UTC`
	if got != want {
		t.Errorf("it is\n%s, not\n%s", got, want)
	}
}
