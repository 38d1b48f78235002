package builds

import (
	"context"
	"errors"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// runningBuild is an attempt that a change of its record may end.
type runningBuild struct {
	claim    string
	revision uint64 // of the record with the claim
	end      context.CancelCauseFunc
}

// watch ends running attempts whose record says that they are over: cancelled by a person, or
// taken over by another worker.
func (w *worker) watch(ctx context.Context) {
	err := w.q.records.Changes(ctx, func() error { return w.lookAtAll(ctx) }, w.changed)
	if err != nil && ctx.Err() == nil {
		w.Logger.Error().Err(err).Msg("cancelled builds will only be noticed when they end")
	}
}

// lookAtAll reads the records of all running attempts: changes may have been missed.
func (w *worker) lookAtAll(ctx context.Context) error {
	w.mu.Lock()
	var names []string
	for name := range w.running {
		names = append(names, name)
	}
	w.mu.Unlock()
	for _, name := range names {
		if err := w.lookAt(ctx, name, true); err != nil {
			return err
		}
	}
	return nil
}

// lookAt reads the record of one running attempt. After an interruption the bucket may be another one, in
// which revisions begin again.
func (w *worker) lookAt(ctx context.Context, build string, interrupted bool) error {
	w.mu.Lock()
	claim := w.running[build].claim
	w.mu.Unlock()
	e, err := w.q.records.Current(ctx, build)
	if errors.Is(err, queue.ErrNotFound) {
		return nil
	}
	if err == nil {
		if interrupted {
			w.startOver(e, claim)
		}
		w.changed(e)
	}
	return err
}

// startOver has what is written from here on count, where the record is at a revision from before the attempt's claim. Of an
// attempt that was claimed while the record was read it says nothing.
func (w *worker) startOver(e queue.Entry[messages.BuildRecord], claim string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r, ok := w.running[e.Key]; ok && r.claim == claim && e.Revision < r.revision {
		r.revision = e.Revision - 1
		w.running[e.Key] = r
	}
}

// changed ends a running attempt whose record says that it is over. What comes late, from
// before the attempt's claim, says nothing about it.
func (w *worker) changed(e queue.Entry[messages.BuildRecord]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.running[e.Key]
	switch {
	case !ok || e.Revision <= r.revision:
	case e.Value.State == messages.BuildStateCancelled:
		r.end(ErrCancelled)
	case e.Value.Claim != r.claim || e.Value.Ended() || e.Deleted:
		r.end(queue.ErrLeaseLost)
	}
}

// enter makes an attempt known to watch, once its claim is written.
func (w *worker) enter(build string, r runningBuild) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[build] = r
}

// leave takes an attempt out again, before its end is written.
func (w *worker) leave(build, claim string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running[build].claim == claim {
		delete(w.running, build)
	}
}
