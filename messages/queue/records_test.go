package queue_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

func TestRecordsChangeByRevision(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	fleets, ctx := store.Fleets(c), within(t)
	if _, err := fleets.Get(ctx, "f"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("reading what is not there: %v", err)
	}
	first, err := fleets.Create(ctx, "f", messages.FleetRecord{Fleet: "f", Epoch: 1})
	must(t, err)
	if _, err := fleets.Create(ctx, "f", messages.FleetRecord{}); !errors.Is(err, queue.ErrExists) {
		t.Errorf("creating it again: %v", err)
	}
	second, err := fleets.Update(ctx, "f", messages.FleetRecord{Fleet: "f", Epoch: 2}, first)
	must(t, err)
	if _, err := fleets.Update(ctx, "f", messages.FleetRecord{}, first); !errors.Is(err, queue.ErrMoved) {
		t.Errorf("changing an old revision: %v", err)
	}
	if err := fleets.Delete(ctx, "f", first); !errors.Is(err, queue.ErrMoved) {
		t.Errorf("deleting an old revision: %v", err)
	}
	if e, err := fleets.Get(ctx, "f"); err != nil || e.Revision != second || e.Value.Epoch != 2 || e.Created.IsZero() {
		t.Errorf("it is %+v, %v", e, err)
	}
	must(t, fleets.Delete(ctx, "f", second))
	if list, err := fleets.List(ctx); err != nil || len(list) != 0 {
		t.Errorf("a deleted record is listed: %+v, %v", list, err)
	}
	if _, err := fleets.Get(ctx, "f"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("reading what was deleted: %v", err)
	}
	_, err = fleets.Create(ctx, "f", messages.FleetRecord{Fleet: "f", Epoch: 3})
	must(t, err)
}

func TestModifyLosesNoChange(t *testing.T) {
	s := queuetest.Start(t)
	var wg sync.WaitGroup
	first := s.Client(t)
	for _, c := range []*queue.Client{first, s.Connect(t), s.Connect(t)} {
		wg.Go(func() {
			for range 10 {
				if _, err := store.Fleets(c).Modify(within(t), "f", func(r *messages.FleetRecord) error {
					r.Fleet = "f"
					r.Epoch++
					r.Decision = messages.NewID()
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	e, err := store.Fleets(first).Modify(within(t), "f", func(*messages.FleetRecord) error { return queue.ErrUnchanged })
	if err != nil || e.Value.Epoch != 30 {
		t.Errorf("after 30 changes it is %+v, %v", e, err)
	}
}

// watcher collects what a watch says.
type watcher struct {
	mu     sync.Mutex
	values map[string]uint64
	caught int
}

func (w *watcher) run(ctx context.Context, r *queue.Records[messages.FleetRecord]) error {
	return r.Watch(ctx, func(e queue.Entry[messages.FleetRecord]) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if e.Deleted {
			delete(w.values, e.Key)
			return
		}
		w.values[e.Key] = e.Value.Epoch
	}, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.caught++
	})
}

func (w *watcher) sees(key string, epoch uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	got, ok := w.values[key]
	return got == epoch && ok == (epoch > 0) && w.caught > 0
}

func TestAWatchSurvivesARestart(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	fleets := store.Fleets(c)
	_, err := fleets.Create(within(t), "a", messages.FleetRecord{Fleet: "a", Epoch: 1})
	must(t, err)
	revision, err := fleets.Create(within(t), "b", messages.FleetRecord{Fleet: "b", Epoch: 1})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	w := watcher{values: map[string]uint64{}}
	ended := make(chan error, 1)
	go func() { ended <- w.run(ctx, fleets) }()
	eventually(t, "both are seen", func() bool { return w.sees("a", 1) && w.sees("b", 1) })
	s.Restart(t)
	eventually(t, "the client is back", func() bool { return c.Ready(t.Context()) == nil })
	must(t, fleets.Delete(within(t), "b", revision))
	_, err = fleets.Modify(within(t), "a", func(r *messages.FleetRecord) error { r.Epoch = 2; return nil })
	must(t, err)
	eventually(t, "the changes are seen", func() bool { return w.sees("a", 2) && w.sees("b", 0) })
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
}
