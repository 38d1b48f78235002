package console

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fenceline/fenceline/imagediff"
)

// Comparer compares two images.
type Comparer interface {
	Compare(ctx context.Context, from, to imagediff.Wanted, platform string) (*imagediff.Diff, error)
}

var _ Comparer = (*imagediff.Client)(nil)

const (
	// diffTime bounds a comparison, and the wait for its turn. It ends before the server's time to answer does.
	diffTime = 90 * time.Second
	// diffsAtOnce is how many are made at one time: layers are unpacked for them.
	diffsAtOnce = 2
	// diffsEach is how many of those are of one person, whose others wait for them.
	diffsEach = 1
	// diffsKept is how many are kept. Images are named by their digests, so that none becomes old.
	diffsKept = 16
)

// DiffLimits bound what is read of images for one page.
func DiffLimits() imagediff.Limits {
	return imagediff.Limits{Bytes: 16 << 30, Entries: 2_000_000, File: 48 << 20, Kept: 144 << 20}
}

// diffs compares images, a few at a time, and keeps the last ones.
type diffs struct {
	by      Comparer
	turns   chan struct{}
	reading chan struct{} // has one while somebody reads which images there are

	mu    sync.Mutex
	own   map[string]*ownTurns // by person
	kept  map[diffOf]*imagediff.Diff
	order []diffOf // of kept, the oldest first
}

// ownTurns are those of a person who has images compared.
type ownTurns struct {
	turns chan struct{}
	wants int // of them under way and waiting
}

// diffOf names what was compared.
type diffOf struct{ from, to imagediff.Wanted }

func newDiffs(by Comparer) *diffs {
	return &diffs{by: by, turns: make(chan struct{}, diffsAtOnce), reading: make(chan struct{}, 1), kept: map[diffOf]*imagediff.Diff{}, own: map[string]*ownTurns{}}
}

// Errors of get that are about this console.
var (
	errNoCompare   = errors.New("this console compares no images")
	errBusyReading = errors.New("others read which images there are: load the page again")
	errLongDiff    = fmt.Errorf("it took longer than %v: the registry is slow, the images are large, or others are compared. Load the page again, or run fenceline diff, which takes as long as it needs", diffTime)
)

// ownTurn waits for a person's own turn. Done ends it, and is to be called where it did not come, too.
func (d *diffs) ownTurn(ctx context.Context, person string) (done func(), err error) {
	d.mu.Lock()
	own := d.own[person]
	if own == nil {
		own = &ownTurns{turns: make(chan struct{}, diffsEach)}
		d.own[person] = own
	}
	own.wants++
	d.mu.Unlock()
	leave := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if own.wants--; own.wants == 0 {
			delete(d.own, person)
		}
	}
	select {
	case own.turns <- struct{}{}:
		return func() { <-own.turns; leave() }, nil
	case <-ctx.Done():
		return leave, context.Cause(ctx)
	}
}

// get compares two images for a person, or returns what was told of them before.
func (d *diffs) get(ctx context.Context, person string, of diffOf) (*imagediff.Diff, error) {
	if d.by == nil {
		return nil, errNoCompare
	}
	if told := d.told(of); told != nil {
		return told, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, diffTime, errLongDiff)
	defer cancel()
	done, err := d.ownTurn(ctx, person)
	defer done()
	if err != nil {
		return nil, err
	}
	select {
	case d.turns <- struct{}{}:
		defer func() { <-d.turns }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if told := d.told(of); told != nil { // while this one waited
		return told, nil
	}
	made, err := d.by.Compare(ctx, of.from, of.to, "")
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	d.keep(of, made)
	return made, nil
}

func (d *diffs) told(of diffOf) *imagediff.Diff {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kept[of]
}

func (d *diffs) keep(of diffOf, made *imagediff.Diff) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept[of] == nil {
		d.order = append(d.order, of)
	}
	d.kept[of] = made
	if len(d.order) > diffsKept {
		delete(d.kept, d.order[0])
		d.order = d.order[1:]
	}
}
