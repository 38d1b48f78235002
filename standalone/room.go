package standalone

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// Room is what is free on the disk of a folder. A part of it is kept for what NATS stores: builds stop
// first, then pushes, and the last of it is held by a file. Half of that is given up when all else is
// gone, and the rest once NATS can't store, as who fills the disk may have taken the first half, too.
// Everything is less on a small disk.
type Room struct {
	dir     string
	reserve string // the file
	size    uint64 // of the disk
	logger  zerolog.Logger
}

// What stays free, at most and as a share of the disk.
const (
	mostForBuilds, shareForBuilds   = 1 << 30, 5
	mostForPushes, shareForPushes   = 256 << 20, 10
	mostForReserve, shareForReserve = 64 << 20, 20
	mostForNATS, shareForNATS       = 8 << 20, 100
)

// roomInterval is between two looks at the disk, for its reserve.
const roomInterval = 200 * time.Millisecond

// newRoom looks at the disk of a folder.
func newRoom(dir, reserve string, logger zerolog.Logger) (*Room, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return nil, fmt.Errorf("asking for the size of the disk of %s: %w", dir, err)
	}
	return &Room{dir: dir, reserve: reserve, size: s.Blocks * uint64(s.Bsize), logger: logger}, nil
}

func (r *Room) share(most, share uint64) uint64 { return min(most, r.size/share) }

// short tells that less is free than has to stay so, or that it can't be known.
func (r *Room) short(most, share uint64) error {
	free, err := freeBytes(r.dir)
	if err != nil {
		return err
	}
	if want := r.share(most, share); free < want {
		return fmt.Errorf("%w: the disk of %s has %s free of %s, and %s stay free: make room there", ErrDiskFull, r.dir, mebibytes(free), mebibytes(r.size), mebibytes(want))
	}
	return nil
}

// ForBuilds tells why no build may write to the disk now, or nil. An error wraps ErrDiskFull.
func (r *Room) ForBuilds() error { return r.short(mostForBuilds, shareForBuilds) }

// forPushes is ForBuilds for what is pushed to the registry.
func (r *Room) forPushes() error { return r.short(mostForPushes, shareForPushes) }

// forNATS tells whether a NATS server can store here.
func (r *Room) forNATS() error { return r.short(mostForNATS, shareForNATS) }

// Shortage tells what an installation with this state folder doesn't do for want of room, or nil.
func Shortage(dir string) error {
	r, err := newRoom(dir, "", zerolog.Nop())
	if errors.Is(err, os.ErrNotExist) {
		return nil // nothing runs there
	}
	if err != nil {
		return err
	}
	for _, of := range []struct {
		short error
		stops string
	}{{r.forNATS(), "nothing can be stored, so that webhooks are answered with 503"}, {r.forPushes(), "no image is pushed, and no build begins"}, {r.ForBuilds(), "no build begins"}} {
		if of.short != nil {
			return fmt.Errorf("%s: %w", of.stops, of.short)
		}
	}
	return nil
}

// keep holds the reserve while there is room, and gives it up when there is none, until ctx ends.
func (r *Room) keep(ctx context.Context) {
	tick := time.NewTicker(roomInterval)
	defer tick.Stop()
	for {
		r.turn()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// turn takes or gives up the reserve, as the disk is.
func (r *Room) turn() {
	free, err := freeBytes(r.dir)
	if err != nil {
		return // the disk is away, which others say
	}
	reserve := r.share(mostForReserve, shareForReserve)
	held, err := os.Stat(r.reserve)
	switch whole := err == nil && held.Size() >= int64(reserve); {
	case whole && free < reserve/2:
		r.giveUp(int64(reserve / 2))
	case !whole && free > r.share(mostForPushes, shareForPushes)+2*reserve:
		if err := allocate(r.reserve, int64(reserve)); err != nil {
			r.logger.Warn().Err(err).Msg("no room can be reserved for NATS")
		}
	}
}

// giveUp leaves only so much of the reserve, for who stores next.
func (r *Room) giveUp(left int64) {
	if os.Truncate(r.reserve, left) == nil {
		r.logger.Error().Str("dir", r.dir).Msg("the disk is all but full: what was reserved is given up for what NATS stores: make room")
	}
}

// allocate makes a file that has its blocks.
func allocate(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("reserving room: %w", err)
	}
	err = syscall.Fallocate(int(f.Fd()), 0, 0, size)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("reserving room in %s: %w", path, errors.Join(err, os.Remove(path)))
	}
	return nil
}

// FreeBytes is what an ordinary user may still write to the disk of a folder; -1 where that can't be known.
func FreeBytes(path string) int64 {
	n, err := freeBytes(path)
	if err != nil {
		return -1
	}
	return int64(min(n, math.MaxInt64))
}

// freeBytes is what an ordinary user may still write to the disk of path.
func freeBytes(path string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0, fmt.Errorf("asking for the free space of %s: %w", path, err)
	}
	return s.Bavail * uint64(s.Bsize), nil
}

func mebibytes(n uint64) string { return fmt.Sprintf("%d MiB", n>>20) }
