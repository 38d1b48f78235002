package enginetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// trial runs a trial and checks that it leaves no container.
func trial(ctx context.Context, t *testing.T, f Fixture, image messages.Image, limit time.Duration, hooks ...string) (messages.TrialResult, error) {
	t.Helper()
	pull(t, f, image)
	result, err := f.Engine.Trial(ctx, distributor.Trial{
		Owner: f.Fleet + ".node", Rollout: f.Fleet + "-r1", Image: image, HooksDir: HooksDir, Hooks: hooks, Timeout: limit,
	})
	if n, err := f.Engine.RemoveTrials(within(t), f.Fleet+".node"); n != 0 || err != nil {
		t.Errorf("%d containers were left, error %v", n, err)
	}
	return result, err
}

func judged(t *testing.T, f Fixture, image messages.Image, limit time.Duration, hooks ...string) messages.TrialResult {
	t.Helper()
	result, err := trial(within(t), t, f, image, limit, hooks...)
	if err != nil {
		t.Fatal(err)
	}
	if result.Passed != (result.Reason == "") {
		t.Errorf("passed is %v and the reason %q", result.Passed, result.Reason)
	}
	return result
}

func testTrialPasses(t *testing.T, f Fixture) {
	got := judged(t, f, f.Good, time.Minute, "pre-running", "pre-staging")
	want := []messages.HookRun{{Hook: "pre-staging", Output: "pre-staging 1"}, {Hook: "pre-running", Output: "pre-running 1"}}
	if !got.Passed || !slices.Equal(got.Hooks, want) {
		t.Fatalf("got %+v, want it passed with %+v", got, want)
	}
}

func testTrialFails(t *testing.T, f Fixture) {
	got := judged(t, f, f.Failing, time.Minute, "pre-running")
	if got.Passed || len(got.Hooks) != 1 || got.Hooks[0].Exit != 3 {
		t.Fatalf("got %+v, want one hook that ended with 3", got)
	}
	if lines := strings.Split(got.Hooks[0].Output, "\n"); len(lines) != 20 || lines[0] != "line 11" || lines[19] != "line 30" {
		t.Fatalf("got the lines %q, want the last 20", lines)
	}
	if !strings.Contains(got.Reason, "pre-running") || !strings.Contains(got.Reason, "3") {
		t.Fatalf("the reason %q does not name hook and status", got.Reason)
	}
}

func testTrialHangs(t *testing.T, f Fixture) {
	var got messages.TrialResult
	limit := 4 * time.Second
	for began := false; !began && limit < time.Minute/2; { // a busy machine needs longer to get there
		limit *= 2
		got = judged(t, f, f.Hanging, limit, "pre-running")
		began = len(got.Hooks) == 1 && got.Hooks[0].Output != ""
	}
	if got.Passed || len(got.Hooks) != 1 || got.Hooks[0].Exit != -1 || got.Hooks[0].Output != "waiting" {
		t.Fatalf("got %+v, want one hook that did not end", got)
	}
	if !strings.Contains(got.Reason, limit.String()) {
		t.Fatalf("the reason %q does not name the limit", got.Reason)
	}
}

func testTrialBare(t *testing.T, f Fixture) {
	got := judged(t, f, f.Bare, time.Minute, "pre-running")
	if !got.Passed || len(got.Hooks) != 1 || got.Hooks[0].Output != "bare" {
		t.Fatalf("got %+v, want it passed", got)
	}
}

func testTrialPlain(t *testing.T, f Fixture) {
	if got := judged(t, f, f.Plain, time.Minute); !got.Passed || len(got.Hooks) != 0 {
		t.Fatalf("got %+v for an image with a shell, want it passed", got)
	}
	if got := judged(t, f, f.NoShell, time.Minute); got.Passed || !strings.Contains(got.Reason, "shell") {
		t.Fatalf("got %+v for an image without a shell, want a reason", got)
	}
}

func testTrialMissingHook(t *testing.T, f Fixture) {
	got := judged(t, f, f.Good, time.Minute, "pre-staging", "post-staging", "pre-running")
	if got.Passed || len(got.Hooks) != 2 || !strings.Contains(got.Reason, "post-staging") {
		t.Fatalf("got %+v, want post-staging to be missed", got)
	}
}

func testTrialCancelled(t *testing.T, f Fixture) {
	given := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(within(t))
	time.AfterFunc(500*time.Millisecond, func() { cancel(given) })
	if got, err := trial(ctx, t, f, f.Hanging, time.Minute, "pre-running"); !errors.Is(err, given) {
		t.Fatalf("got %+v, error %v, want the context's cause", got, err)
	}
}
