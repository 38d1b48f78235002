package distributor_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
	"github.com/rs/zerolog"
)

// A controller may begin to listen only after the first heartbeat that is stored again.
func TestHeartbeatsAreRepeatedAfterAnOutage(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.setGone(true)
		after(time.Minute)
		w.setGone(false)
		before := len(w.queue.sent())
		after(6 * time.Second) // a try and three repeats, each a second and a quarter at most
		if n := len(w.queue.sent()) - before; n != 4 {
			t.Errorf("%d heartbeats soon after the outage, want one and three repeats", n)
		}
		before = len(w.queue.sent())
		after(4 * distributor.DefaultInterval)
		if n := len(w.queue.sent()) - before; n != 4 {
			t.Errorf("%d heartbeats in the four intervals afterwards", n)
		}
	})
}

// An engine that answers some questions and not others is told of once, and not asked in a loop.
func TestAnEngineThatAnswersInPart(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.has("1")
		w.engine.Do(func(f *enginetest.Fake) { f.Stuck = errors.New("containerd is gone") })
		synctest.Wait()
		before := w.last().Beat
		after(10 * time.Minute)
		w.has()
		if got := w.last(); got.Engine.Error != "containerd is gone" || got.Beat-before > 130 {
			t.Errorf("%d heartbeats in 10 minutes, the last %+v", got.Beat-before, got)
		}
		w.engine.Do(func(f *enginetest.Fake) { f.Stuck = nil })
		after(distributor.DefaultInterval + time.Second)
		w.has("1")
		if got := w.last().Engine.Error; got != "" {
			t.Errorf("engine error %q", got)
		}
	})
}

func TestAnEngineThatGoesDuringAPull(t *testing.T) {
	var hold chan struct{}
	prepare := func(w *world) {
		hold = make(chan struct{})
		w.engine.Hold = hold
	}
	run(t, prepare, func(w *world) {
		w.announce(messages.FleetRecord{Preload: preload("1")})
		w.works(messages.WorkPulling, "")
		w.engine.Do(func(f *enginetest.Fake) { f.Down, f.Hold = true, nil })
		close(hold)
		synctest.Wait()
		w.has()
		w.works(messages.WorkFailed, "engine")
		after(time.Minute)
		w.engine.Do(func(f *enginetest.Fake) { f.Down = false })
		after(distributor.DefaultInterval + time.Second)
		w.has("1")
		w.works(messages.WorkDone, "")
	})
}

func TestAnEngineThatGoesAndComesBack(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("2"), Preload: preload("1")})
		w.has("2", "1")
		w.engine.Do(func(f *enginetest.Fake) { f.Down = true })
		synctest.Wait()
		after(time.Second)
		w.has()
		if got := w.last(); got.Engine.Error == "" || got.FreeBytes != -1 {
			t.Errorf("heartbeat %+v of a node without engine", got)
		}
		if err := w.agent.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "engine") {
			t.Errorf("ready: %v", err)
		}
		w.works(messages.WorkFailed, "engine")
		after(10 * time.Minute)
		w.failed("engine", "engine")
		w.engine.Do(func(f *enginetest.Fake) { f.Down = false })
		w.engine.Lose(img("2"))
		after(distributor.DefaultInterval + time.Second)
		w.has("2", "1")
		w.works(messages.WorkDone, "")
		if got := w.last().Engine; got.Error != "" || got.Name != "fake" {
			t.Errorf("engine %+v", got)
		}
	})
}

func TestAnEngineThatIsDownAtTheStart(t *testing.T) {
	run(t, func(w *world) { w.engine.Down = true }, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		if w.last().Engine.Error == "" {
			t.Error("the heartbeat does not say that the engine is gone")
		}
		w.engine.Do(func(f *enginetest.Fake) { f.Down = false })
		after(distributor.DefaultInterval + time.Second)
		w.has("1")
	})
}

func TestNATSThatGoesAndComesBack(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1")})
		w.setGone(true)
		w.engine.Do(func(f *enginetest.Fake) { f.Gone[img("1")] = true })
		w.engine.Lose(img("1"))
		after(time.Minute)
		if err := w.agent.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), errGone.Error()) {
			t.Errorf("ready: %v", err)
		}
		w.setGone(false)
		after(2 * time.Minute)
		w.failed("pull", "registry")
		if err := w.agent.Ready(t.Context()); err != nil {
			t.Errorf("ready: %v", err)
		}
	})
}

// stopped is an engine under an agent whose process is stopped, once, right after it was asked
// for its free space, which is the last thing that a heartbeat asks.
type stopped struct {
	*enginetest.Fake
	stop atomic.Bool
	went func()
}

func (e *stopped) FreeBytes(ctx context.Context) (int64, error) {
	free, err := e.Fake.FreeBytes(ctx)
	if e.stop.CompareAndSwap(true, false) {
		<-time.After(time.Hour)
		e.went()
	}
	return free, err
}

func TestWhatWasSeenLongAgoIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		record := messages.FleetRecord{Fleet: fleet, Current: fleetImage("1")}
		q := &fakeQueue{record: &messages.FleetChanged{Revision: 1, Record: record}}
		e := &stopped{Fake: &enginetest.Fake{Free: 100 << 30}}
		e.Put(img("1"), record.LocalName(img("1")))
		e.went = func() { e.Lose(img("1")) }
		agent, err := distributor.New(distributor.Config{Fleet: fleet, Node: node, Queue: q, Engine: e, Logger: zerolog.New(t.Output())})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- agent.Run(ctx) }()
		w := &world{t: t, queue: q}
		synctest.Wait()
		w.has("1")
		e.stop.Store(true)
		before := w.last().Beat
		after(2 * time.Hour)
		for i, s := range q.beats {
			if s.Beat > before && len(s.Images) > 0 && q.times[i].Sub(q.times[0]) > time.Minute {
				t.Errorf("heartbeat %d, sent %s after the start, claims an image that was seen an hour before", s.Beat, q.times[i].Sub(q.times[0]))
			}
		}
		w.has()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestContainersThatCantBeRemovedAreTriedOnceForAllImages, as each try can take long.
func TestContainersThatCantBeRemovedAreTriedOnceForAllImages(t *testing.T) {
	sweeps := map[int]int{}
	for _, images := range []int{1, 4} {
		run(t, func(w *world) { w.engine.LeftErr = errors.New("it hangs") }, func(w *world) {
			r := messages.FleetRecord{Current: fleetImage("1")}
			want := []string{"1"}
			for _, c := range []string{"2", "3", "4"}[:images-1] {
				r.Keep, want = append(r.Keep, fleetImage(c)), append(want, c)
			}
			w.announce(r)
			after(time.Minute)
			w.has(want...)
			w.engine.Do(func(f *enginetest.Fake) { f.Sweeps = 0 })
			after(30 * time.Minute)
			w.engine.Do(func(f *enginetest.Fake) { sweeps[images] = f.Sweeps })
		})
	}
	if sweeps[1] == 0 || sweeps[4] != sweeps[1] {
		t.Errorf("for one image they are tried %d times, for four %d", sweeps[1], sweeps[4])
	}
}

// TestARecordThatStartsOver has the fleets' bucket made anew: the record is there at a revision that the node has left
// behind. What is announced of it is acted on soon, and what merely came late is not.
func TestARecordThatStartsOver(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1"), Decision: "a"})
		w.announce(messages.FleetRecord{Current: fleetImage("2"), Decision: "b"})
		w.announce(messages.FleetRecord{Current: fleetImage("3"), Decision: "c"})
		tell := func(revision uint64, decision, current string) messages.FleetChanged {
			c := messages.FleetChanged{Revision: revision, Record: messages.FleetRecord{Fleet: fleet, Decision: decision, Current: fleetImage(current)}}
			w.queue.watcher(c)
			return c
		}
		for range 10 {
			tell(2, "b", "2") // late
		}
		after(time.Minute)
		w.has("3")
		if got := w.last().Revision; got != 3 {
			t.Errorf("after a late announcement it acts on revision %d", got)
		}

		record := tell(1, "d", "4")
		w.queue.mu.Lock()
		w.queue.record = &record
		w.queue.mu.Unlock()
		for range 10 {
			tell(1, "d", "4")
		}
		synctest.Wait()
		if got := w.last().Revision; got != 3 {
			t.Errorf("an older record is believed at once, and may come from a replica that is behind: revision %d", got)
		}
		after(7 * time.Second) // five and a quarter of that, and the pull
		w.has("4")
		w.announce(messages.FleetRecord{Current: fleetImage("5"), Decision: "e"})
		w.has("5")

		record.Revision, record.Record.Decision, record.Record.Current = 2, "f", fleetImage("6") // anew, and at the same revision
		w.queue.mu.Lock()
		w.queue.record = &record
		w.queue.mu.Unlock()
		w.queue.watcher(record)
		synctest.Wait()
		w.has("6")
	})
}

// TestAReplicaThatIsBehind answers the timer's question and, when an older record is announced right after that, the next one, too: it
// is not believed for that.
func TestAReplicaThatIsBehind(t *testing.T) {
	run(t, nil, func(w *world) {
		w.announce(messages.FleetRecord{Current: fleetImage("1"), Decision: "a"})
		w.announce(messages.FleetRecord{Current: fleetImage("2"), Decision: "b"})
		behind := *w.queue.record
		w.announce(messages.FleetRecord{Current: fleetImage("3"), Decision: "c"})
		answers := func(c messages.FleetChanged) {
			w.queue.mu.Lock()
			w.queue.record = &c
			w.queue.mu.Unlock()
		}
		now := *w.queue.record
		answers(behind)
		after(38 * time.Second) // the timer's question, the one after that is not before 45 s
		w.queue.watcher(behind)
		synctest.Wait()
		if got := w.last().Revision; got != 3 {
			t.Errorf("it acts on revision %d", got)
		}
		answers(now)
		after(time.Minute)
		if got := w.last().Revision; got != 3 {
			t.Errorf("it acts on revision %d then", got)
		}
	})
}
