package sinks

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// tail knows how far the streams are. One look serves all sinks.
type tail struct {
	w       *Worker
	looking sync.Mutex        // held while the streams are looked at: what is known is never older than what was
	told    map[string]string // by stream, why it can't be read, so that it is said once

	mu      sync.Mutex
	last    map[string]uint64 // sequence of the last message, of the streams that can be read
	settled map[string]uint64 // up to which what was stored before it in any stream is in last
	changed chan struct{}     // closed when last or settled is another
	now     time.Time         // by the server's clock, at
	at      time.Time         // that time by this machine's
}

func newTail(w *Worker) *tail {
	return &tail{w: w, told: map[string]string{}, last: map[string]uint64{}, settled: map[string]uint64{}, changed: make(chan struct{})}
}

// run looks at the streams until ctx ends.
func (t *tail) run(ctx context.Context) error {
	for {
		t.look(ctx)
		if !queue.Pause(ctx, t.w.Look) {
			return context.Cause(ctx)
		}
	}
}

// look looks at the streams, and where there is more than there was once more: one of them may have got something while others
// were looked at, before what those got.
func (t *tail) look(ctx context.Context) {
	t.looking.Lock()
	defer t.looking.Unlock()
	settled, now, ok := t.ends(ctx)
	if !ok {
		return
	}
	last := settled
	if known, _ := t.seen(); !maps.Equal(settled, known) {
		if last, now, ok = t.ends(ctx); !ok {
			return
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now, t.at = now, time.Now()
	if !maps.Equal(last, t.last) || !maps.Equal(settled, t.settled) {
		t.last, t.settled = last, settled
		close(t.changed)
		t.changed = make(chan struct{})
	}
}

// ends is how far each stream is that can be read, and the server's time. It is false where NATS is away: what was known stays.
func (t *tail) ends(ctx context.Context) (found map[string]uint64, now time.Time, ok bool) {
	found = map[string]uint64{}
	for _, stream := range store.SinkStreams(t.w.Queue.Space()) {
		info, err := t.w.Queue.Info(ctx, stream)
		if ctx.Err() != nil {
			return nil, now, false
		}
		if err != nil {
			t.unread(stream, err)
			if !errors.Is(err, queue.ErrUndeclared) && !errors.Is(err, queue.ErrForbidden) {
				return nil, now, false
			}
			continue
		}
		delete(t.told, stream)
		found[stream], now = info.Last, info.Now
	}
	return found, now, true
}

// unread says that a stream can't be read, once for each reason.
func (t *tail) unread(stream string, err error) {
	if t.told[stream] == err.Error() {
		return
	}
	t.told[stream] = err.Error()
	says := "what is in a stream is not sent to sinks"
	if errors.Is(err, queue.ErrForbidden) {
		says += ": give this role's NATS user the rights that 'fenceline init' gives the user statuses"
	}
	t.w.Logger.Warn().Err(err).Str("stream", stream).Msg(says)
}

// seen is how far each stream is, and what is closed when one goes on.
func (t *tail) seen() (map[string]uint64, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last, t.changed
}

// settles tells whether all that was stored before a message is in what the streams are known to have. A stream that is shorter
// than it was is another.
func (t *tail) settles(stream string, sequence uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return sequence <= t.settled[stream] || sequence > t.last[stream]
}

// time is the server's time when the streams were looked at last, zero where it doesn't say.
func (t *tail) time() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now
}

// age is how long ago something was stored, by the server's clock alone.
func (t *tail) age(stored time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now.IsZero() {
		return time.Since(stored)
	}
	return t.now.Add(time.Since(t.at)).Sub(stored)
}
