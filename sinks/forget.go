package sinks

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/sinks/form"
)

// forgetOthers forgets sinks that are no more, until ctx ends.
func (w *Worker) forgetOthers(ctx context.Context, t *tail) error {
	for {
		t.look(ctx) // for the server's time
		if err := w.forget(ctx, t); err != nil && ctx.Err() == nil {
			w.Logger.Warn().Err(err).Msg("more is kept of sinks than is needed; it is tried again")
		}
		if !queue.Pause(ctx, w.Keep/24) {
			return context.Cause(ctx)
		}
	}
}

// forget removes the records of sinks that no worker has had for as long as they are kept. Another worker's file may name a sink
// that this one's doesn't, as while the role is updated: so it is only marked at first, and whoever has it takes the mark off.
func (w *Worker) forget(ctx context.Context, t *tail) error {
	records := store.Sinks(w.Queue)
	all, err := records.List(ctx)
	if err != nil {
		return fmt.Errorf("looking for sinks that are no more: %w", err)
	}
	var failed []error
	for _, e := range all {
		if slices.ContainsFunc(w.Target.Sinks, func(s form.Sink) bool { return s.Name == e.Value.Sink }) {
			continue
		}
		if err := w.forgetOne(ctx, records, e, t); err != nil && !errors.Is(err, queue.ErrMoved) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func (w *Worker) forgetOne(ctx context.Context, records *queue.Records[messages.SinkRecord], e queue.Entry[messages.SinkRecord], t *tail) error {
	r, log := e.Value, w.Logger.With().Str("sink", e.Value.Sink).Logger()
	switch {
	case r.Gone != "", r.Unnamed && t.age(e.Created) >= w.Keep: // the first has nothing to go on with
		if err := records.Delete(ctx, e.Key, e.Revision); err != nil {
			return err
		}
		log.Info().Msg("sink is no more: nothing is kept for it")
	case !r.Unnamed:
		r.Unnamed = true
		if _, err := records.Update(ctx, e.Key, r, e.Revision); err != nil {
			return err
		}
		log.Info().Stringer("after", w.Keep).Msg("the pipeline file does not name a sink that was sent events: it is forgotten unless another worker's does")
	}
	return nil
}
