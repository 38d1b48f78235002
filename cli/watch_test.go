package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
)

// watching runs watch -o json, and returns its lines once nothing more is missed.
func watching(t *testing.T, c *queue.Client) (next func() moment) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		s := &session{queue: c, out: w, format: formatJSON}
		ended <- newWatcher(s).run(ctx)
		w.Close()
	}()
	lines := make(chan moment, 100)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(r); in.Scan(); {
			var m moment
			if err := json.Unmarshal(in.Bytes(), &m); err == nil {
				lines <- m
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	next = func() moment {
		t.Helper()
		select {
		case m := <-lines:
			return m
		case <-time.After(time.Minute):
			t.Fatal("watch tells nothing more")
			return moment{}
		}
	}
	if m := next(); m.Step != stepWatching {
		t.Fatalf("watch begins with %+v", m)
	}
	return next
}

// steps takes lines until every one of the steps was told, in any order, and returns them.
func steps(next func() moment, want ...string) map[string]moment {
	got := map[string]moment{}
	for len(got) < len(want) {
		if m := next(); slices.Contains(want, m.Step) {
			got[m.Step] = m
		}
	}
	return got
}

func publish(t *testing.T, c *queue.Client, p messages.Payload) {
	t.Helper()
	if err := c.Publish(t.Context(), "", p); err != nil {
		t.Fatal(err)
	}
}

// TestWatch tells of everything that happens after its first line, and of nothing before.
func TestWatch(t *testing.T) {
	c := installation(t)
	prepare(t, c) // before: none of it is told
	next := watching(t, c)
	accepted, err := builds.New(c).Request(t.Context(), &messages.BuildRequested{
		Build: "base-ffffffff", Pipeline: pipeline(), Ref: "refs/heads/main", Commit: commit, Cause: messages.CausePush, Received: noon(),
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	ref := messages.BuildRef{Build: accepted.Build, Pipeline: "base", Order: accepted.Order}
	for _, m := range []moment{next(), next()} {
		if m.Build != ref.Build || m.Order != ref.Order || m.Commit != commit || m.Step != "received" && m.Step != "queued" {
			t.Errorf("a request is told as %+v", m)
		}
	}
	publish(t, c, &messages.BuildStarted{BuildRef: ref, Attempt: 1, Worker: "b1", Commit: commit})
	publish(t, c, &messages.BasePinned{BuildRef: ref, Attempt: 1, Bases: []messages.PinnedBase{{Source: "base", Image: imageOne}}})
	publish(t, c, &messages.BuildLog{BuildRef: ref, Attempt: 1, Step: messages.StepClaimed})
	publish(t, c, &messages.BuildLog{BuildRef: ref, Attempt: 1, Step: messages.StepBuilt})
	publish(t, c, &messages.BuildLog{BuildRef: ref, Attempt: 1, Step: messages.StepHooksChecked})
	publish(t, c, &messages.BuildLog{BuildRef: ref, Attempt: 1, Vertex: "[1/2] RUN", Text: "output"})
	publish(t, c, &messages.BuildLog{BuildRef: ref, Attempt: 1, Step: messages.StepPushed, Text: string(imageTwo)})
	publish(t, c, &messages.ImageReady{
		BuildRef: ref, Image: imageTwo, Tag: "t", Commit: commit, HooksDir: messages.DefaultHooksDir, Bytes: 12, Received: noon(),
	})
	build := steps(next, "claimed", "base pinned", "built", "hooks checked", "pushed", "announced")
	if m := build["announced"]; m.Image != imageTwo || m.Bytes != 12 || m.Build != ref.Build {
		t.Errorf("announced: %+v", m)
	}
	if m := build["base pinned"]; m.Text != string(imageOne) {
		t.Errorf("base pinned: %+v", m)
	}

	beat(t, c, messages.WorkPulling, "")
	beat(t, c, messages.WorkPresent, "")
	publish(t, c, &messages.TrialFinished{
		Fleet: "production", Node: "node-1", Rollout: "production-base-ffffffff", Image: imageTwo, TrialResult: messages.TrialResult{Passed: true},
	})
	publish(t, c, &messages.RolloutChanged{Fleet: "production", Rollout: "production-base-ffffffff", State: messages.RolloutFlipped, Image: imageTwo})
	if _, err := store.Fleets(c).Modify(t.Context(), "production", func(r *messages.FleetRecord) error {
		r.Epoch, r.Applied.Epoch, r.Current.Image = 4, 4, imageTwo
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	fleet := steps(next, "present", "trial passed", "rollout", "flipped")
	if m := fleet["present"]; m.Node != "node-1" || m.Image != imageTwo || m.Bytes != 12_300 || m.Fleet != "production" {
		t.Errorf("present: %+v", m)
	}
	if m := fleet["flipped"]; m.Epoch != 4 || m.Image != imageTwo || m.Text != "held by ann" {
		t.Errorf("flipped: %+v", m)
	}
	beat(t, c, messages.WorkDone, "") // is no news
	for _, beat := range []struct {
		bytes int64
		told  bool
	}{{0, false}, {100, true}, {150, false}, {220, true}, {230, false}} {
		status := &messages.NodeStatus{Fleet: "production", Node: "node-1", Fetching: &messages.ImageFetch{Image: imageTwo, Bytes: beat.bytes, Total: 1000, Rate: 5, Layer: "abc"}}
		if err := store.NewNode(c).Heartbeat(t.Context(), status); err != nil {
			t.Fatal(err)
		}
		if !beat.told {
			continue
		}
		// The next heartbeat comes when this one was told: a record's watcher may miss what is soon written over.
		if m := steps(next, stepFetching)[stepFetching]; m.Bytes != beat.bytes || m.Total != 1000 || m.Layer != "abc" || m.Node != "node-1" || m.Image != imageTwo {
			t.Errorf("fetching: %+v, want %d bytes", m, beat.bytes)
		}
	}

	publish(t, c, &messages.TrialFinished{
		Fleet: "production", Node: "node-1", Rollout: "production-base-ffffffff", Image: imageTwo, TrialResult: messages.TrialResult{Reason: "exit 1"},
	})
	publish(t, c, &messages.NodeFailed{Fleet: "production", Node: "node-1", Step: "pull", Reason: "no space"})
	publish(t, c, &messages.BuildFailed{BuildRef: ref, Attempt: 1, Commit: commit, Failure: messages.Failure{
		Class: messages.FailureHooks, Reason: "bad", Findings: []messages.Finding{{File: "pre-running", Line: 3, Problem: "no fi", Fix: "add it"}},
	}})
	publish(t, c, &messages.BuildCancelled{BuildRef: ref, By: "ann"})
	publish(t, c, &messages.BuildSuperseded{BuildRef: ref, Commit: commit, Head: commit})
	// Reports of nodes are in a stream of their own: what is told of two streams has no order.
	wrong := steps(next, "trial failed", "node failed", "failed", "cancelled", "superseded")
	for step, text := range map[string]string{
		"trial failed": "exit 1", "node failed": "pull: no space", "failed": "", "cancelled": "by ann", "superseded": "by " + commit,
	} {
		if m := wrong[step]; m.Text != text {
			t.Errorf("%+v, want %q: %q", m, step, text)
		}
	}
	if m := wrong["failed"]; len(m.Findings) != 1 || m.Findings[0].Line != 3 || m.Failure == nil {
		t.Errorf("a failure is told as %+v", m)
	}
}

// TestWatchLine pins what people see.
func TestWatchLine(t *testing.T) {
	at := noon().Local().Format("15:04:05.000")
	bad := messages.Finding{File: "f", Line: 3, Problem: "bad", Fix: "mend"}
	for name, test := range map[string]struct {
		m    moment
		want string
	}{
		"watching": {moment{Step: stepWatching}, at + "  watching      "},
		"present": {
			moment{Step: "present", Node: "node-1", Image: imageOne, Bytes: 1_500_000},
			at + "  present       node-1 registry.example.com/exampleco/base@111111111111 (1.5 MB)",
		},
		"fetching": {
			moment{Step: stepFetching, Node: "node-1", Image: imageOne, Bytes: 5, Text: overview.FetchProgress(&messages.ImageFetch{
				Bytes: 1_500_000, Total: 20_000_000, Rate: 700_000, Layer: "abc", From: "http://rack7:5000",
			})},
			at + "  fetching      node-1 registry.example.com/exampleco/base@111111111111: 1.5 MB of 20.0 MB, 700.0 kB/s, layer abc, from http://rack7:5000",
		},
		"rollout": {moment{Step: "rollout", Build: "b", State: "held", Text: "why"}, at + "  rollout       b held: why"},
		"failed": {
			moment{
				Step: "failed", Build: "b",
				Failure:  &messages.Failure{Class: messages.FailureHooks, Place: "f:3", Reason: "bad\nmore", Findings: []messages.Finding{bad}},
				Findings: []messages.Finding{bad},
			},
			at + "  failed        b\n    f:3: bad; mend\n    then push, or build the same again: fenceline retry b",
		},
		"failed without findings": {
			moment{Step: "failed", Build: "b", Failure: &messages.Failure{Class: messages.FailureTimeout, Reason: "late", Fix: "raise timeout"}},
			at + "  failed        b: late\n    fix: raise timeout\n    then run: fenceline retry b",
		},
	} {
		test.m.Time = noon()
		if got := written(t, test.m.write); got != strings.TrimRight(test.want, " ")+"\n" {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestEarlyMoments keeps what comes before all sources are read, and tells it after the
// first line.
func TestEarlyMoments(t *testing.T) {
	var out bytes.Buffer
	w := &watcher{s: &session{out: &out, format: formatTable}}
	first, second := w.source(), w.source()
	first()
	first()
	w.tell(moment{Step: "received", Build: "b"})
	if out.Len() > 0 {
		t.Errorf("it tells %q already", out.String())
	}
	second()
	w.tell(moment{Step: "queued", Build: "b"})
	lines := strings.Split(out.String(), "\n")
	for i, want := range []string{stepWatching, "received", "queued", ""} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %q, want %q", i, lines[i], want)
		}
	}
}
