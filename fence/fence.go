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
	By      string // who decided; "" where that isn't known
	Reason  string
}

// CauseKeeper is a Backend that keeps with a value what it comes from: a Historian gives it back. One
// image can come with several builds.
type CauseKeeper interface {
	Backend
	// SetFor is Set for a decision.
	SetFor(ctx context.Context, value string, expected Revision, cause Cause) (Setting, error)
}

// Place is where the setting of a fleet lives.
type Place struct {
	Backend
	Kind    string  // of messages.FenceKinds
	Sole    bool    // the store has one setting, which can be one fleet's alone
	Journal Journal // what the setting was, where the store doesn't keep that; else nil
}

// Factory returns where the setting of a fleet lives: in a place of a kind, or where "" is given in the
// default one. The error says what the kind lacks.
type Factory func(fleet, kind string) (Place, error)

// Journal remembers what a setting was, for a store that does not.
type Journal interface {
	// Last is the value that was noted last, and whether there is any.
	Last(ctx context.Context) (value string, known bool, err error)
	// Note adds a value, "" where the setting was unset, and what it comes from: nothing where
	// somebody else set it.
	Note(ctx context.Context, value string, cause Cause) error
}

// Change is an earlier state of the setting.
type Change struct {
	Setting
	At    time.Time // by the clock of what remembers it
	Cause Cause     // zero where it isn't known, as for a value that was set past fenceline
	Kind  string    // of the place where the setting lived
}

// Historian is a Backend that remembers earlier values.
type Historian interface {
	Backend
	// History lists what the setting was, oldest first, the present value last. It may
	// reach back a limited number of changes only.
	History(ctx context.Context) ([]Change, error)
}
