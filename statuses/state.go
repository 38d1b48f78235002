package statuses

import (
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// State is what a forge is told of a commit.
type State string

// The states, as they follow each other.
const (
	Queued     State = "queued"
	Building   State = "building"
	Refused    State = "refused" // by the hook gate
	Failed     State = "failed"
	Broken     State = "broken" // infrastructure failed the build: it is not the commit's fault
	Cancelled  State = "cancelled"
	Superseded State = "superseded"
	Ready      State = "ready"      // the image is built, and no fleet is fed
	Waiting    State = "waiting"    // for a controller, the fleet before it, a soak
	Preloading State = "preloading" // some nodes hold the image
	Approval   State = "approval"   // waits for a person's word
	Held       State = "held"       // the fleet has a hold
	Soaking    State = "soaking"    // live, and not trusted yet
	Live       State = "live"
	Unusable   State = "unusable" // the fleet can't use the image
	Aborted    State = "aborted"
	RolledBack State = "rolled back"
)

// Status is what is to be told of a commit.
type Status struct {
	State State
	Text  string // for people, in one sentence
}

// moving tells whether the text follows counts that no message tells of.
func (s Status) moving() bool { return s.State == Preloading }

// ofBuild is the status of a build as its record has it, and the fleets of its image where it has one.
func ofBuild(r *messages.BuildRecord) (Status, []messages.FleetTarget) {
	switch r.State {
	case messages.BuildStateFailed:
		return ofFailure(r.Failure), nil
	case messages.BuildStateCancelled:
		by := ""
		if r.Outcome != nil {
			if _, m, err := messages.DecodeAs[*messages.BuildCancelled](*r.Outcome); err == nil && m.By != "" {
				by = " by " + m.By
			}
		}
		return Status{Cancelled, "cancelled" + by}, nil
	case messages.BuildStateSuperseded:
		if r.FollowedBy != "" {
			return Status{Superseded, "superseded by " + short(r.Head) + ", build " + r.FollowedBy}, nil
		}
		return Status{Superseded, "superseded by " + short(r.Head) + ", the branch's new head"}, nil
	case messages.BuildStateSucceeded:
		var fleets []messages.FleetTarget
		if r.Outcome != nil {
			if _, m, err := messages.DecodeAs[*messages.ImageReady](*r.Outcome); err == nil {
				fleets = m.Fleets
			}
		}
		return Status{Ready, "image ready: " + string(r.Image)}, fleets
	}
	switch {
	case r.Waiting && r.LastError != "":
		return Status{Building, "to be tried again: " + r.LastError}, nil
	case r.Attempt > 1:
		return Status{Building, fmt.Sprintf("building, attempt %d", r.Attempt)}, nil
	}
	return Status{Building, "building" + because(r.Why())}, nil
}

// because says what led to a build, where that is not the push of its commit.
func because(r messages.Reason) string {
	if r.Kind == messages.ReasonPush || r.Kind == messages.ReasonTag {
		return ""
	}
	return ": " + messages.Reason{Kind: r.Kind, Detail: r.Detail}.String()
}

func ofFailure(f *messages.Failure) Status {
	if f == nil {
		return Status{Failed, "failed"}
	}
	switch f.Class {
	case messages.FailureHooks:
		return Status{Refused, "refused: " + finding(f)}
	case messages.FailureInfrastructure:
		return Status{Broken, "not built, by no fault of the commit: " + f.Reason}
	}
	text := "failed: "
	if f.Place != "" {
		text += f.Place + ": "
	}
	return Status{Failed, text + f.Reason}
}

// finding is the first thing for which the hook gate refused an image, and how many more there are.
func finding(f *messages.Failure) string {
	first, more := "", 0
	for _, one := range f.Findings {
		switch {
		case one.Warning:
		case first == "":
			first, more = one.String(), one.More
		default:
			more += 1 + one.More
		}
	}
	switch {
	case first == "":
		return f.Reason
	case more > 0:
		return fmt.Sprintf("%s (and %d more)", first, more)
	}
	return first
}

// ofRollouts is the status of an image in its fleets, in their order: of those that turned it down the first, else of
// those where it is not live yet. A rollout that there is no record of is not opened yet.
func ofRollouts(fleets []messages.FleetTarget, rollout func(fleet string) *messages.RolloutRecord) Status {
	var pending *Status
	var live []string
	for _, f := range fleets {
		s := ofRollout(f.Fleet, rollout(f.Fleet))
		switch {
		case s.State == Live:
			live = append(live, f.Fleet)
		case s.State == Unusable || s.State == Aborted || s.State == RolledBack || s.State == Superseded:
			return s
		case pending == nil:
			pending = &s
		}
	}
	if pending != nil {
		return *pending
	}
	return Status{Live, "live in " + strings.Join(live, ", ")}
}

func ofRollout(fleet string, r *messages.RolloutRecord) Status {
	if r == nil {
		return Status{Waiting, "image ready, waiting in " + fleet}
	}
	hold := fmt.Sprintf("%d of %d nodes hold it", r.Present, r.Counts())
	if n := max(r.FailedCount, len(r.Failed)); n > 0 {
		hold += fmt.Sprintf(", %d failed", n)
	}
	say := func(s State, text, why string) Status {
		if why != "" {
			text += ": " + why
		}
		return Status{s, text}
	}
	switch r.State {
	case messages.RolloutPreloading:
		return Status{Preloading, "preloading in " + fleet + ": " + hold}
	case messages.RolloutApproval:
		return Status{Approval, "waits for approval in " + fleet + ": " + hold}
	case messages.RolloutHeld:
		return say(Held, "held in "+fleet, r.Why)
	case messages.RolloutFlipped, messages.RolloutSoaking:
		return Status{Soaking, "live in " + fleet + ", not trusted yet: " + hold}
	case messages.RolloutDone:
		return Status{Live, "live in " + fleet}
	case messages.RolloutFailed:
		return say(Unusable, "failed in "+fleet, r.Why)
	case messages.RolloutAborted:
		return say(Aborted, "aborted in "+fleet, r.Why)
	case messages.RolloutSuperseded:
		return say(Superseded, "superseded in "+fleet, r.Why)
	case messages.RolloutRolledBack:
		return say(RolledBack, "rolled back in "+fleet, r.Why)
	}
	return say(Waiting, "waiting in "+fleet, r.Why)
}

// short is a commit as people read it.
func short(commit string) string { return commit[:min(len(commit), 12)] }
