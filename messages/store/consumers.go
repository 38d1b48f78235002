package store

import "github.com/fenceline/fenceline/messages"

// The names under which the workers of an installation share consumers: all builders those of
// build requests, all controllers those of events.
const (
	Builders    = "builders"
	Controllers = "controller"
)

// ControllerEvents are the events that controllers act on.
var ControllerEvents = []messages.Type{
	messages.TypeImageReady, messages.TypeBasePinned,
	messages.TypeBuildFailed, messages.TypeBuildSuperseded, messages.TypeBuildCancelled,
}
