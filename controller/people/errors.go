package people

import "errors"

// Errors of people's decisions. Each is wrapped with what was asked for and what to do.
var (
	// ErrUnknownFleet tells that no fleet of that name has a record.
	ErrUnknownFleet = errors.New("unknown fleet")
	// ErrUnknownRollout tells that there is no rollout of that ID.
	ErrUnknownRollout = errors.New("unknown rollout")
	// ErrUnknownNode tells that no member of the fleet has that name.
	ErrUnknownNode = errors.New("unknown node")
	// ErrUp tells that a node is heard: it would join again with its next heartbeat.
	ErrUp = errors.New("it is up, and would join again with its next heartbeat: stop its distributor first")
	// ErrNoImage tells that the fleet has no such image to go to.
	ErrNoImage = errors.New("no such image")
	// ErrNotPresent tells that too few members report the image.
	ErrNotPresent = errors.New("the image is not present on enough nodes")
	// ErrTooLate tells that the rollout has passed the point where this could be decided.
	ErrTooLate = errors.New("too late")
	// ErrNoOrder tells that no request was ever given that order.
	ErrNoOrder = errors.New("no such order")
	// ErrOlderCouldFlip tells that images which are older than the fleet's could take their place.
	ErrOlderCouldFlip = errors.New("an image that is older than the fleet's could then be flipped to")
	// ErrBrokenFleet tells that the fleet's record can't be read: RepairFleet mends it.
	ErrBrokenFleet = errors.New("the fleet's record can't be read")
	// ErrNoController tells that no controller answers.
	ErrNoController = errors.New("no controller answers")
	// ErrChanged tells that a record is not as the person who decides has seen it.
	ErrChanged = errors.New("it was changed while you looked")
	// ErrDecided tells that what was asked for is decided, and stands; something that follows from it could not be written or told.
	ErrDecided = errors.New("it is decided")
	// ErrNothingToDo tells that what was asked for is so already.
	ErrNothingToDo = errors.New("nothing to do")
)
