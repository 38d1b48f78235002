package distributor

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
)

// Room is what a pull takes of an engine's disk, the one of its disks where it is tightest.
type Room struct {
	// Needs is what the pull takes there at most, in bytes: the layers that the engine lacks, as they travel
	// (Fetch) and unpacked (Unpacked), as far as each goes to this disk. -1 where that can't be known, for the
	// reason in Unknown.
	Needs, Fetch, Unpacked int64
	Unknown                error
	// Free is what is free there; -1 where that can't be known from here.
	Free int64
}

// Fits tells whether a pull leaves free what must stay free, as far as that is known.
func (r *Room) Fits(stays int64) bool {
	return r.Needs <= 0 || r.Free < 0 || r.Free-r.Needs >= stays
}

// makeRoom removes what the fleet no longer wants, before other images are there.
func (d *Distributor) makeRoom(ctx context.Context) {
	if images, err := d.images(ctx); err == nil {
		d.cleanup(ctx, images)
	}
}

// fits tells how many bytes are free, and whether a pull leaves free what must stay free, by what its
// manifest says. An error, ErrNoSpace where that is why, says that it must not begin.
func (d *Distributor) fits(ctx context.Context, image messages.Image, from *source) (int64, error) {
	free, err := d.freeBytes(ctx)
	if err != nil {
		return free, err
	}
	call, cancel := context.WithTimeout(ctx, 2*engineTimeout)
	defer cancel()
	room, err := d.lookForRoom(call, image, from)
	if err != nil {
		return free, fmt.Errorf("looking for room for %s: %w", image, err)
	}
	if room.Unknown != nil {
		d.log.Info().Err(room.Unknown).Stringer("image", image).Msg("can't tell before the pull how much room it needs; watching the disk during it")
	}
	if room.Fits(d.cfg.MinFreeBytes) {
		return free, nil
	}
	return free, fmt.Errorf("%w: the pull needs %s (%s to fetch, %s unpacked), %s are free where the engine keeps images and %s must stay free: remove images or files, or lower min-free-bytes",
		ErrNoSpace, messages.Size(room.Needs), messages.Size(room.Fetch), messages.Size(room.Unpacked), messages.Size(room.Free), messages.Size(d.cfg.MinFreeBytes))
}

// lookForRoom asks what a pull would take: of whom the image will come from.
func (d *Distributor) lookForRoom(ctx context.Context, image messages.Image, from *source) (Room, error) {
	if from == nil {
		return d.cfg.Engine.Room(ctx, image, nil)
	}
	for tries := 0; ; tries++ {
		room, err := d.cfg.Engine.Room(ctx, image, from.Content)
		if !errors.Is(room.Unknown, ErrWrongBytes) || tries == len(from.way.Mirrors) {
			d.tellTroubles(&from.way)
			return room, err
		}
	}
}
