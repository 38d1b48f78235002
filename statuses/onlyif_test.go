package statuses

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
)

// TestAForgeIsToldNothingOfABuildForWhichNothingHasChanged: what it was told of the commit stands. The builder has no more rights
// than builders have.
func TestAForgeIsToldNothingOfABuildForWhichNothingHasChanged(t *testing.T) {
	_, as := installation(t)
	forge := newStandIn(t)
	work(t, as("statuses"), giteaTarget(t, forge))
	var changed atomic.Bool
	buildstest.Consume(t, as("builder"), buildstest.Work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if j.Request.OnlyIf != "" {
			last, err := j.LastImage(ctx)
			if err != nil {
				return nil, err
			}
			if !changed.Load() {
				return &messages.BuildCancelled{Unchanged: "nothing has changed since " + last.Build}, nil
			}
			j.Changed("a base", "")
			return &messages.BuildFailed{Failure: messages.Failure{Class: messages.FailureUser, Reason: "it is another base"}}, nil
		}
		return buildstest.Ready(j.Request), nil
	}))
	commit := buildstest.Commit(1)
	first := buildstest.Submit(t, as("producer"), buildstest.Request("base", 1))
	forge.last(t, commit, "success image ready: "+string(buildstest.Ended(t, as("operator"), first.Build).Image))
	scheduled := func(link string) messages.BuildRecord {
		r := buildstest.Request("base", 1)
		r.Reason, r.OnlyIf = &messages.Reason{Kind: messages.ReasonSchedule, Link: link}, messages.OnlyIfChanged
		return buildstest.Ended(t, as("operator"), buildstest.Submit(t, as("producer"), r).Build)
	}
	if r := scheduled("1"); r.State != messages.BuildStateUnchanged || r.Unchanged != "nothing has changed since "+first.Build {
		t.Errorf("ended as %s: %q", r.State, r.Unchanged)
	}
	changed.Store(true)
	if r := scheduled("2"); r.Why().Changed != "a base" {
		t.Errorf("it was built for %+v", r.Why())
	}
	forge.last(t, commit, "failure failed: it is another base")
	for _, text := range forge.texts(commit) {
		if strings.Contains(text, "schedule") || strings.Contains(text, "changed") || strings.Contains(text, "cancelled") {
			t.Errorf("the forge was told %q", text)
		}
	}
}

// TestAForgeIsToldOfAPushThatComesToAConditionalBuild as of every push: it waits in the queue, and then what became of it.
func TestAForgeIsToldOfAPushThatComesToAConditionalBuild(t *testing.T) {
	_, as := installation(t)
	forge := newStandIn(t)
	work(t, as("statuses"), giteaTarget(t, forge))
	r := buildstest.Request("base", 1)
	r.Reason, r.OnlyIf = &messages.Reason{Kind: messages.ReasonSchedule, Link: "1"}, messages.OnlyIfChanged
	buildstest.Submit(t, as("producer"), r)
	commit := buildstest.Commit(1)
	push := buildstest.Submit(t, as("producer"), buildstest.Request("base", 1))
	forge.last(t, commit, "pending queued")
	buildstest.Consume(t, as("builder"), buildstest.Work(func(_ context.Context, j *builds.Job) (messages.Payload, error) {
		if j.Request.OnlyIf != "" {
			return &messages.BuildCancelled{Unchanged: "nothing has changed"}, nil
		}
		return buildstest.Ready(j.Request), nil
	}))
	forge.last(t, commit, "success image ready: "+string(buildstest.Ended(t, as("operator"), push.Build).Image))
}
