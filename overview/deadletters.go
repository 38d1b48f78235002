package overview

import (
	"context"
	"errors"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// AloneLetters counts the dead letters that are no part of a failed build, which is shown as such, or was. See is shown the name
// of each one.
func AloneLetters(ctx context.Context, q *queue.Client, listed []Build, see func(name string)) (n int, err error) {
	failed := map[uint64]bool{}
	for _, b := range listed {
		failed[b.request] = failed[b.request] || b.Failure != nil
	}
	err = builds.New(q).EachDeadLetter(ctx, func(l *messages.DeadLetter) error {
		see(builds.LetterName(*l))
		if l.Stream == q.Space().RequestsStream() && failed[l.Sequence] {
			return nil
		}
		alone, err := isAlone(ctx, q, l)
		if alone {
			n++
		}
		return err
	})
	return n, err
}

// isAlone tells whether a letter is no part of a failed build.
func isAlone(ctx context.Context, q *queue.Client, l *messages.DeadLetter) (bool, error) {
	_, p, _ := messages.Decode(messages.Message{Headers: l.Headers, Body: l.Body}) // nil for what can't be read
	r, request := p.(*messages.BuildRequested)
	if !request || l.Stream != q.Space().RequestsStream() {
		return true, nil
	}
	e, err := store.Builds(q).Get(ctx, r.Build)
	if err != nil && !errors.Is(err, queue.ErrNotFound) && !errors.Is(err, messages.ErrMalformed) {
		return false, err
	}
	return e.Value.Failure == nil || e.Value.Request != l.Sequence, nil
}
