package controller

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/tracing"
)

// traceDecision makes the span of a decision that was written: which image is current.
func (f *fleetActor) traceDecision(was, is *messages.FleetRecord, began time.Time) {
	if is.Epoch == was.Epoch {
		return
	}
	why := ""
	if d := is.Decided; d != nil && d.Epoch == is.Epoch {
		why = d.Reason
	}
	f.Tracer.Over(f.traceOf(is), "decide", began, time.Time{}, nil, f.aboutEpoch(is),
		tracing.Saying(tracing.Text("previous", was.Current.Image.String()), tracing.Text("why", why)))
}

// traceOf is the traceparent of the rollout that brought a fleet's current image, or "".
func (f *fleetActor) traceOf(r *messages.FleetRecord) string {
	if r.Current.Rollout == "" {
		return ""
	}
	return f.views.rollout(r.Current.Rollout).Traceparent
}

func (f *fleetActor) aboutEpoch(r *messages.FleetRecord) tracing.Option {
	return tracing.Saying(append(tracing.Images(r.Current.Image), tracing.Fleet(f.fleet), tracing.Rollout(r.Current.Rollout), tracing.Count("epoch", int64(r.Epoch)))...)
}

// traceFlip drives the fence config. Behind a decision that is the flip, and has a span.
func (f *fleetActor) traceFlip(ctx context.Context, r *messages.FleetRecord, behind bool) error {
	traceparent := f.traceOf(r)
	if !behind || traceparent == "" {
		return f.drive(ctx)
	}
	ctx, span := f.Tracer.Start(ctx, traceparent, "flip", f.aboutEpoch(r))
	err := f.drive(ctx)
	span.End(err)
	return err
}

// traceRollout makes the spans of a rollout that is over: its own, below that of its build, and those of its parts.
func (f *fleetActor) traceRollout(was, is *messages.RolloutRecord) {
	if was.State.Final() || !is.State.Final() {
		return
	}
	t, own, end := f.Tracer, is.Traceparent, time.Now()
	var failed error
	if is.State == messages.RolloutFailed || is.State == messages.RolloutRolledBack {
		failed = errors.New(cmp.Or(is.Why, string(is.State)))
	}
	about := tracing.Saying(append(tracing.Images(is.Ready.Image), tracing.Fleet(is.Fleet), tracing.Rollout(is.ID))...)
	preloaded := end
	if !is.FlippedAt.IsZero() {
		preloaded = is.FlippedAt
		t.Over(own, "follow the flip", is.FlippedAt, end, failed, about)
	}
	t.Over(own, "preload", is.Opened, preloaded, nil, about,
		tracing.Saying(tracing.Count("members", int64(is.Counts())), tracing.Count("present", int64(is.Present)), tracing.Count("failed", int64(max(is.FailedCount, len(is.Failed))))))
	if is.OpenedBy != "" {
		t.Over(is.OpenedBy, "rollout", is.Opened, end, failed, tracing.AsReserved(own), about,
			tracing.Saying(tracing.Result(string(is.State)), tracing.Text("why", is.Why)))
	}
}
