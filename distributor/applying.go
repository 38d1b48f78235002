package distributor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/distributor/apply"
	"github.com/fenceline/fenceline/messages"
)

// Applier makes an image the one that the node's own software reads; package apply serves it.
type Applier interface {
	// Apply sees to it that the image is applied, and returns since when it is. What is so already is
	// left as it is. apply.ErrNotHere, wrapped, where that waits for the image.
	Apply(ctx context.Context, c apply.Change) (apply.Result, error)
}

// applyLoop applies the current image, and looks again each interval whether it still is.
func (d *Distributor) applyLoop(ctx context.Context) {
	if d.cfg.Applier == nil {
		return
	}
	a := applying{retries: retries{}}
	for ctx.Err() == nil {
		timer := time.NewTimer(d.applyStep(ctx, &a))
		select {
		case <-ctx.Done():
		case <-d.toApply:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// applying is what the apply loop remembers.
type applying struct {
	retries retries
	image   messages.Image // that it was about last
	mended  int            // how often in a row somebody else had changed what was written
	looked  time.Time      // when that was the last time
}

// mendedKey is the key in retries of what others change again and again.
const mendedKey = "mended"

// mendedFor is how long a change by others counts: the next within it is put right later than the last.
const mendedFor = time.Hour

// applyStep applies the current image where it is not, and returns how long to wait before the next look.
func (d *Distributor) applyStep(ctx context.Context, a *applying) time.Duration {
	record := d.known()
	if record == nil || record.Record.Current.IsZero() {
		return d.cfg.Interval // a record's arrival wakes
	}
	current := record.Record.Current
	if current.Image != a.image {
		*a = applying{retries: retries{}, image: current.Image}
		d.noteApplied(messages.NodeApplied{Image: current.Image, Revision: record.Revision, State: messages.ApplyWaiting})
	}
	for _, key := range []string{string(current.Image), mendedKey} {
		if wait := a.retries.wait(key); wait > 0 {
			return wait
		}
	}
	change, begun := d.changeTo(record), time.Time{}
	change.Begins = func() {
		begun = time.Now()
		d.applyBegins(record)
	}
	out, err := d.cfg.Applier.Apply(ctx, change)
	if traceparent := d.traceOf(current); !begun.IsZero() {
		d.tracer(traceparent).Over(traceparent, "apply", begun, time.Now(), err, d.about(current))
	}
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, apply.ErrNotHere):
		d.noteApplied(messages.NodeApplied{Image: current.Image, Revision: record.Revision, State: messages.ApplyWaiting, Error: brief(err.Error())})
	case err != nil:
		d.applyFailed(a, record, err)
		return a.retries.wait(string(current.Image))
	default:
		d.appliedWell(a, current, out)
	}
	return d.cfg.Interval
}

// changeTo is the change to the current image of a record.
func (d *Distributor) changeTo(record *messages.FleetChanged) apply.Change {
	r := &record.Record
	image := r.Current.Image
	return apply.Change{
		Values: apply.Values{
			Image: r.ReferenceTo(image), Local: r.LocalName(image), Name: image.Name(), Digest: image.Digest(), Previous: r.ReferenceTo(r.Previous.Image),
			Build: r.Current.Build, Fleet: d.cfg.Fleet, Node: d.cfg.Node, Revision: record.Revision,
		},
		Present: func(ctx context.Context) error { return d.holds(ctx, r, image) },
	}
}

// applyBegins notes that the current image is applied now.
func (d *Distributor) applyBegins(record *messages.FleetChanged) {
	image := record.Record.Current.Image
	d.noteApplied(messages.NodeApplied{Image: image, Revision: record.Revision, State: messages.ApplyRunning, Error: d.lastApplyError(image)})
}

// holds tells whether the engine has an image complete; the error says why not.
func (d *Distributor) holds(ctx context.Context, r *messages.FleetRecord, image messages.Image) error {
	got, err := d.inspect(ctx, image)
	if err == nil && got.keeps(image, r.LocalName(image)) {
		return nil
	}
	if errors.Is(err, ErrEngine) {
		return fmt.Errorf("%w: %w", apply.ErrNotHere, err)
	}
	d.mu.Lock()
	problem := d.problems[image]
	d.mu.Unlock()
	if problem != "" {
		return fmt.Errorf("%w: %s", apply.ErrNotHere, problem)
	}
	return apply.ErrNotHere
}

// applyFailed notes that the image could not be applied; it is tried again later and later.
func (d *Distributor) applyFailed(a *applying, record *messages.FleetChanged, err error) {
	current := record.Record.Current
	d.cfg.Metrics.Applied("failed")
	news := a.retries.failed(string(current.Image), err.Error())
	d.noteApplied(messages.NodeApplied{Image: current.Image, Revision: record.Revision, State: messages.ApplyFailed, Error: brief(err.Error())})
	if !news {
		return
	}
	d.log.Warn().Err(err).Stringer("image", current.Image).Msg("can't apply the current image; trying again")
	d.post(event{payload: &messages.NodeFailed{
		Fleet: d.cfg.Fleet, Node: d.cfg.Node, Rollout: current.Rollout, Image: current.Image, Step: "apply", Reason: brief(err.Error()),
	}, traceparent: d.traceOf(current)})
}

// appliedWell notes that the image is applied, and what somebody else had put in its place. What is put
// right again and again is so with growing pauses, as its software is told each time.
func (d *Distributor) appliedWell(a *applying, current messages.FleetImage, out apply.Result) {
	image := current.Image
	delete(a.retries, string(image))
	d.mu.Lock()
	was := d.applied
	d.mu.Unlock()
	if out.Mended != "" {
		d.cfg.Metrics.Applied("mended")
	} else if was == nil || !was.Has(image) {
		d.cfg.Metrics.Applied("done")
	}
	now := messages.NodeApplied{Image: image, Revision: out.Revision, State: messages.ApplyDone, At: out.At}
	switch {
	case out.Mended != "":
		if time.Since(a.looked) > mendedFor {
			delete(a.retries, mendedKey)
			a.mended = 0
		}
		a.mended, a.looked = a.mended+1, time.Now()
		a.retries.failed(mendedKey, "")
		if now.Mended = brief(out.Mended); a.mended > 1 {
			now.Mended = fmt.Sprintf("%s, the %dth time: something else writes it", now.Mended, a.mended)
		}
		d.log.Warn().Stringer("image", image).Str("found", out.Mended).Msg("somebody else had changed what was applied; it is put right")
	case was != nil && was.Image == image && was.State == messages.ApplyDone && time.Since(a.looked) <= mendedFor:
		now.Mended = was.Mended
	}
	if was == nil || !was.Has(image) {
		d.logOf(want{FleetImage: current, traceparent: d.traceOf(current)}).Info().Msg("applied")
	}
	d.noteApplied(now)
}

// lastApplyError is why applying an image failed last, or "": it is said until it succeeds.
func (d *Distributor) lastApplyError(image messages.Image) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.applied.Image != image || d.applied.State == messages.ApplyWaiting {
		return ""
	}
	return d.applied.Error
}

// noteApplied is what the next heartbeat says of what is applied, which is sent at once where it is news.
func (d *Distributor) noteApplied(now messages.NodeApplied) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.applied == nil || *d.applied != now {
		d.applied = &now
		signal(d.changed)
	}
}
