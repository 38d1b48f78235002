package distributor

import (
	"context"
	"errors"
	"time"

	"github.com/fenceline/fenceline/messages"
)

const (
	// learnTimeout bounds one try: a registry that is away must not hold up the node for long.
	learnTimeout = 3 * time.Second
	// learnAgain and learnSeldom are how long a registry is left alone after the first failure and after many.
	learnAgain  = 5 * time.Minute
	learnSeldom = time.Hour
)

// learnKey is the key in retries of what has an engine know an image by its digest.
func learnKey(image messages.Image) string { return "learn " + string(image) }

// learn has the engine ask the registries for the digests of images that it was fed with, once they are there and
// reported. It returns how long to wait for the next step. A newer record ends it: there may be more urgent things.
func (d *Distributor) learn(ctx context.Context, record *messages.FleetChanged, fed []want) time.Duration {
	next := idle
	for _, w := range fed {
		if wait := d.retries.wait(learnKey(w.Image)); wait > 0 {
			next = min(next, wait)
			continue
		}
		same := func(r *messages.FleetRecord) bool { return r == &record.Record }
		d.runJob(ctx, same, func(ctx context.Context) {
			err := d.learnOne(ctx, w)
			if errors.Is(context.Cause(ctx), errNotWanted) {
				next = 0
			} else if err != nil {
				next = min(next, d.retries.wait(learnKey(w.Image)))
			}
		})
		if next == 0 {
			break
		}
	}
	return next
}

// learnOne asks for one, and remembers how that failed.
func (d *Distributor) learnOne(ctx context.Context, w want) error {
	call, cancel := context.WithTimeout(ctx, learnTimeout)
	defer cancel()
	key := learnKey(w.Image)
	err := d.cfg.Engine.Learn(call, w.Image)
	switch {
	case err == nil:
		delete(d.retries, key)
	case ctx.Err() == nil:
		if d.retries.failed(key, err.Error()) {
			d.log.Info().Err(err).Stringer("image", w.Image).Msg("the engine was fed with the image, and does not know it by its digest yet: what is started by that asks the registry; trying again later")
		}
		failed := d.retries[key]
		failed.after = time.Now().Add(jitter(min(learnAgain<<min(failed.failures-1, 10), learnSeldom)))
	}
	return err
}
