package fence

import (
	"context"
	"errors"
	"time"
)

// Key is the path of the setting in the fence component, as kato config has it.
const Key = "docker/image"

// ErrConflict is returned by Set when the setting is no longer at the expected revision:
// somebody else wrote it in between. Nothing was written.
var ErrConflict = errors.New("the fence config was changed by somebody else in between")

// Revision tells two states of the setting apart. It is opaque, and only compared with
// others of the same backend. "" stands for a setting that is not set.
type Revision string

// Setting is the fence config's image setting as it was read.
type Setting struct {
	Value    string // the image that new app containers get; "" where it was never set
	Revision Revision
}

// Backend is where one fleet's setting lives. It is safe for concurrent use.
type Backend interface {
	// Get reads the setting. A setting that was never set, or was unset, is the zero Setting, not an error.
	Get(ctx context.Context) (Setting, error)
	// Set writes value if the setting is still at the expected revision, as Get returned it,
	// and returns what is set then. It returns ErrConflict where it isn't. A backend
	// without a compare-and-set of its own compares and writes under a lock that all its
	// writers on this host take, and reads back what it wrote. After any other error it is
	// not known whether the value was written: Get tells. A value that CheckValue refuses is not written.
	Set(ctx context.Context, value string, expected Revision) (Setting, error)
}

// Cause is the decision that a value comes from.
type Cause struct {
	Epoch   uint64 // of the fleet's record
	Rollout string // that the image came with, or "" where none did
	Build   string
	Order   uint64
}

// CauseKeeper is a Backend that keeps with a value what it comes from: a Historian gives it back. One
// image can come with several builds.
type CauseKeeper interface {
	Backend
	// SetFor is Set for a decision.
	SetFor(ctx context.Context, value string, expected Revision, cause Cause) (Setting, error)
}

// Factory returns where the setting of a fleet lives.
type Factory func(fleet string) Backend

// Change is an earlier state of the setting.
type Change struct {
	Setting
	At    time.Time // by the clock of the store
	Cause Cause     // zero where it isn't known, as for a person's value
}

// Historian is a Backend that remembers earlier values.
type Historian interface {
	Backend
	// History lists what the setting was, oldest first, the present value last. It may
	// reach back a limited number of changes only.
	History(ctx context.Context) ([]Change, error)
}
