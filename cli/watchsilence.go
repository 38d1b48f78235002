package cli

import (
	"context"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
)

// stepSilent is the step of a build whose builder is not heard any more.
const stepSilent = "silent"

// silences has a timer for each build that is being built. It is for one goroutine, beside its timers.
type silences struct {
	w      *watcher
	timers map[string]*time.Timer // by key
}

// follow tells of each build that is being built when its builder has not been heard for long, until ctx ends.
func (s *silences) follow(ctx context.Context, up func()) error {
	defer func() {
		for _, t := range s.timers {
			t.Stop()
		}
	}()
	return store.Beats(s.w.s.queue).Watch(ctx, func(e queue.Entry[messages.BuildBeat]) {
		if t := s.timers[e.Key]; t != nil {
			t.Stop()
			delete(s.timers, e.Key)
		}
		if !e.Deleted {
			s.timers[e.Key] = time.AfterFunc(e.Value.AckWait.Std()/3+time.Second, func() { s.tell(ctx, e) })
		}
	}, up)
}

// tell looks when the builder was heard, by the server's clock, and says so while it has the build.
func (s *silences) tell(ctx context.Context, e queue.Entry[messages.BuildBeat]) {
	build := e.Key[len(store.BeatKey("")):]
	r, err := store.Builds(s.w.s.queue).Get(ctx, build)
	if err != nil || r.Value.Ended() || r.Value.Waiting || r.Value.Claim != e.Value.Claim {
		return
	}
	info, err := store.Builds(s.w.s.queue).Info(ctx)
	if err != nil {
		return // the server is away, too: nobody can be heard
	}
	if said := overview.Silence(&e.Value, info.Now.Sub(e.Created)); said != "" {
		m := about(r.Value.BuildRef, info.Now, stepSilent)
		m.Text = said
		s.w.tell(m)
	}
}
