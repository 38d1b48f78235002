package distributor

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	d.removeTrials(ctx)
	if record == nil {
		return idle
	}
	wants := d.wants(&record.Record)
	d.startWork(&record.Record)
	d.retries.keep(func(key string) bool {
		return slices.ContainsFunc(wants, func(w want) bool { return key == string(w.Image) || key == trialKey(w.Rollout) })
	})
	next := idle
	for _, w := range wants {
		key, act := d.action(record, w, images)
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

// action is what is to be done about a wanted image, and the key of its retries; nil when
// nothing is.
func (d *Distributor) action(record *messages.FleetChanged, w want, images []Image) (string, func(context.Context)) {
	at := slices.IndexFunc(images, func(i Image) bool { return i.Has(w.Image) })
	switch {
	case at < 0:
		return string(w.Image), func(ctx context.Context) { d.fetch(ctx, w, &record.Record) }
	case !slices.Contains(images[at].Tags, LocalTag(&record.Record, w.Image)):
		return string(w.Image), func(ctx context.Context) { d.keep(ctx, w, &record.Record) }
	case !w.preload:
		return "", nil
	}
	p := record.Record.Preload
	if !d.canary(p) || p.Trial.Disabled {
		d.report(w, messages.WorkDone, "", nil)
		return "", nil
	}
	if v := d.verdictOn(w); v != nil {
		d.reportVerdict(w, v)
		return "", nil
	}
	return trialKey(w.Rollout), func(ctx context.Context) { d.try(ctx, w, *p) }
}

// images asks the engine, within the time for a call that only looks.
func (d *Distributor) images(ctx context.Context) ([]Image, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	return d.cfg.Engine.Images(ctx)
}

const engineKey = "engine"

// noEngine reports that the engine is gone, as the failure of the preload if there is one.
func (d *Distributor) noEngine(ctx context.Context, record *messages.FleetChanged, err error) time.Duration {
	if ctx.Err() != nil {
		return idle
	}
	d.engineFailed(err)
	d.retries.failed(engineKey, "")
	if record != nil {
		d.startWork(&record.Record)
		if p := record.Record.Preload; d.admitted(p) {
			d.fail(want{FleetImage: p.FleetImage, preload: true}, engineKey+p.Rollout, "engine", err)
		}
	}
	return d.retries.wait(engineKey)
}

// removeTrials removes once what a killed predecessor left.
func (d *Distributor) removeTrials(ctx context.Context) {
	if d.swept {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	n, err := d.cfg.Engine.RemoveTrials(ctx, d.owner())
	if err != nil {
		d.log.Warn().Err(err).Msg("can't remove containers of earlier trials yet")
		return
	}
	d.swept = true
	if n > 0 {
		d.log.Info().Int("containers", n).Msg("removed containers that an earlier trial left")
	}
}

// owner names this agent on its engine.
func (d *Distributor) owner() string { return messages.NodeKey(d.cfg.Fleet, d.cfg.Node) }

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

// fetch pulls an image, tags it and checks that it is there.
func (d *Distributor) fetch(ctx context.Context, w want, r *messages.FleetRecord) {
	wanted := func(r *messages.FleetRecord) bool {
		return slices.ContainsFunc(d.wants(r), func(o want) bool { return o.Image == w.Image })
	}
	d.as(ctx, wanted, func(ctx context.Context) {
		d.report(w, messages.WorkPulling, "", nil)
		err := d.checkDisk(ctx)
		if err == nil {
			err = d.pull(ctx, w)
		}
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, errNotWanted):
			d.log.Info().Stringer("image", w.Image).Msg("gave up the pull: the fleet no longer wants the image")
		case cause != nil: // the agent stops
		case err != nil:
			d.fail(w, string(w.Image), stepOf(err), err)
		default:
			d.keep(ctx, w, r)
		}
	})
}

// pull is given up when nothing moves for a long time; there is no other limit, as nobody
// can know how long an image may take.
func (d *Distributor) pull(ctx context.Context, w want) error {
	d.log.Info().Stringer("image", w.Image).Msg("pulling")
	start := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
	defer watchdog.Stop()
	before := d.bytesOf(w)
	n, err := d.cfg.Engine.Pull(ctx, w.Image, func(fetched int64) {
		watchdog.Reset(stallTimeout)
		d.fetched(w, before+fetched)
	})
	d.fetched(w, before+n)
	if errors.Is(context.Cause(ctx), errStalled) {
		return fmt.Errorf("pulling %s: %w for %s; check the registry and the engine's log", w.Image, errStalled, stallTimeout)
	}
	if err == nil {
		d.log.Info().Stringer("image", w.Image).Int64("bytes", n).Dur("took", time.Since(start)).Msg("pulled")
	}
	return err
}

// checkDisk refuses to pull onto a disk that is nearly full: it would take apps down with it.
func (d *Distributor) checkDisk(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	free, err := d.cfg.Engine.FreeBytes(ctx)
	if err != nil {
		return fmt.Errorf("reading the free space of the engine's disk: %w", err)
	}
	if free >= 0 && free < d.cfg.MinFreeBytes {
		return fmt.Errorf("%w: %d bytes are free where the engine keeps images, and %d are needed: remove images or files, or lower the minimum", ErrNoSpace, free, d.cfg.MinFreeBytes)
	}
	return nil
}

// keep tags an image that is there, and checks with the engine that it has exactly it.
func (d *Distributor) keep(ctx context.Context, w want, r *messages.FleetRecord) {
	call, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	local := LocalTag(r, w.Image)
	err := d.cfg.Engine.Tag(call, w.Image, local)
	var got Image
	if err == nil {
		got, err = d.cfg.Engine.Inspect(call, w.Image)
	}
	if err == nil && (!got.Has(w.Image) || !slices.Contains(got.Tags, local)) {
		err = fmt.Errorf("the engine has %s under the digests %q and tags %q, not as it was pulled and tagged", w.Image, got.Digests, got.Tags)
	}
	if err != nil {
		if ctx.Err() == nil {
			d.fail(w, string(w.Image), "verify", err)
		}
		return
	}
	delete(d.retries, string(w.Image))
	d.report(w, messages.WorkPresent, "", nil)
	signal(d.changed)
}

// stepOf says at which step a pull failed.
func stepOf(err error) string {
	switch {
	case errors.Is(err, ErrNoSpace):
		return "disk"
	case errors.Is(err, ErrEngine):
		return "engine"
	}
	return "pull"
}
