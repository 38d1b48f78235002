package console

import (
	"context"
	"errors"
	"hash/fnv"
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
	// refusedFileMost is how long what a producer says of its pipeline file counts.
	refusedFileMost = 5 * messages.RefusedFileEvery
)

// mark notes that something is to be read anew: it has a value from then on until that is begun.
type mark chan struct{}

func newMark() mark { return make(mark, 1) }

func (m mark) set() {
	select {
	case m <- struct{}{}:
	default: // it is to be read already
	}
}

// sideline is what pages say of builds and dead letters. It is read as `fenceline status` reads it, when a build's record
// has changed.
type sideline struct {
	queue *queue.Client
	asked mark // set when something is known to have changed

	mu    sync.Mutex
	state sideState
}

// sideState is what was read.
type sideState struct {
	failed  []overview.Build // the last of each pipeline that has made no image since
	letters int              // dead letters that are no part of those
	full    bool             // there is no room for more
	open    []overview.Build // queued, running and unreadable ones
	mark    uint64           // tells states of all dead letters apart
	files   []messages.RefusedFile
	problem string // why it could not be read
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
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() {
		requests := queue.ReadOptions{New: true, Follow: true, Broken: func(queue.Stored, error) { l.asked.set() }}
		_ = l.queue.Read(ctx, l.queue.Space().RequestsStream(), requests, func(queue.Received) error { l.asked.set(); return nil }) // it ends with ctx
	})
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.asked:
		case <-time.After(sideIdle):
		}
		began := time.Now()
		state := l.read(ctx)
		l.mu.Lock()
		l.state = state
		l.mu.Unlock()
		note()
		if state.problem != "" {
			l.asked.set()
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
		err = l.letters(ctx, all, &out)
	}
	if err == nil {
		out.files, err = l.refusedFiles(ctx)
	}
	if err != nil {
		out = l.is()
		out.problem = err.Error()
	}
	return out
}

// refusedFiles are the pipeline files that producers which are there can't use. An installation of before knows none.
func (l *sideline) refusedFiles(ctx context.Context) (out []messages.RefusedFile, err error) {
	all, err := store.RefusedFiles(l.queue).List(ctx)
	if errors.Is(err, queue.ErrUndeclared) || errors.Is(err, queue.ErrForbidden) {
		return nil, nil
	}
	if err != nil || len(all) == 0 {
		return nil, err
	}
	now, err := store.NewClock(l.queue).Now(ctx)
	for _, e := range all {
		if now.Sub(e.Created) < refusedFileMost {
			out = append(out, e.Value)
		}
	}
	return out, err
}

// letters counts the dead letters.
func (l *sideline) letters(ctx context.Context, all []overview.Build, out *sideState) error {
	names := fnv.New64a()
	var err error
	if out.letters, err = overview.AloneLetters(ctx, l.queue, all, func(name string) { _, _ = names.Write([]byte(name + " ")) }); err != nil {
		return err
	}
	out.mark = names.Sum64()
	out.full, err = builds.New(l.queue).LettersFull(ctx)
	return err
}
