package distributor

import "errors"

// What an engine's error can be about. Engines wrap these, with the cause.
var (
	// ErrEngine is returned when the engine itself can't be reached.
	ErrEngine = errors.New("the container engine can't be reached")
	// ErrRegistry is returned when the engine can't reach the registry.
	ErrRegistry = errors.New("the registry can't be reached")
	// ErrNotFound is returned for an image that is not in the registry or the engine.
	ErrNotFound = errors.New("image not found")
	// ErrUnauthorized is returned when the registry refuses the engine.
	ErrUnauthorized = errors.New("the registry refuses access")
	// ErrDamaged is returned for an image that the engine names and has not whole.
	ErrDamaged = errors.New("the engine's copy of the image is damaged")
	// ErrImage is returned where the image itself is why the engine can't take it: another image it can.
	ErrImage = errors.New("this engine can't use the image")
	// ErrWrongBytes is returned where what came is not what a digest says. Who gave it is not asked for that
	// image again, so that another try can help.
	ErrWrongBytes = errors.New("wrong bytes")
	// ErrNoSpace is returned when the engine's disk is full.
	ErrNoSpace = errors.New("no space left on the engine's disk")
)

// Why a pull or trial was given up.
var (
	errNotWanted = errors.New("the fleet no longer wants it")
	errStalled   = errors.New("nothing moved")
)
