package distributor

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// idle is how long the work loop waits, if nothing wakes it, when nothing is to be done. Nothing
// wakes it when a container ends that kept an image from being removed.
const idle = 5 * time.Minute

// workLoop takes one step after the other, and waits where there is none to take.
func (d *Distributor) workLoop(ctx context.Context) {
	for ctx.Err() == nil {
		wait := d.step(ctx)
		if wait == 0 {
			signal(d.toApply) // the image may be there
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
// the next: 0 when there may be more to do at once. All images are listed where nothing is to be
// fetched: that takes an engine with many of them long.
func (d *Distributor) step(ctx context.Context) time.Duration {
	record := d.known()
	if record == nil {
		if _, err := d.images(ctx); err != nil {
			return d.noEngine(ctx, record, err)
		}
		d.haveEngine(ctx, nil, nil)
		return idle
	}
	wants := d.wants(&record.Record)
	next, answered := idle, false
	var fed []want
	for _, w := range wants {
		got, err := d.inspect(ctx, w.Image)
		if errors.Is(err, ErrEngine) || ctx.Err() != nil {
			return d.noEngine(ctx, record, err)
		}
		if !answered {
			d.haveEngine(ctx, &record.Record, wants)
			answered = true
		}
		key, act := d.action(record, w, got, err)
		if act == nil {
			if err == nil && got.Fed {
				fed = append(fed, w)
			}
			continue
		}
		if wait := d.retries.wait(key); wait > 0 {
			next = min(next, wait)
			continue
		}
		act(ctx)
		return 0
	}
	images, err := d.images(ctx)
	if err != nil {
		return d.noEngine(ctx, record, err)
	}
	if !answered {
		d.haveEngine(ctx, &record.Record, wants)
	}
	d.cleanup(ctx, images)
	if len(d.asked) > 0 {
		next = min(next, renewedAfter, d.cfg.AbandonedAfter)
	}
	return min(next, d.learn(ctx, record, fed))
}

// haveEngine takes in that the engine has answered.
func (d *Distributor) haveEngine(ctx context.Context, r *messages.FleetRecord, wants []want) {
	delete(d.retries, engineKey)
	if d.takeAgain() {
		d.retries.again()
		clear(d.unusable) // it may be another version
	}
	if r != nil {
		d.removeTrials(ctx, r)
		d.startWork(r)
		d.forget(wants)
	}
}

// forget drops what is remembered of the failures of images that are no longer wanted.
func (d *Distributor) forget(wants []want) {
	d.retries.forgetBut(func(key string) bool {
		return slices.ContainsFunc(wants, func(w want) bool {
			return key == string(w.Image) || key == trialKey(w.Rollout) || key == learnKey(w.Image)
		})
	})
	unwanted := func(image messages.Image) bool {
		return !slices.ContainsFunc(wants, func(w want) bool { return image == w.Image })
	}
	maps.DeleteFunc(d.short, func(image messages.Image, _ *shortage) bool { return unwanted(image) })
	maps.DeleteFunc(d.unusable, func(image messages.Image, _ time.Time) bool { return unwanted(image) })
	maps.DeleteFunc(d.damaged, func(image messages.Image, _ int) bool { return unwanted(image) })
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.problems, func(image messages.Image, _ string) bool { return unwanted(image) })
}

// action is what is to be done about a wanted image, by what inspecting it gave, and the key of its
// retries; nil where nothing is to be done.
func (d *Distributor) action(record *messages.FleetChanged, w want, got Image, err error) (string, func(context.Context)) {
	r := &record.Record
	switch {
	case d.damaged[w.Image] >= damagedLooks:
		return string(w.Image), func(ctx context.Context) { d.mend(ctx, w, r, errors.Join(ErrDamaged, err)) }
	case (errors.Is(err, ErrNotFound) || err == nil && !got.Has(w.Image)) && messages.CheckPreload(r.PreloadFrom, w.Image) != nil:
		return string(w.Image), func(context.Context) { d.refuseImage(w, r) }
	case (errors.Is(err, ErrNotFound) || err == nil && !got.Has(w.Image)) && !d.mayFetch(r, w):
		d.report(w, messages.WorkWaiting, "", nil)
		return "", nil
	case (errors.Is(err, ErrNotFound) || err == nil && !got.Has(w.Image)) && d.isUnusable(w.Image):
		return "", nil // its failure was reported, and stays
	case errors.Is(err, ErrNotFound) || err == nil && !got.Has(w.Image):
		return string(w.Image), func(ctx context.Context) { d.fetch(ctx, w, r) }
	case err != nil:
		return string(w.Image), func(ctx context.Context) { d.mend(ctx, w, r, err) }
	case !got.keeps(w.Image, r.LocalName(w.Image)):
		return string(w.Image), func(ctx context.Context) { d.tagAndCheck(ctx, w, r) }
	}
	d.noteProblem(w, "")
	if !w.preload {
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
	return trialKey(w.Rollout), func(ctx context.Context) { d.runTrial(ctx, w, r) }
}

// images asks the engine for all images, within engineTimeout.
func (d *Distributor) images(ctx context.Context) ([]Image, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	return d.cfg.Engine.Images(ctx)
}

// inspect asks the engine for one image, within engineTimeout.
func (d *Distributor) inspect(ctx context.Context, image messages.Image) (Image, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	return d.cfg.Engine.Inspect(ctx, image)
}
