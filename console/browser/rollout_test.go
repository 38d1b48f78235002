package browser

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/natskv"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// hostile is text as a stranger would send it, to be neither run nor obeyed.
const hostile = `<script>window.hacked = 1; document.title = "own"</script><img src=x onerror="window.hacked = 2; document.title='own'"> "'&` + "\x1b[31mred\x1b[2J\x1b]0;own\x07"

// rollout writes a rollout's record.
func (i *installation) rollout(t *testing.T, n int, state messages.RolloutState, members int, change func(*messages.RolloutRecord)) string {
	t.Helper()
	r := messages.RolloutRecord{
		ID: fmt.Sprint("production-base-", n), Fleet: "production", State: state, Policy: messages.DefaultPolicy(), MemberCount: members,
		Opened: time.Now().UTC().Add(-20 * time.Minute), Updated: time.Now().UTC(),
	}
	r.Ready.BuildRef = messages.BuildRef{Build: fmt.Sprint("base-", n), Pipeline: "base", Order: uint64(n)}
	r.Ready.Image, r.Ready.Bytes, r.Ready.Ref, r.Ready.Received = image(n), 31_400_000, "refs/heads/main", r.Opened.Add(-3*time.Minute)
	if !state.Final() {
		for m := range members {
			r.Members = append(r.Members, fmt.Sprintf("node-%05d", m))
		}
	}
	change(&r)
	_, err := store.Rollouts(i.admin).Create(queuetest.Within(t), r.ID, r)
	queuetest.Must(t, err)
	return r.ID
}

// rise is a curve of a rollout of so many members, with a count after each step.
func rise(from time.Time, step time.Duration, members int) (out []messages.CurvePoint) {
	for n := range 41 {
		p := messages.CurvePoint{At: from.Add(time.Duration(n) * step), Present: min(members, members*n/24), Applying: members, Fetched: int64(min(n, 24)) * 31_400_000 * int64(members) / 24}
		if n > 25 {
			p.Applied = min(p.Present, members*(n-25)/13)
		}
		out = append(out, p)
	}
	return out
}

// past gives an installation a rollout that runs, one that is done, one of an old controller, a history and dead letters.
func (i *installation) past(t *testing.T, members int) (running, done, old string) {
	t.Helper()
	ctx := queuetest.Within(t)
	told := func(rollout string, state messages.RolloutState, by, why string, epoch uint64) {
		queuetest.Must(t, i.admin.Publish(ctx, "", &messages.RolloutChanged{
			Fleet: "production", Rollout: rollout, Image: image(2), State: state, By: by, Why: why, Epoch: epoch, Members: members, Present: members,
		}))
	}
	running = i.rollout(t, 4, messages.RolloutPreloading, members, func(r *messages.RolloutRecord) {
		r.Canaries, r.Wave, r.Why, r.Present = r.Members[:2], 1, "present on 40 of "+fmt.Sprint(members), 40
		r.Curve = rise(r.Opened, 30*time.Second, members)[:8]
		r.Failed, r.FailedCount = map[string]string{r.Members[3]: hostile}, 1
		r.Trials = map[string]messages.TrialResult{r.Members[0]: {Passed: true, Hooks: []messages.HookRun{{Hook: "pre-start", Output: hostile}}}}
	})
	told(running, messages.RolloutPreloading, "", "", 0)
	done = "production-base-2"
	built := messages.BuildRef{Build: "base-2", Pipeline: "base", Order: 2}
	received := time.Now().UTC()
	queuetest.Must(t, i.admin.Publish(ctx, "", &messages.BuildStarted{BuildRef: built, Attempt: 1, Worker: "builder-1"}))
	queuetest.Must(t, i.admin.Publish(ctx, "", &messages.ImageReady{BuildRef: built, Image: image(2), Tag: "2f61c0a"}))
	opened := time.Now().UTC()
	told(done, messages.RolloutPreloading, "", "", 0)
	queuetest.Must(t, i.admin.Publish(ctx, "", &messages.TrialFinished{Fleet: "production", Node: "node-00000", Rollout: done, Image: image(2), TrialResult: messages.TrialResult{Passed: true}}))
	told(done, messages.RolloutApproval, "", "waits for approval", 0)
	told(done, messages.RolloutApproval, "ada", "approved: tried by hand", 0)
	i.rollout(t, 2, messages.RolloutDone, members, func(r *messages.RolloutRecord) {
		r.Policy.Approval, r.Policy.Soak, r.Approved, r.FlippedAt, r.Present, r.Admitted, r.Wave = true, messages.Duration(20*time.Second), "ada", time.Now().UTC(), members, members, 2
		r.Opened, r.Canaries, r.Ready.Received = opened, []string{"node-00000"}, received
		r.Curve = rise(opened, max(r.FlippedAt.Sub(opened)/25, time.Millisecond), members)
		r.Trials = map[string]messages.TrialResult{"node-00000": {Passed: true}}
	})
	told(done, messages.RolloutFlipped, "", "", 2)
	told(done, messages.RolloutSoaking, "", "", 0)
	told(done, messages.RolloutDone, "", "", 0)
	old = i.rollout(t, 1, messages.RolloutRolledBack, members, func(r *messages.RolloutRecord) {
		r.Ready.Received, r.Why, r.FlippedAt = time.Time{}, "rolled back by bob: "+hostile, time.Now().UTC().Add(-400*24*time.Hour)
	})
	config, revision := natskv.New(i.admin, "production"), fence.Revision("")
	for n, cause := range []fence.Cause{
		{Epoch: 1, Rollout: "production-base-1", Build: "base-1", Order: 1, By: "fenceline", Reason: "flipped by rollout production-base-1"},
		{Epoch: 2, Rollout: "production-base-2", Build: "base-2", Order: 2, By: "ada", Reason: "promoted: " + hostile},
	} {
		is, err := config.SetFor(ctx, string(image(n+1)), revision, cause)
		queuetest.Must(t, err)
		revision = is.Revision
	}
	queuetest.Must(t, i.admin.Publish(ctx, "", &messages.DeadLetter{
		Stream: "fenceline-requests", Sequence: 42, Subject: "fenceline.build.requested.v1.base", Reason: hostile, Headers: messages.Headers{"ce-type": {hostile}},
		Body: []byte(`{"commit":"<script>window.hacked = 3</script>"}`), At: time.Now().UTC(),
	}))
	return running, done, old
}

func TestThePastReadsAsWellAsThePresent(t *testing.T) {
	i := newInstallation(t, 1000)
	running, done, old := i.past(t, 1000)
	ctx := chromium(t)
	signIn(ctx, t, i)
	do(ctx, t, has("dead letter"), has("1000 members"))
	pages := map[string]string{
		"/rollouts/" + running: "1 to 200 of 1000 members", "/rollouts/" + done: "ada: approve", "/rollouts/" + old: "its record has no counts",
		"/fleets/production/history": "Make this current again", "/fleets/production/rollouts": done,
		"/dead-letters": "fenceline-requests-42", "/dead-letters/fenceline-requests-42": "window.hacked = 3",
	}
	for _, room := range []string{"light", "dark"} {
		do(ctx, t, scheme(room))
		for path, text := range pages {
			do(ctx, t, chromedp.Navigate(i.url+path), chromedp.WaitReady("main h1"), has(text))
			usable(ctx, t, path+" in "+room)
			if ask[bool](ctx, t, `"hacked" in window`) {
				t.Errorf("%s runs what a stranger sent", path)
			}
			if path == "/rollouts/"+done && room == "light" {
				do(ctx, t, chromedp.EmulateViewport(1280, 1180))
				shot(ctx, t, "console-rollout")
				do(ctx, t, chromedp.EmulateViewport(1280, 900))
			}
		}
	}
	for _, width := range []int64{360, 3840} {
		for path := range pages {
			do(ctx, t, chromedp.EmulateViewport(width, 800), chromedp.Navigate(i.url+path), chromedp.WaitReady("main h1"))
			_ = ask[int](ctx, t, `document.querySelectorAll("details").forEach(d => { d.open = true }); 0`)
			if ask[bool](ctx, t, "document.documentElement.scrollWidth > innerWidth") {
				t.Errorf("%s does not fit %d pixels", path, width)
			}
		}
	}
}

// TestARolloutMovesInItsPlace: what is open stays open, and the member's line alone is put in place.
func TestARolloutMovesInItsPlace(t *testing.T) {
	i := newInstallation(t, 1000)
	running, _, _ := i.past(t, 1000)
	ctx := chromium(t)
	signIn(ctx, t, i)
	do(ctx, t, chromedp.Navigate(i.url+"/rollouts/"+running), has("1 to 200 of 1000 members"))
	_ = ask[int](ctx, t, `document.querySelector("#curve details").open = true; window.kept = document.querySelector(".members li"); 0`)
	name := ask[string](ctx, t, `kept.querySelector("a").textContent`)
	var n int
	_, err := fmt.Sscanf(name, "node-%05d", &n)
	queuetest.Must(t, err)
	i.node(t, n, func(s *messages.NodeStatus) {
		s.Images = append(s.Images, messages.PresentImage{Image: image(4), ID: "sha256:4", Local: "l4"})
	})
	do(ctx, t, until(fmt.Sprintf(`document.getElementById("m-%s").textContent.includes("has it")`, name)))
	_, err = store.Rollouts(i.admin).Modify(queuetest.Within(t), running, func(r *messages.RolloutRecord) error {
		r.State, r.FlippedAt, r.Updated = messages.RolloutSoaking, time.Now().UTC(), time.Now().UTC()
		r.Curve = rise(r.Opened, 30*time.Second, 1000)[:30]
		return nil
	})
	queuetest.Must(t, err)
	do(ctx, t, until(`document.querySelectorAll("#curve circle").length === 31`), has("soaking"))
	if !ask[bool](ctx, t, `document.querySelector("#curve details").open`) {
		t.Error("the table is closed by a change")
	}
}

func TestAnImageIsMadeCurrentAgain(t *testing.T) {
	i := newInstallation(t, 6)
	i.past(t, 6)
	ctx := chromium(t)
	signIn(ctx, t, i)
	do(ctx, t, has("6 up"), chromedp.Navigate(i.url+"/fleets/production"), press(`a[href="/fleets/production/history"]`), has("Make this current again"),
		press(`a[href="/fleets/production/rollback?to=`+image(1).Digest()+`"]`), has("What it will do"), has("6 of 6 nodes have it now"),
		chromedp.SendKeys("#reason", "it leaks"), chromedp.Click("button.decide"), has("is rolled back"))
	e, err := store.Fleets(i.admin).Current(t.Context(), "production")
	if err != nil || e.Value.Current.Image != image(1) || e.Value.Decided.By != "ada" {
		t.Errorf("current is %+v, %v", e.Value.Current, err)
	}
}
