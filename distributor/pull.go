package distributor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/tracing"
)

// fetch pulls an image, tags it and checks that it is there.
func (d *Distributor) fetch(ctx context.Context, w want, r *messages.FleetRecord) {
	wanted := func(r *messages.FleetRecord) bool {
		return slices.ContainsFunc(d.wants(r), func(o want) bool { return o.Image == w.Image && d.mayFetch(r, o) })
	}
	d.runJob(ctx, wanted, func(ctx context.Context) {
		from, err := d.open(w.Image, r)
		free := int64(-1)
		if err == nil {
			free, err = d.room(ctx, w.Image, from)
		}
		if err == nil {
			d.report(w, messages.WorkPulling, "", nil)
			d.noteFetch(ctx, r.LocalRealm(), w)
			err = d.pull(ctx, w, from, free)
		}
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, errNotWanted):
			d.log.Info().Stringer("image", w.Image).Msg("gave up the pull: the fleet no longer wants the image, or it is not this node's turn any more")
		case cause != nil: // the agent stops
		case err != nil:
			d.pullFailed(w, r, err)
		default:
			d.tagAndCheck(ctx, w, r)
		}
	})
}

// refuseImage reports that the node may not fetch an image: its fleet's list of repositories leaves it out.
func (d *Distributor) refuseImage(w want, r *messages.FleetRecord) {
	err := messages.CheckPreload(r.PreloadFrom, w.Image)
	if err == nil {
		return
	}
	d.fail(w, string(w.Image), "refused", fmt.Errorf("fetching %s is refused: %w", w.Image, err))
}

// pullFailed reports a failed pull. What an earlier pull left damaged is removed at the next try.
// What the image is to blame for is a canary's verdict on it.
func (d *Distributor) pullFailed(w want, r *messages.FleetRecord, err error) {
	if errors.Is(err, ErrDamaged) {
		d.damaged[w.Image] = damagedLooks
	}
	if errors.Is(err, ErrImage) {
		d.unusable[w.Image] = time.Now()
		if p := r.Preload; w.preload && d.canary(p) && !p.Trial.Disabled {
			d.noteProblem(w, brief(err.Error()))
			d.keepVerdict(w, messages.TrialResult{Reason: err.Error()})
			return
		}
	}
	d.fail(w, string(w.Image), stepOf(err), err)
}

// unusableTime is how long an image is not fetched again that the engine can't take in.
const unusableTime = time.Hour

// isUnusable tells whether the engine could not take in the image, a short time ago.
func (d *Distributor) isUnusable(image messages.Image) bool {
	at, ok := d.unusable[image]
	return ok && time.Since(at) < unusableTime
}

// damagedLooks is how often in a row an image can't be read until it is removed.
const damagedLooks = 3

// pull pulls an image; free is what was free before it. It is given up when nothing moves for
// stallTimeout, or when it takes the space that pulls must leave alone. There is no other limit, as
// nobody can know how long an image may take.
func (d *Distributor) pull(ctx context.Context, w want, from *source, free int64) (err error) {
	d.logOf(w).Info().Msg("pulling")
	_, span := d.tracer(w.traceparent).Start(ctx, w.traceparent, "pull", tracing.Calling, d.about(w.FleetImage))
	defer func() { span.End(err) }()
	start := time.Now()
	stopped := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
	defer watchdog.Stop()
	before, looked := d.fetchedBytes(w), start
	d.noteFetched(w, before, Progress{})
	defer d.fetchEnded()
	var last Progress
	n, err := d.bring(ctx, w.Image, from, func(p Progress) {
		watchdog.Reset(stallTimeout)
		d.noteFetched(w, before, p)
		last = p
		if time.Since(looked) < roomInterval {
			return
		}
		looked = time.Now()
		if _, err := d.freeBytes(ctx); errors.Is(err, ErrNoSpace) {
			cancel(err)
		}
	})
	last.Bytes = n
	span.Say(tracing.Count("bytes", n))
	d.noteFetched(w, before, last)
	d.cfg.Metrics.Pulled(wayOf(from), pullOutcome(stopped, err), n, time.Since(start))
	switch cause := context.Cause(ctx); {
	case err == nil:
		delete(d.short, w.Image)
		d.logOf(w).Info().Int64("bytes", n).Dur("took", time.Since(start)).Msg("pulled")
		return nil
	case errors.Is(cause, errStalled):
		return fmt.Errorf("pulling %s: %w for %s; check the registry and the engine's log", w.Image, errStalled, stallTimeout)
	case errors.Is(cause, ErrNoSpace):
		err = fmt.Errorf("pulling %s was given up: %w", w.Image, cause)
	}
	if errors.Is(err, ErrNoSpace) {
		d.short[w.Image] = &shortage{free: free, at: time.Now(), low: -1}
	}
	return err
}

// tagAndCheck tags an image that is there, and checks with the engine that it has exactly it.
func (d *Distributor) tagAndCheck(ctx context.Context, w want, r *messages.FleetRecord) {
	call, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	local := r.LocalName(w.Image)
	d.noteOrigin(call, r.LocalRealm(), w)
	err := d.cfg.Engine.Tag(call, w.Image, local)
	var got Image
	if err == nil {
		got, err = d.cfg.Engine.Inspect(call, w.Image)
	}
	if err == nil && !got.keeps(w.Image, local) {
		err = fmt.Errorf("the engine has %s under the digests %q and tags %q, not as it was pulled and tagged", w.Image, got.Digests, got.Tags)
	}
	if err != nil {
		if errors.Is(err, ErrDamaged) {
			d.damaged[w.Image] = damagedLooks
		}
		if ctx.Err() == nil {
			d.fail(w, string(w.Image), "verify", err)
		}
		return
	}
	delete(d.retries, string(w.Image))
	delete(d.damaged, w.Image)
	d.noteProblem(w, "")
	d.report(w, messages.WorkPresent, "", nil)
	signal(d.changed)
}

// mend removes an image that the engine knows of and can't use, and fetches it again: over what the
// engine takes for present a pull changes nothing. An error that doesn't say that the image is damaged
// may pass, so that it has to repeat itself first.
func (d *Distributor) mend(ctx context.Context, w want, r *messages.FleetRecord, err error) {
	d.damaged[w.Image]++
	if !errors.Is(err, ErrDamaged) && d.damaged[w.Image] < damagedLooks {
		d.fail(w, string(w.Image), "verify", fmt.Errorf("the engine can't read what it has of the image: %w", err))
		return
	}
	call, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	if !errors.Is(err, ErrDamaged) {
		if other := d.cfg.Engine.Sound(call); other != nil {
			d.damaged[w.Image]-- // it is asked again before anything is removed
			d.fail(w, string(w.Image), "engine", fmt.Errorf("the engine can't read what it has of the image: %w; nor any other image, so that this one stays: %w", err, other))
			return
		}
	}
	delete(d.damaged, w.Image)
	for _, name := range []string{r.LocalName(w.Image), string(w.Image)} {
		if refused := d.cfg.Engine.Remove(call, name); refused != nil {
			d.fail(w, string(w.Image), "verify", fmt.Errorf(
				"the engine can't read what it has of the image: %w; nor remove it: %w; remove it (docker image rm -f %s %s), and it is fetched again",
				err, refused, r.LocalName(w.Image), w.Image))
			return
		}
	}
	d.log.Warn().Err(err).Stringer("image", w.Image).Msg("removed an image that the engine can't read; fetching it again")
	d.fetch(ctx, w, r)
}

// stepOf says at which step a pull failed.
func stepOf(err error) string {
	switch {
	case errors.Is(err, ErrNoSpace):
		return "disk"
	case errors.Is(err, ErrEngine):
		return "engine"
	case errors.Is(err, ErrImage):
		return "image"
	}
	return "pull"
}
