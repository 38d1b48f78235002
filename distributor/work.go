package distributor

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// idle is how long the work loop waits when nothing is to be done, if nothing wakes it: until
// a container may have ended that kept an image from being removed.
const idle = 5 * time.Minute

// job is a pull or a trial under way.
type job struct {
	wanted func(*messages.FleetRecord) bool
	cancel context.CancelCauseFunc
}

// workLoop takes one step after the other, and waits where there is none to take.
func (d *Distributor) workLoop(ctx context.Context) {
	for ctx.Err() == nil {
		wait := d.step(ctx)
		if wait == 0 {
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-d.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// step brings the engine one step nearer to the record, and returns how long to wait before
// the next: 0 when there may be more to do at once.
func (d *Distributor) step(ctx context.Context) time.Duration {
	record := d.known()
	images, err := d.images(ctx)
	if err != nil {
		return d.noEngine(ctx, record, err)
	}
	delete(d.retries, engineKey)
	if record == nil {
		return idle
	}
	d.removeTrials(ctx, &record.Record)
	wants := d.wants(&record.Record)
	d.startWork(&record.Record)
	d.forget(wants)
	next := idle
	for _, w := range wants {
		got, err := d.inspect(ctx, w.Image)
		if errors.Is(err, ErrEngine) || ctx.Err() != nil {
			return d.noEngine(ctx, record, err)
		}
		key, act := d.action(record, w, got, err)
		if act == nil {
			continue
		}
		if wait := d.retries.wait(key); wait > 0 {
			next = min(next, wait)
			continue
		}
		act(ctx)
		return 0
	}
	d.cleanup(ctx, images)
	return next
}

// forget drops what is remembered of failures with what is no longer wanted.
func (d *Distributor) forget(wants []want) {
	d.retries.keep(func(key string) bool {
		return slices.ContainsFunc(wants, func(w want) bool { return key == string(w.Image) || key == trialKey(w.Rollout) })
	})
	maps.DeleteFunc(d.short, func(image messages.Image, _ short) bool {
		return !slices.ContainsFunc(wants, func(w want) bool { return image == w.Image })
	})
}

// action is what is to be done about a wanted image that was inspected with this outcome, and
// the key of its retries; nil when nothing is.
func (d *Distributor) action(record *messages.FleetChanged, w want, got Image, err error) (string, func(context.Context)) {
	r := &record.Record
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && !got.Has(w.Image):
		return string(w.Image), func(ctx context.Context) { d.fetch(ctx, w, r) }
	case err != nil:
		return string(w.Image), func(context.Context) { d.damaged(w, r, err) }
	case !got.keeps(w.Image, LocalTag(r, w.Image)):
		return string(w.Image), func(ctx context.Context) { d.keep(ctx, w, r) }
	case !w.preload:
		return "", nil
	}
	p := r.Preload
	if !d.canary(p) || p.Trial.Disabled {
		d.report(w, messages.WorkDone, "", nil)
		return "", nil
	}
	if v := d.verdictOn(w); v != nil {
		d.reportVerdict(w, v)
		return "", nil
	}
	return trialKey(w.Rollout), func(ctx context.Context) { d.try(ctx, w, r) }
}

// images asks the engine, within the time for a call that only looks.
func (d *Distributor) images(ctx context.Context) ([]Image, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	return d.cfg.Engine.Images(ctx)
}

// inspect asks the engine for one image, within the same time.
func (d *Distributor) inspect(ctx context.Context, image messages.Image) (Image, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	return d.cfg.Engine.Inspect(ctx, image)
}

const engineKey = "engine"

// noEngine reports that the engine is gone, as the failure of the preload if there is one.
func (d *Distributor) noEngine(ctx context.Context, record *messages.FleetChanged, err error) time.Duration {
	if ctx.Err() != nil {
		return idle
	}
	if d.engineFailed(err) {
		signal(d.changed)
	}
	d.retries.failed(engineKey, "")
	if record != nil {
		d.startWork(&record.Record)
		if p := record.Record.Preload; d.admitted(p) {
			d.fail(want{FleetImage: p.FleetImage, preload: true}, engineKey+p.Rollout, "engine", err)
		}
	}
	return d.retries.wait(engineKey)
}

// removeTrials removes what a killed predecessor left, and after a trial what the engine could
// not remove.
func (d *Distributor) removeTrials(ctx context.Context, r *messages.FleetRecord) {
	if d.swept {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	n, err := d.cfg.Engine.RemoveTrials(ctx, d.owner(r))
	if err != nil {
		d.log.Warn().Err(err).Msg("can't remove containers of earlier trials yet")
		return
	}
	d.swept = true
	if n > 0 {
		d.log.Info().Int("containers", n).Msg("removed containers that an earlier trial left")
	}
}

// owner names this agent on its engine. It has the fleet's ID as local tags have, so that
// installations that share an engine leave each other's trials alone.
func (d *Distributor) owner(r *messages.FleetRecord) string {
	return strings.TrimPrefix(r.ID+"."+messages.NodeKey(d.cfg.Fleet, d.cfg.Node), ".")
}

// as runs fn as the job of the moment: its context ends with errNotWanted when a newer
// record doesn't want it any more.
func (d *Distributor) as(ctx context.Context, wanted func(*messages.FleetRecord) bool, fn func(context.Context)) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.mu.Lock()
	d.job = &job{wanted: wanted, cancel: cancel}
	if !wanted(&d.record.Record) {
		cancel(errNotWanted)
	}
	d.mu.Unlock()
	fn(ctx)
	d.mu.Lock()
	d.job = nil
	d.mu.Unlock()
}
