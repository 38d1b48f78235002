package buildkit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/builder/buildkit/buildkittest"
	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// TestABranchThatIsPushedToFasterThanItIsBuilt has each push come while the one before is built, by real parts.
func TestABranchThatIsPushedToFasterThanItIsBuilt(t *testing.T) {
	daemon, registry := buildkittest.Start(t), buildkittest.NewRegistry(t)
	base := registry.Busybox(t, "base:1")
	repo := gittest.Start(t).Repository(t, "image")
	c := queuetest.Start(t).Client(t)
	q := builds.New(c)
	solver, err := buildkit.New(buildkit.Config{Address: daemon.Address})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = solver.Close() }()
	b, err := builder.New(builder.Config{Queue: builds.New(c), Solver: solver, Name: "b1", Slots: 2, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = b.Run(ctx) }()
	defer func() { cancel(); <-ended }()

	type told struct {
		build, commit string
		at            time.Time
	}
	var pushes []told
	push := func(step string) {
		r := &messages.BuildRequested{
			Build: messages.NewBuildID("p"), Ref: "refs/heads/main", Cause: messages.CausePush, Received: time.Now(),
			Commit: repo.Commit(t, "main", map[string]string{"Dockerfile": fmt.Sprintf("FROM %s\nRUN %s\n", base, step)}),
			Pipeline: messages.Pipeline{
				Name: "p", Repository: repo.URL, Branch: "main", Dockerfile: "Dockerfile", Image: registry.Host + "/out/image",
				HooksDir: messages.DefaultHooksDir, Timeout: messages.Duration(5 * time.Minute), Attempts: 2, CancelRunning: true,
			},
		}
		_, err := q.Request(queuetest.Within(t), r, "")
		queuetest.Must(t, err)
		pushes = append(pushes, told{r.Build, r.Commit, time.Now()})
	}
	runs := func() {
		build := pushes[len(pushes)-1].build
		queuetest.Eventually(t, "build "+build+" runs", func() bool {
			_, err := c.Last(t.Context(), c.Space().EventsStream(), c.Space().AnyVersion(messages.TypeBasePinned, "p", build))
			return err == nil
		})
		if n := len(pushes); n > 1 && n <= 4 {
			buildstest.Ended(t, c, pushes[n-2].build) // with two slots the next one can begin before
		}
	}
	for n := range 3 {
		push(fmt.Sprintf("sleep 60%d", n))
		runs()
	}
	push("sleep 3") // the fourth: it ends by itself
	runs()
	push("true")
	for n, p := range pushes {
		r := buildstest.Ended(t, c, p.build)
		if n >= 3 {
			if r.State != messages.BuildStateSucceeded {
				t.Errorf("push %d ended as %+v", n+1, r)
			}
			continue
		}
		next := pushes[n+1]
		if r.State != messages.BuildStateSuperseded || r.Head != next.commit || r.FollowedBy != next.build || r.Overtaken != n+1 {
			t.Errorf("push %d ended as %+v", n+1, r)
		}
		t.Logf("push %d ended %s after the next push", n+1, r.Updated.Sub(next.at))
	}
}
