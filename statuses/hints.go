package statuses

import (
	"context"
	"errors"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

const (
	// hintFirst is when a hint is looked at again whose status is on its way to the forge.
	hintFirst = time.Second
	// tooLate is after how long nobody cares for what a hint leads to.
	tooLate = 7 * 24 * time.Hour
)

// about is the build that a hint is about.
type about struct {
	pipeline, build string                   // pipeline is "" where the hint doesn't say
	request         *messages.BuildRequested // nil where the hint is none
	sequence        uint64                   // of the hint
	rolling         bool                     // the hint is of a rollout
	at              time.Time                // when the hint was stored
}

// aboutOf reads a hint. It is false for what is about no commit.
func aboutOf(r queue.Received) (about, bool) {
	a := about{at: r.Stored, sequence: r.Sequence}
	switch p := r.Payload.(type) {
	case *messages.BuildRequested:
		a.pipeline, a.build, a.request = p.Pipeline.Name, p.Build, p
	case *messages.RolloutChanged:
		a.build, a.rolling = p.Build, true
	case *messages.BuildStarted:
		a.pipeline, a.build = p.Pipeline, p.Build
	case *messages.BuildFailed:
		a.pipeline, a.build = p.Pipeline, p.Build
	case *messages.BuildSuperseded:
		a.pipeline, a.build = p.Pipeline, p.Build
	case *messages.BuildCancelled:
		a.pipeline, a.build = p.Pipeline, p.Build
	case *messages.ImageReady:
		a.pipeline, a.build = p.Pipeline, p.Build
	}
	return a, a.build != ""
}

// settle decides about a hint: it is done with once the forge knows, else it comes again.
func (w *Worker) settle(ctx context.Context, d *queue.Delivery) {
	again, err := w.take(ctx, d)
	switch {
	case err != nil && ctx.Err() == nil:
		w.Logger.Warn().Err(err).Str("subject", d.Subject).Msg("hint will be looked at again")
		err = d.Return(queue.Backoff(w.Pause, d.Deliveries))
	case ctx.Err() != nil:
		err = d.Return(0)
	case again > 0:
		err = d.Return(again)
	default:
		err = d.Done()
	}
	if err != nil && !errors.Is(err, queue.ErrLeaseLost) && ctx.Err() == nil {
		w.Logger.Warn().Err(err).Str("subject", d.Subject).Msg("hint not settled: it comes again")
	}
}

// take looks at a hint. It returns after how long it is to come again; 0 where it is done with.
func (w *Worker) take(ctx context.Context, d *queue.Delivery) (time.Duration, error) {
	if len(w.routes) == 0 {
		return 0, nil
	}
	r, err := w.Queue.Decode(d.Stored)
	if err != nil {
		w.Logger.Debug().Err(err).Str("subject", d.Subject).Msg("hint passed over")
		return 0, nil // whose work it is keeps it
	}
	a, ok := aboutOf(r)
	if !ok || a.pipeline != "" && w.routes[a.pipeline] == nil {
		return 0, nil
	}
	v, err := w.look(ctx, a)
	if err != nil || v == nil {
		return 0, err
	}
	told, err := w.told(ctx, v)
	if err != nil {
		return 0, err
	}
	if told.settles(v) {
		if a.rolling && v.status.moving() {
			return v.pace(w.Pace, time.Since(a.at)), nil
		}
		return 0, nil
	}
	if age := time.Since(a.at); age > tooLate {
		w.Logger.Warn().Str("build", v.build).Stringer("age", age.Round(time.Hour)).Msg("the forge was not told of a build, and it is too late now")
		return 0, nil
	}
	f := v.route.forge
	if f.behind() && !(a.rolling && v.status.moving()) { // other forges' hints don't wait behind it
		owed, err := w.owe(ctx, v, a)
		if err == nil {
			f.add(v.key(), a, d.Deliveries, v.request, owed)
		}
		return 0, err
	}
	again := f.add(v.key(), a, d.Deliveries, v.request, 0)
	if a.rolling && v.status.moving() {
		again = v.pace(w.Pace, time.Since(a.at))
	}
	return again, nil
}
