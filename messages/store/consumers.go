package store

import (
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// The names under which the workers of an installation share consumers: all builders those of
// build requests, all controllers those of events, all who tell forges those of both.
const (
	Builders    = "builders"
	Controllers = "controller"
	Statuses    = "statuses"
)

// ControllerEvents are the events that controllers act on.
var ControllerEvents = []messages.Type{
	messages.TypeImageReady, messages.TypeBasePinned,
	messages.TypeBuildFailed, messages.TypeBuildSuperseded, messages.TypeBuildCancelled,
}

// StatusHints are the messages after which a forge may be told something else of a commit.
var StatusHints = []messages.Type{
	messages.TypeBuildRequested, messages.TypeBuildStarted, messages.TypeBuildFailed, messages.TypeBuildSuperseded,
	messages.TypeBuildCancelled, messages.TypeImageReady, messages.TypeRolloutChanged,
}

// StatusConsumers are the consumers of StatusHints, in all versions that this program reads.
func StatusConsumers(s messages.Space) []queue.Shared {
	return statusConsumers(s, messages.Type.Versions)
}

func statusConsumers(s messages.Space, versions func(messages.Type) []messages.Type) (out []queue.Shared) {
	for _, t := range StatusHints {
		stream := s.EventStream(t)
		if t == messages.TypeBuildRequested {
			stream = s.RequestsStream()
		}
		for _, v := range versions(t) {
			out = append(out, queue.Shared{Stream: stream, Name: Statuses, Type: v, AckWait: statusAckWait})
		}
	}
	return out
}

// statusAckWait is how long a hint stays with a worker that went silent.
const statusAckWait = 30 * time.Second

// SinkStreams are the streams whose messages are sent to sinks.
func SinkStreams(s messages.Space) []string {
	return []string{s.EventsStream(), s.ReportsStream(), s.LettersStream(), s.DecisionsStream(), s.AuditStream(), s.RefusalsStream(), s.SinksStream()}
}
