package overview

import (
	"context"
	"errors"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// AloneLetters counts the dead letters that are no part of a failed build, which is shown as such, or was.
func AloneLetters(ctx context.Context, q *queue.Client, letters []messages.DeadLetter, listed []Build) (int, error) {
	failed := map[uint64]bool{}
	for _, b := range listed {
		failed[b.request] = failed[b.request] || b.Failure != nil
	}
	n := 0
	for _, l := range letters {
		if l.Stream == q.Space().RequestsStream() && failed[l.Sequence] {
			continue
		}
		_, p, _ := messages.Decode(messages.Message{Headers: l.Headers, Body: l.Body}) // nil for what can't be read
		r, request := p.(*messages.BuildRequested)
		if !request || l.Stream != q.Space().RequestsStream() {
			n++
			continue
		}
		e, err := store.Builds(q).Get(ctx, r.Build)
		if err != nil && !errors.Is(err, queue.ErrNotFound) && !errors.Is(err, messages.ErrMalformed) {
			return n, err
		}
		if e.Value.Failure == nil || e.Value.Request != l.Sequence {
			n++
		}
	}
	return n, nil
}
