package builds_test

import (
	"context"
	"errors"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

func TestABuildShowsSignsOfLifeWhileItIsBuilt(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	started, finish := make(chan struct{}), make(chan struct{})
	w := shortly(work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		close(started)
		<-finish
		return succeed(ctx, j)
	}))
	consume(t, s.Connect(t), w)
	a := submit(t, c, request("base", 1))
	<-started
	var first uint64
	eventually(t, "there are signs, again and again", func() bool {
		e, err := store.Beats(c).Get(t.Context(), store.BeatKey(a.Build))
		if err != nil {
			return false
		}
		if first == 0 {
			first = e.Revision
		}
		r, err := store.Builds(c).Get(t.Context(), a.Build)
		must(t, err)
		if e.Value.Worker != "w1" || e.Value.Claim != r.Value.Claim || e.Value.AckWait.Std() != w.AckWait {
			t.Fatalf("the sign is %+v of record %+v", e.Value, r.Value)
		}
		return e.Revision > first
	})
	if sweep(t, queueOf(c)); !beats(t, c, a.Build) {
		t.Error("a sweep removed it")
	}
	close(finish)
	ended(t, c, a.Build)
	eventually(t, "there is none when it has ended", func() bool { return !beats(t, c, a.Build) })
	sweep(t, queueOf(c))
	subjects, err := c.Subjects(within(t), "KV_fenceline-builds", "$KV.fenceline-builds.beat.*")
	must(t, err)
	if len(subjects) != 0 {
		t.Errorf("left are %v", subjects)
	}
	if list, err := store.Builds(c).List(within(t)); err != nil || len(list) != 1 {
		t.Errorf("records are %+v, %v", list, err)
	}
}

// beats tells whether there is a sign of life of a build.
func beats(t *testing.T, c *queue.Client, build string) bool {
	t.Helper()
	_, err := store.Beats(c).Get(within(t), store.BeatKey(build))
	if !errors.Is(err, queue.ErrNotFound) {
		must(t, err)
	}
	return err == nil
}
