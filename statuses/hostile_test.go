package statuses

import (
	"context"
	"net/url"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/statuses/target"
)

// TestARecordSendsTheTokenNowhereElse has a builder, who may write any record of a build, name as commit a way to another
// part of the forge's API.
func TestARecordSendsTheTokenNowhereElse(t *testing.T) {
	_, as := installation(t)
	forge := newStandIn(t)
	work(t, as("statuses"), giteaTarget(t, forge))
	builder, ref := as("builder"), messages.BuildRef{Build: "base-1", Pipeline: "base", Order: 1}
	for i, commit := range []string{"../../../../user/repos", "x?a=b", "", "0123456789ab", "x/../../merge"} {
		record := messages.BuildRecord{BuildRef: ref, State: messages.BuildStateRunning, Attempt: i + 1, Request: 1, Commit: commit}
		_, err := store.Builds(builder).Modify(within(t), ref.Build, func(r *messages.BuildRecord) error { *r = record; return nil })
		must(t, err)
		must(t, builder.Publish(within(t), "", &messages.BuildStarted{BuildRef: ref, Attempt: i + 1}))
	}
	settled(t, as("admin"))
	buildstest.Submit(t, as("producer"), buildstest.Request("base", 1))
	forge.last(t, buildstest.Commit(1), "pending queued")
	if all := forge.all(); len(all) != 1 {
		t.Errorf("it was asked %+v", all)
	}
}

// TestATagIsNamedToGitLab, which has statuses for each branch and tag: by its name, whether the build has begun or not.
func TestATagIsNamedToGitLab(t *testing.T) {
	_, as := installation(t)
	forge := newStandIn(t)
	work(t, as("statuses"), filled(t, target.Target{Pipeline: "base", Forge: target.GitLab, URL: forge.URL, TokenFile: tokenFile(t, testToken)}))
	request := buildstest.Request("base", 1)
	request.Ref, request.Tag, request.Cause = "", "v1.2.0", messages.CausePerson
	buildstest.Submit(t, as("producer"), request)
	told := func(state string) {
		t.Helper()
		eventually(t, "it is told to be "+state, func() bool {
			for _, a := range forge.all() {
				if q, err := url.ParseQuery(a.query); err == nil && q.Get("state") == state {
					return q.Get("ref") == "v1.2.0"
				}
			}
			return false
		})
	}
	told("pending")
	buildstest.Consume(t, as("builder"), buildstest.Work(func(_ context.Context, j *builds.Job) (messages.Payload, error) {
		return buildstest.Ready(j.Request), nil
	}))
	told("success")
}
