package cli

import (
	"context"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// TestStatusThatNeedNotWait ends at once where what is waited for is there, or will not come, each with its own status.
func TestStatusThatNeedNotWait(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	for _, state := range []messages.RolloutState{
		messages.RolloutFailed, messages.RolloutRolledBack, messages.RolloutAborted, messages.RolloutSuperseded,
		messages.RolloutApproval, messages.RolloutSoaking, messages.RolloutFlipped,
	} {
		ref := messages.BuildRef{Build: "other-" + string(state), Pipeline: "other", Order: 20}
		create(t, store.Builds(c), ref.Build, messages.BuildRecord{BuildRef: ref, State: messages.BuildStateSucceeded, Announced: true, Commit: commit[1:] + "8"})
		id := messages.RolloutID("staging", ref.Build)
		create(t, store.Rollouts(c), id, messages.RolloutRecord{ID: id, Fleet: "staging", State: state, Why: hostile, Ready: messages.ImageReady{BuildRef: ref}})
	}
	unchanged := messages.BuildRef{Build: "base-unchanged", Pipeline: "base", Order: 30}
	create(t, store.Builds(c), unchanged.Build, messages.BuildRecord{BuildRef: unchanged, State: messages.BuildStateUnchanged, Announced: true, Commit: commit, Unchanged: "nothing has changed"})
	for line, want := range map[string]int{
		"--wait-for done --build base-unchanged":                               ExitReplaced,
		"--wait-for done --pipeline base --commit " + commit + " --timeout 1s": ExitLate, // the newest that is built
		"--wait-for done --build base-aaaaaaaa":                                ExitDone,
		"--wait-for flipped --build base-aaaaaaaa":                             ExitDone,
		"--wait-for approval --build base-aaaaaaaa":                            ExitDone, // nobody is asked any more
		"--wait-for flipped --build base-bbbbbbbb":                             ExitHeld,
		"--wait-for done --build base-cccccccc":                                ExitNoImage,
		"--wait-for done --build base-eeeeeeee":                                ExitReplaced,
		"--wait-for done --build other-failed":                                 ExitNoImage,
		"--wait-for flipped --build other-rolled-back":                         ExitTurnedBack,
		"--wait-for flipped --build other-aborted":                             ExitReplaced,
		"--wait-for approval --build other-superseded":                         ExitReplaced,
		"--wait-for approval --build other-approval":                           ExitDone,
		"--wait-for flipped --build other-soaking":                             ExitDone,
		"--wait-for flipped --build base-dddddddd --timeout 1s":                ExitLate,
		"--wait-for flipped --build other-flipped --timeout 1s":                ExitLate, // decided, and the fence config has not followed
		"--wait-for done --build other-soaking --timeout 1s":                   ExitLate,
		"--wait-for done --commit " + commit[1:] + "0 --timeout 1s":            ExitLate,
		"--wait-for done --pipeline base --timeout 1s":                         ExitReplaced,
		"--wait-for done": ExitUsage, // of two pipelines
		"--wait-for done --build base-aaaaaaaa --fleet staging": ExitUsage,
		"--wait-for never": ExitUsage,
		"--wait-for done --build base-aaaaaaaa --commit " + commit: ExitUsage,
		"--build base-aaaaaaaa":                 ExitUsage,
		"--timeout 1s":                          ExitUsage,
		"--wait-for done --fleet=":              ExitUsage,
		"--wait-for done --build base-zzzzzzzz": ExitFailed,
		"--wait-for done --pipeline none":       ExitFailed,
	} {
		for _, format := range []string{"table", "json"} {
			args := append([]string{"status", "-o", format}, strings.Fields(line)...)
			s := fenceline(t, args...)
			if s.status != want {
				t.Errorf("status %s ends with %d, want %d: %s", line, s.status, want, s.err)
			}
			harmless(t, args, s.out)
			harmless(t, args, s.err)
			if printed := s.out != ""; printed != (want != ExitUsage && want != ExitFailed) {
				t.Errorf("status %s prints %q", line, s.out)
			}
		}
	}
	s := fenceline(t, "status", "--wait-for", "done", "--build", "base-aaaaaaaa", "--fleet", "production", "-o", "json", "--timeout", "0s")
	if !strings.Contains(s.out, `"reached": true`) || !strings.Contains(s.out, `"rollout": "production-base-aaaaaaaa"`) {
		t.Errorf("it prints %s", s.out)
	}
	if strings.Contains(s.err, "waits for a controller") {
		t.Errorf("of a rollout that is over it says %s", s.err)
	}
}

// awaiting runs a status that waits, and returns what tells that it said something, and its end.
func awaiting(t *testing.T, args ...string) (said func(text string), ended func() (int, string)) {
	t.Helper()
	var out, notes clitest.Output
	end := make(chan int, 1)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	root := NewRoot()
	go func() {
		end <- Execute(ctx, root, append([]string{"status"}, args...), strings.NewReader(""), &out, &notes)
	}()
	said = func(text string) {
		t.Helper()
		select {
		case <-notes.Await(text):
		case <-queuetest.Within(t).Done():
			t.Fatalf("it does not say %q but %s", text, notes.String())
		}
	}
	return said, func() (int, string) {
		t.Helper()
		select {
		case status := <-end:
			return status, out.String() + notes.String()
		case <-queuetest.Within(t).Done():
			t.Fatalf("it doesn't end, and says %s", notes.String())
			return 0, ""
		}
	}
}

// rollout sets the state of the fleet's rollout of a build.
func rollout(t *testing.T, c *queue.Client, fleet string, ref messages.BuildRef, state messages.RolloutState, why string) {
	t.Helper()
	id := messages.RolloutID(fleet, ref.Build)
	_, err := store.Rollouts(c).Modify(t.Context(), id, func(r *messages.RolloutRecord) error {
		r.ID, r.Fleet, r.Ready.BuildRef, r.State, r.Why = id, fleet, ref, state, why
		return nil
	})
	queuetest.Must(t, err)
}

// TestStatusWaits from before the build is asked for to the end of its rollouts, while the server goes away and comes back.
func TestStatusWaits(t *testing.T) {
	server := queuetest.Start(t)
	c := server.Client(t)
	prepare(t, c)
	fresh := strings.Repeat("ab", 20)
	said, ended := awaiting(t, "--nats", server.URL(), "--wait-for", "done", "--commit", fresh)
	said("waits for a build of commit " + fresh)
	a, err := builds.New(c).Request(t.Context(), &messages.BuildRequested{
		Build: "base-ffffffff", Pipeline: pipeline(), Ref: "refs/heads/main", Commit: fresh, Cause: messages.CausePush, Received: noon(),
	}, "")
	queuetest.Must(t, err)
	ref := messages.BuildRef{Build: a.Build, Pipeline: "base", Order: a.Order}
	said("waits for build " + ref.Build)
	create(t, store.Builds(c), ref.Build, messages.BuildRecord{BuildRef: ref, State: messages.BuildStateRunning, Attempt: 1, Worker: "b1", Commit: fresh})
	said("running")
	publish(t, c, &messages.ImageReady{
		BuildRef: ref, Image: imageTwo, Commit: fresh, HooksDir: messages.DefaultHooksDir, Received: noon(),
		Fleets: []messages.FleetTarget{{Fleet: "staging", Policy: messages.DefaultPolicy()}, {Fleet: "production", Policy: messages.DefaultPolicy()}},
	})
	_, err = store.Builds(c).Modify(t.Context(), ref.Build, func(r *messages.BuildRecord) error {
		r.State, r.Image, r.Announced = messages.BuildStateSucceeded, imageTwo, true
		return nil
	})
	queuetest.Must(t, err)
	said("production: waits for a controller to open rollout")
	rollout(t, c, "staging", ref, messages.RolloutDone, "")
	rollout(t, c, "production", ref, messages.RolloutApproval, "waits for approval: fenceline approve")
	said("production: approval: waits for approval")
	server.Stop()
	said("it is waited for")
	server.Resume(t)
	said("is there again")
	queuetest.Back(t, c)
	rollout(t, c, "production", ref, messages.RolloutDone, "")
	if status, all := ended(); status != ExitDone || !strings.Contains(all, "production: done") {
		t.Errorf("it ends with %d: %s", status, all)
	}
}

// TestStatusWaitsForTheFenceConfig: flipped is what the fence config holds, not what is decided.
func TestStatusWaitsForTheFenceConfig(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	ref := messages.BuildRef{Build: "base-bbbbbbbb", Pipeline: "base", Order: 12}
	rollout(t, c, "production", ref, messages.RolloutFlipped, "")
	said, ended := awaiting(t, "--wait-for", "flipped", "--build", ref.Build)
	said("production: flipped")
	_, err := store.Fleets(c).Modify(t.Context(), "production", func(r *messages.FleetRecord) error {
		r.Epoch, r.Current, r.Applied = 4, messages.FleetImage{Image: imageTwo, Rollout: "production-base-bbbbbbbb"}, messages.Applied{Epoch: 4, Value: string(imageTwo)}
		return nil
	})
	queuetest.Must(t, err)
	if status, all := ended(); status != ExitDone {
		t.Errorf("it ends with %d: %s", status, all)
	}
}
