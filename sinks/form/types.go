package form

import (
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// types are the messages that sinks are sent, by the names that people give them: the type without its prefix and version.
var types = []messages.Type{
	messages.TypeBuildStarted, messages.TypeBasePinned, messages.TypeBuildFailed, messages.TypeBuildSuperseded, messages.TypeBuildCancelled,
	messages.TypeImageReady, messages.TypeRolloutChanged, messages.TypeNodeFailed, messages.TypeTrialFinished, messages.TypeDeadLetter,
	messages.TypeDecisionMade, messages.TypeCallsAudited, messages.TypeRefusalsCounted,
}

// unasked are those that a sink gets only where it names them: producers send them in batches.
var unasked = []string{name(messages.TypeCallsAudited), name(messages.TypeRefusalsCounted)}

// name is a type as people write it, such as build.failed.
func name(t messages.Type) string {
	parts := strings.Split(string(t), ".")
	return strings.Join(parts[2:len(parts)-1], ".")
}

// Types lists the names of the types.
func Types() []string {
	var out []string
	for _, t := range types {
		out = append(out, name(t))
	}
	return out
}

// known tells whether messages of a type are sent to sinks.
func known(t messages.Type) bool { return slices.Contains(Types(), name(t)) }

// MessageTypes lists the types of messages that sinks may be sent.
func MessageTypes() []messages.Type { return slices.Clone(types) }
