package form

import (
	"slices"

	"github.com/fenceline/fenceline/messages"
)

// Severity is how grave an event is.
type Severity string

// The severities, the least first.
const (
	Info    Severity = "info"    // it goes as it should
	Warning Severity = "warning" // somebody should look, or has to decide
	Error   Severity = "error"   // something failed
)

// Severities lists them.
func Severities() []string { return []string{string(Info), string(Warning), string(Error)} }

// atLeast tells whether s is as grave as other, or graver.
func (s Severity) atLeast(other Severity) bool {
	return slices.Index(Severities(), string(s)) >= slices.Index(Severities(), string(other))
}

// severityOf is how grave it is what a message tells.
func severityOf(p messages.Payload) Severity {
	switch p := p.(type) {
	case *messages.BuildFailed, *messages.DeadLetter:
		return Error
	case *messages.RolloutChanged:
		return ofRollout(p.State)
	case *messages.TrialFinished:
		if !p.Passed {
			return Error
		}
	case *messages.NodeFailed, *messages.RefusalsCounted:
		return Warning
	case *messages.ImageReady:
		if len(p.Warnings) > 0 {
			return Warning
		}
	case *messages.DecisionMade:
		if p.Outcome == messages.OutcomeRefused {
			return Warning
		}
	case *messages.CallsAudited:
		if p.Lost > 0 || slices.ContainsFunc(p.Calls, func(c messages.AuditedCall) bool { return c.Outcome == messages.OutcomeRefused }) {
			return Warning
		}
	}
	return Info
}

func ofRollout(s messages.RolloutState) Severity {
	switch s {
	case messages.RolloutFailed, messages.RolloutRolledBack:
		return Error
	case messages.RolloutApproval, messages.RolloutHeld, messages.RolloutAborted:
		return Warning
	}
	return Info
}
