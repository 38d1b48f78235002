package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
)

// record writes the record of a build.
func record(t *testing.T, c *queue.Client, pipeline string, n int, change func(*messages.BuildRecord)) messages.BuildRecord {
	t.Helper()
	r := messages.BuildRecord{
		BuildRef: messages.BuildRef{Build: fmt.Sprintf("%s-%04d", pipeline, n), Pipeline: pipeline, Order: uint64(n)},
		State:    messages.BuildStateSucceeded, Attempt: 1, Worker: "w1", Claim: fmt.Sprint("claim", n), Announced: true,
	}
	if change != nil {
		change(&r)
	}
	if _, err := store.Builds(c).Create(t.Context(), r.Build, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheNewestBuildsAreListedAndWhatIsOpen(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	s := &session{queue: c}
	claimed := buildstest.Request("slow", 1) // an old one that is still tried
	open := buildstest.Submit(t, c, claimed)
	record(t, c, "slow", 1, func(r *messages.BuildRecord) {
		r.Build, r.State, r.Waiting, r.LastError = claimed.Build, messages.BuildStateRunning, true, "the registry is away"
	})
	for n := range 30 {
		record(t, c, []string{"base", "other"}[n%2], n+2, nil)
	}
	queued := buildstest.Submit(t, c, buildstest.Request("base", 99))
	for name, test := range map[string]struct {
		most     int
		pipeline string
		rows     int
	}{
		"the newest":                   {10, "", 12},
		"all":                          {500, "", 32},
		"those of a pipeline":          {10, "base", 11},
		"those of one with few":        {10, "slow", 1},
		"those of one that is unknown": {10, "nobody", 0},
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := overview.RecentBuilds(t.Context(), s.queue, test.most, test.pipeline)
			if err != nil || len(rows) != test.rows {
				t.Fatalf("%d rows are listed, %v", len(rows), err)
			}
			got := map[string]*overview.Build{}
			for i := range rows {
				got[rows[i].Build] = &rows[i]
				if i > 0 && rows[i].Order > rows[i-1].Order {
					t.Errorf("%s comes after %s", rows[i].Build, rows[i-1].Build)
				}
			}
			if b := got[open.Build]; test.pipeline == "" && (b == nil || b.Shown() != overview.StateWaits || !strings.Contains(b.Why(), "the registry is away")) {
				t.Errorf("the one that is tried again is %+v", b)
			}
			if b := got[queued.Build]; test.pipeline == "" && (b == nil || b.State != overview.StateQueued) {
				t.Errorf("the one that waits is %+v", b)
			}
		})
	}
}

func TestWhatHasFailedIsFoundHoweverLongAgo(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	failure := messages.Failure{Class: messages.FailureUser, Reason: "no"}
	old := record(t, c, "quiet", 1, func(r *messages.BuildRecord) { r.State, r.Failure = messages.BuildStateFailed, &failure })
	publish(t, c, &messages.BuildFailed{BuildRef: old.BuildRef, Attempt: 1, Failure: failure})
	for n := range 2 * overview.BuildsShown {
		record(t, c, "busy", n+2, nil)
	}
	record(t, c, "quiet", 1000, func(r *messages.BuildRecord) { r.State = messages.BuildStateCancelled })
	o, err := (&session{queue: c}).overview(t.Context())
	if err != nil || len(o.Failed) != 1 || o.Failed[0].Build != old.Build || len(o.Builds) != 2 {
		t.Errorf("failed are %+v, builds %+v, %v", o.Failed, o.Builds, err)
	}
}

func TestABuildWhoseBuilderIsNotHeardIsSaid(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	next := watching(t, c)
	r := record(t, c, "base", 1, func(r *messages.BuildRecord) { r.State, r.Announced = messages.BuildStateRunning, false })
	beat := messages.BuildBeat{Worker: r.Worker, Claim: r.Claim, AckWait: messages.Duration(time.Second)}
	if err := store.Beats(c).Note(store.BeatKey(r.Build), beat); err != nil {
		t.Fatal(err)
	}
	m := steps(next, stepSilent)[stepSilent] // then it has been silent for long
	if m.Build != r.Build || !strings.Contains(m.Text, "w1 was not heard for") {
		t.Errorf("watch tells %+v", m)
	}
	rows, err := overview.RecentBuilds(t.Context(), c, 10, "")
	if err != nil || len(rows) != 1 || rows[0].Shown() != overview.StateSilent || !strings.Contains(rows[0].Why(), "takes over") {
		t.Errorf("listed are %+v, %v", rows, err)
	}
	for name, change := range map[string]func(*messages.BuildRecord){
		"it waits":       func(r *messages.BuildRecord) { r.Waiting = true },
		"another has it": func(r *messages.BuildRecord) { r.Waiting, r.Claim = false, "another" },
		"it has ended":   func(r *messages.BuildRecord) { r.State = messages.BuildStateSucceeded },
	} {
		if _, err := store.Builds(c).Modify(t.Context(), r.Build, func(r *messages.BuildRecord) error { change(r); return nil }); err != nil {
			t.Fatal(err)
		}
		if rows, err := overview.RecentBuilds(t.Context(), c, 10, ""); err != nil || rows[0].Silence != "" {
			t.Errorf("%s: listed are %+v, %v", name, rows, err)
		}
	}
}

// TestWhatAQueuedBuildWaitsForIsSaid, where its pipeline has each push built in its turn; and a build that saw another head isn't superseded by it.
func TestWhatAQueuedBuildWaitsForIsSaid(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	unread := buildstest.Request("base", 9) // nobody here can build it, or waits for it
	m := queuetest.Newer(t, c, unread)
	if _, err := c.Store(t.Context(), c.Space().SubjectAs(messages.TypeOf(m), unread), m); err != nil {
		t.Fatal(err)
	}
	var last *messages.BuildRequested
	for n := range 3 {
		last = buildstest.Request("base", n+1)
		last.Pipeline.Concurrency = messages.ConcurrencyQueue
		buildstest.Submit(t, c, last)
	}
	other := buildstest.Request("base", 1)
	other.SetRef("refs/heads/other")
	other.Pipeline.Branches, other.Pipeline.Concurrency = []string{"**"}, messages.ConcurrencyQueue
	buildstest.Submit(t, c, other)
	rows, err := overview.RecentBuilds(t.Context(), c, 10, "")
	if err != nil || len(rows) != 5 {
		t.Fatalf("listed are %+v, %v", rows, err)
	}
	for _, b := range rows {
		switch why := b.Why(); {
		case b.Build == last.Build && (b.Ahead != 2 || !strings.Contains(why, "earlier pushes of its branch, of which 2 have not ended")):
			t.Errorf("the last one waits for %d: %s", b.Ahead, why)
		case b.Build == other.Build && !strings.HasPrefix(why, "waits for a builder, place "):
			t.Errorf("that of another branch: %s", why)
		}
	}
	built := overview.Build{State: string(messages.BuildStateSucceeded), Head: last.Commit, FollowedBy: "b2", Image: buildstest.Image(1)}
	if why := built.Why(); strings.Contains(why, "b2") {
		t.Errorf("an image is said to be superseded: %s", why)
	}
}

func TestSilenceIsToldAsItIs(t *testing.T) {
	beat := &messages.BuildBeat{Worker: "w1", AckWait: messages.Duration(30 * time.Second)}
	for heard, want := range map[time.Duration]string{
		3 * time.Second:          "",
		12 * time.Second:         "w1 was not heard for 12s, another builder takes over in 18s",
		90 * time.Second:         "w1 was not heard for 1m30s, any builder that is free takes over",
		-2 * time.Second:         "",
		12345 * time.Millisecond: "w1 was not heard for 12s, another builder takes over in 18s",
	} {
		if got := overview.Silence(beat, heard); got != want {
			t.Errorf("after %s: %q", heard, got)
		}
	}
}

func TestWhatCanNotBeReadIsSaidInStatus(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	js := queuetest.JetStream(t, c)
	r := buildstest.Request("base", 1)
	for subject, body := range map[string]string{
		store.Fleets(c).Subject("production"): "{",
		store.Rollouts(c).Subject("broken"):   "{",
		store.Members(c).Subject("staging.n"): "{",
		store.Builds(c).Subject(r.Build):      "{",
		store.Builds(c).Subject("base-alone"): `{"build":"base-another"}`,
		c.Space().RequestSubject("garbled"):   "{",
	} {
		if _, err := js.Publish(t.Context(), subject, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	buildstest.Submit(t, c, r)
	var out bytes.Buffer
	s := &session{queue: c, out: &out}
	o, err := s.overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, b := range o.Builds {
		if b.State != overview.StateBroken || b.Broken == "" {
			t.Errorf("row %+v", b)
		}
		said[b.Build] = b.Why()
	}
	unread := map[string]bool{}
	for _, u := range o.Unreadable {
		if u.Why == "" {
			t.Errorf("unreadable without a reason: %+v", u)
		}
		unread[strings.TrimPrefix(u.Bucket, "fenceline-")+" "+u.Key] = true
	}
	for _, want := range []string{"fleets production", "rollouts broken", "members staging.n", "builds " + r.Build, "builds base-alone", "requests 1"} {
		if !unread[want] {
			t.Errorf("%q is not among the unreadable %v", want, unread)
		}
	}
	if len(said) != 3 || !strings.Contains(said[r.Build], "record can't be read") || said["base-alone"] == "" || !strings.Contains(said[""], "can't be read") {
		t.Errorf("said are %q", said)
	}
}
