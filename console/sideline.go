package console

import (
	"context"
	"hash/fnv"
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
	mark    uint64           // tells states of all dead letters apart
	problem string           // why it could not be read
}

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
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-time.After(sideIdle):
		}
		state := l.read(ctx)
		l.mu.Lock()
		l.state = state
		l.mu.Unlock()
		note()
		if state.problem != "" {
			_ = mark()
		}
		if !queue.Pause(ctx, sideEvery) {
			return nil
		}
	}
}

func (l *sideline) read(ctx context.Context) sideState {
	ctx, cancel := context.WithTimeout(ctx, sideTime)
	defer cancel()
	var out sideState
	all, err := overview.RecentBuilds(ctx, l.queue, overview.BuildsShown, "")
	if err == nil {
		all, err = overview.LastsOf(ctx, l.queue, all)
	}
	if err == nil {
		out.failed = overview.FailedBuilds(all)
		err = l.letters(ctx, all, &out)
	}
	if err != nil {
		out = l.is()
		out.problem = err.Error()
	}
	return out
}

// letters counts the dead letters.
func (l *sideline) letters(ctx context.Context, all []overview.Build, out *sideState) error {
	line := builds.New(l.queue)
	letters, err := line.DeadLetters(ctx)
	if err != nil {
		return err
	}
	names := fnv.New64a()
	for _, letter := range letters {
		_, _ = names.Write([]byte(builds.LetterName(letter) + " "))
	}
	out.mark = names.Sum64()
	if out.letters, err = overview.AloneLetters(ctx, l.queue, letters, all); err != nil {
		return err
	}
	out.full, err = line.LettersFull(ctx)
	return err
}
