package distributor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
)

const (
	// roomInterval is how often the free space is looked at during a pull.
	roomInterval = 2 * time.Second
	// shortTime is how long a pull that ran out of space is not tried again while no more space is
	// free: it would fetch the same bytes in vain.
	shortTime = 15 * time.Minute
	// settleTime is what an engine may take to clear away a pull that failed. What becomes free later was
	// made free by somebody.
	settleTime = 30 * time.Second
	// madeRoom is how much has to become free to count as room that was made: below it files come and go.
	madeRoom = 16 << 20
)

// shortage is how a pull ran out of space.
type shortage struct {
	free int64 // bytes that were free before it
	at   time.Time
	low  int64 // the fewest that were free since the engine cleared it away; -1 where it was not looked at since
}

// over tells whether the pull may be tried again: there is more room than before it, or room was made
// since. An engine may keep what it fetched, so that less than before can be enough.
func (s *shortage) over(free int64) bool {
	since := time.Since(s.at)
	if free < 0 || free > s.free || since >= shortTime {
		return true
	}
	if since < settleTime {
		return false
	}
	if s.low < 0 || free < s.low {
		s.low = free
	}
	return free >= s.low+madeRoom
}

// room tells how many bytes are free for a pull, -1 where that can't be known. An error says why the
// pull must not begin.
func (d *Distributor) room(ctx context.Context, image messages.Image, from *source) (int64, error) {
	free, err := d.fits(ctx, image, from)
	if errors.Is(err, ErrNoSpace) {
		d.makeRoom(ctx)
		free, err = d.fits(ctx, image, from)
	}
	if err != nil {
		return free, err
	}
	if s := d.short[image]; s != nil && !s.over(free) {
		return free, fmt.Errorf("%w: %d bytes are free where the engine keeps images, and a pull of %s ran out with %d: remove images or files",
			ErrNoSpace, free, image, s.free)
	}
	return free, nil
}

// freeBytes asks the engine for its free space. ErrNoSpace where less is free than pulls must leave
// alone, as a full disk takes the node's apps down.
func (d *Distributor) freeBytes(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	free, err := d.cfg.Engine.FreeBytes(ctx)
	if err != nil {
		return -1, fmt.Errorf("reading the free space of the engine's disk: %w", err)
	}
	if free >= 0 && free < d.cfg.MinFreeBytes {
		return free, fmt.Errorf("%w: %d bytes are free where the engine keeps images, and %d must stay free: remove images or files, or lower min-free-bytes",
			ErrNoSpace, free, d.cfg.MinFreeBytes)
	}
	return free, nil
}
