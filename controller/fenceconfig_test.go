package controller_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/controller"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// lagging is a fence config whose reads stay at an earlier value, or whose writes are always
// refused, until it is well.
type lagging struct {
	fence.Backend
	well    *atomic.Bool
	sets    *atomic.Int64
	refuses bool
}

const earlier = "stackato/stack-alsek"

func (l lagging) Get(ctx context.Context) (fence.Setting, error) {
	if l.well.Load() {
		return l.Backend.Get(ctx)
	}
	return fence.Setting{Value: earlier, Revision: "1"}, nil
}

func (l lagging) Set(ctx context.Context, value string, expected fence.Revision) (fence.Setting, error) {
	l.sets.Add(1)
	switch {
	case l.well.Load():
		return l.Backend.Set(ctx, value, expected)
	case l.refuses:
		return fence.Setting{}, fence.ErrConflict
	}
	return fence.Setting{Value: value, Revision: "2"}, nil
}

func TestAFenceConfigThatDoesNotKeepWhatIsWritten(t *testing.T) {
	for _, c := range []struct {
		name    string
		refuses bool
	}{{"reads lag behind writes", false}, {"every write meets another one", true}} {
		t.Run(c.name, func(t *testing.T) {
			l := lagging{well: new(atomic.Bool), sets: new(atomic.Int64), refuses: c.refuses}
			behind := func(every time.Duration) func(*controller.Config) {
				return func(cfg *controller.Config) {
					cfg.Interval = every
					real := cfg.Backend
					cfg.Backend = func(fleet, kind string) (fence.Place, error) {
						p, err := real(fleet, kind)
						l := l
						l.Backend = p.Backend
						p.Backend = l
						return p, err
					}
				}
			}
			i := install(t)
			kill := i.controller(t, "c1", behind(time.Hour)) // nothing comes by the timer
			startNode(t, i.q, "default", "n1")
			i.members(t, 1)
			id := i.announce(t, 1, target("default", nil))
			r := i.fleet(t, "default", "to say what is wrong", func(r messages.FleetRecord) bool { return r.Applied.Error != "" })
			if !strings.Contains(r.Applied.Error, string(image(1))+" but reads back as \""+earlier) {
				t.Errorf("the error is %q", r.Applied.Error)
			}
			i.rollout(t, id, "to say it too", func(o messages.RolloutRecord) bool { return o.Why == r.Applied.Error })
			i.heartbeats(t, 5)
			if n := l.sets.Load(); n > 3 {
				t.Errorf("it was set %d times", n)
			}
			kill()
			i.controller(t, "c2", behind(50*time.Millisecond))
			for was := l.sets.Load(); l.sets.Load() <= was+3; {
				i.heartbeats(t, 1) // the timer tries again
			}
			l.well.Store(true)
			i.applied(t, "default", 1)
		})
	}
}

// heartbeats waits for so many of them.
func (i installation) heartbeats(t *testing.T, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	old := true
	err := store.Nodes(i.q).Watch(ctx, func(queue.Entry[messages.NodeStatus]) {
		if old {
			return
		}
		if n--; n == 0 {
			cancel()
		}
	}, func() { old = false })
	if n > 0 {
		t.Fatalf("%d heartbeats are missing: %v", n, err)
	}
}

func TestANodeThatCanNotJoinStopsNothingElse(t *testing.T) {
	i, _ := installed(t, 2)
	if err := queuetest.JetStream(t, i.q).DeleteKeyValue(t.Context(), i.q.Space().MembersBucket()); err != nil {
		t.Fatal(err)
	}
	startNode(t, i.q, "default", "n2")
	startNode(t, i.q, "other", "o1")
	i.fleet(t, "other", "to have a record", func(r messages.FleetRecord) bool { return r.ID != "" })
	i.heartbeats(t, 5)
	if _, err := people.Rollback(t.Context(), i.q, "default", "", "ada"); err != nil {
		t.Fatal(err)
	}
	i.applied(t, "default", 1)
}
