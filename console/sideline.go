package console

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
)

const (
	// sideEvery is how often builds and dead letters are looked at anew at the most.
	sideEvery = 2 * time.Second
	// sideIdle is how often they are where no build's record has changed: dead letters come without one.
	sideIdle = 30 * time.Second
	// sideTime bounds a look.
	sideTime = 20 * time.Second
)

// sideline is what pages say of builds and dead letters. It is read as `fenceline status` reads it, when a build's record
// has changed.
type sideline struct {
	queue *queue.Client

	mu    sync.Mutex
	state sideState
}

// sideState is what was read.
type sideState struct {
	failed  []overview.Build // the last of each pipeline that has made no image since
	letters int              // dead letters that are no part of those
	full    bool             // there is no room for more
	open    []overview.Build // queued, running and unreadable ones
	problem string           // why it could not be read
}

// sideRest is how many times as long as a look took it rests after it: with many builds in the queue a look costs more.
const sideRest = 5

// is is what was read last.
func (l *sideline) is() sideState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// run reads again and again, and tells by note when something is new.
func (l *sideline) run(ctx context.Context, note func()) error {
	changed := make(chan struct{}, 1)
	mark := func() error {
		select {
		case changed <- struct{}{}:
		default:
		}
		return nil
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() {
		_ = store.Builds(l.queue).Changes(ctx, mark, func(queue.Entry[messages.BuildRecord]) { _ = mark() }) // it ends with ctx
	})
	watching.Go(func() {
		requests := queue.ReadOptions{New: true, Follow: true, Broken: func(queue.Stored, error) { _ = mark() }}
		_ = l.queue.Read(ctx, l.queue.Space().RequestsStream(), requests, func(queue.Received) error { return mark() }) // likewise
	})
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-time.After(sideIdle):
		}
		began := time.Now()
		state := l.read(ctx)
		l.mu.Lock()
		l.state = state
		l.mu.Unlock()
		note()
		if state.problem != "" {
			_ = mark()
		}
		if !queue.Pause(ctx, max(sideEvery, sideRest*time.Since(began))) {
			return nil
		}
	}
}

func (l *sideline) read(ctx context.Context) sideState {
	ctx, cancel := context.WithTimeout(ctx, sideTime)
	defer cancel()
	var out sideState
	all, err := overview.RecentBuilds(ctx, l.queue, overview.BuildsShown, "")
	out.open = slices.DeleteFunc(slices.Clone(all), func(b overview.Build) bool {
		return b.Broken == "" && b.State != overview.StateQueued && b.State != string(messages.BuildStateRunning)
	})
	if err == nil {
		all, err = overview.LastsOf(ctx, l.queue, all)
	}
	if err == nil {
		out.failed = overview.FailedBuilds(all)
		out.letters, out.full, err = l.letters(ctx, all)
	}
	if err != nil {
		out = l.is()
		out.problem = err.Error()
	}
	return out
}

func (l *sideline) letters(ctx context.Context, all []overview.Build) (n int, full bool, err error) {
	line := builds.New(l.queue)
	letters, err := line.DeadLetters(ctx)
	if err != nil {
		return 0, false, err
	}
	if n, err = overview.AloneLetters(ctx, l.queue, letters, all); err != nil {
		return 0, false, err
	}
	full, err = line.LettersFull(ctx)
	return n, full, err
}
