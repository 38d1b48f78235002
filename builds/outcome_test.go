package builds_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

func TestATagThatCanNotBePutDoesNotHoldTheImageBack(t *testing.T) {
	refused := errors.New("tags are immutable here")
	for name, test := range map[string]struct {
		err   error
		tries int32
	}{
		"refused again and again": {refused, 5},
		"refused for good":        {queue.Permanent(refused), 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := queuetest.Start(t).Client(t)
			var tries, count atomic.Int32
			w := work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
				count.Add(1)
				return succeed(ctx, j)
			})
			w.Tag = func(context.Context, messages.BuildRecord) error {
				tries.Add(1)
				return test.err
			}
			consume(t, c, w)
			a := submit(t, c, request("base", 1))
			if r := ended(t, c, a.Build); r.State != messages.BuildStateSucceeded {
				t.Errorf("record is %+v", r)
			}
			settled(t, c)
			if tries.Load() != test.tries || count.Load() != 1 {
				t.Errorf("%d tries and %d builds", tries.Load(), count.Load())
			}
			if got := endings(t, c); got["image.ready "+a.Build] != 1 || len(got) != 1 {
				t.Errorf("events are %v", got)
			}
			eventually(t, "the build's log tells of it", func() bool {
				said := false
				err := c.Read(t.Context(), c.Space().LogsStream(), queue.ReadOptions{}, func(r queue.Received) error {
					l, ok := r.Payload.(*messages.BuildLog)
					said = said || ok && strings.Contains(l.Text, refused.Error())
					return nil
				})
				return err == nil && said
			})
		})
	}
}

func TestATagIsTriedAgainWhenTheRegistryWasAway(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	var tries atomic.Int32
	w := work(succeed)
	w.Tag = func(context.Context, messages.BuildRecord) error {
		if tries.Add(1) < 3 {
			return errors.New("the registry is away")
		}
		return nil
	}
	consume(t, c, w)
	ended(t, c, submit(t, c, request("base", 1)).Build)
	if tries.Load() != 3 {
		t.Errorf("%d tries", tries.Load())
	}
}

func TestAnOutcomeIsWrittenPastAChangeInBetween(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		_, err := store.Builds(c).Modify(ctx, j.Request.Build, func(r *messages.BuildRecord) error {
			r.Request += 7 // as a sweep notes a new place of the request
			return nil
		})
		if err != nil {
			return nil, err
		}
		return succeed(ctx, j)
	}))
	a := submit(t, c, request("base", 1))
	r := ended(t, c, a.Build)
	if r.State != messages.BuildStateSucceeded || r.Attempt != 1 || r.Request != a.Order+7 {
		t.Errorf("record is %+v", r)
	}
	if got := endings(t, c); got["image.ready "+a.Build] != 1 || len(got) != 1 {
		t.Errorf("events are %v", got)
	}
}

func TestARequestWhoseOutcomeIsMissingIsKept(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	q := request("base", 1)
	_, err := store.Builds(c).Create(within(t), q.Build, messages.BuildRecord{BuildRef: q.BuildRef(), State: messages.BuildStateSucceeded})
	must(t, err)
	submit(t, c, q)
	consume(t, c, work(succeed))
	eventually(t, "the request is a dead letter", func() bool {
		letters, err := queueOf(c).DeadLetters(t.Context())
		return err == nil && len(letters) == 1 && strings.Contains(letters[0].Reason, q.Build)
	})
}
