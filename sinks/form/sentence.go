package form

import (
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// sentence is what people read of a message.
func sentence(p messages.Payload) string {
	switch p := p.(type) {
	case *messages.BuildStarted:
		return fmt.Sprintf("%s: build %s of %s has begun%s%s", p.Pipeline, p.Build, commit(p.Commit), attempt(p.Attempt), because(p.Reason))
	case *messages.BasePinned:
		return fmt.Sprintf("%s: build %s builds on %s", p.Pipeline, p.Build, bases(p.All()))
	case *messages.BuildFailed:
		return fmt.Sprintf("%s: build %s of %s %s", p.Pipeline, p.Build, commit(p.Commit), failure(&p.Failure))
	case *messages.BuildSuperseded:
		return fmt.Sprintf("%s: build %s of %s was superseded by %s", p.Pipeline, p.Build, commit(p.Commit), commit(p.Head))
	case *messages.BuildCancelled:
		if p.Unchanged != "" {
			return fmt.Sprintf("%s: nothing was built: %s", p.Pipeline, p.Unchanged)
		}
		return fmt.Sprintf("%s: build %s was cancelled%s", p.Pipeline, p.Build, by(p.By))
	case *messages.ImageReady:
		return fmt.Sprintf("%s: image ready: %s, of %s%s", p.Pipeline, short(p.Image), commit(p.Commit), warnings(len(p.Warnings)))
	case *messages.RolloutChanged:
		return rollout(p)
	case *messages.NodeFailed:
		return fmt.Sprintf("%s: node %s failed (%s): %s", p.Fleet, p.Node, p.Step, p.Reason)
	case *messages.TrialFinished:
		if p.Passed {
			return fmt.Sprintf("%s: the trial of %s passed on %s", p.Fleet, short(p.Image), p.Node)
		}
		return fmt.Sprintf("%s: the trial of %s failed on %s: %s", p.Fleet, short(p.Image), p.Node, p.Reason)
	}
	return ofPeople(p)
}

// ofPeople is the sentence of what is for people to look at.
func ofPeople(p messages.Payload) string {
	switch p := p.(type) {
	case *messages.DeadLetter:
		return fmt.Sprintf("nobody could handle a message on %s: %s; dead letter %s-%d waits for a person", p.Subject, p.Reason, p.Stream, p.Sequence)
	case *messages.DecisionMade:
		return decision(p)
	case *messages.CallsAudited:
		refused := 0
		for _, c := range p.Calls {
			if c.Outcome == messages.OutcomeRefused {
				refused++
			}
		}
		return fmt.Sprintf("%s to producers, %d refused", counted(len(p.Calls), "call"), refused)
	case *messages.RefusalsCounted:
		var n int64
		for _, r := range p.Refusals {
			n += r.Count
		}
		return fmt.Sprintf("%s of strangers answered by producers, from %s", counted(int(n), "call"), counted(len(p.Refusals), "address"))
	}
	return string(p.MessageType())
}

// rollout says what became of an image in a fleet, in the words of the command line.
func rollout(p *messages.RolloutChanged) string {
	text := p.Fleet + ": " + short(p.Image) + " "
	if p.Image == "" {
		text = p.Fleet + ": "
	}
	switch p.State {
	case messages.RolloutWaiting:
		text += "waits"
	case messages.RolloutPreloading:
		text += fmt.Sprintf("is being preloaded: %d of %s hold it", p.Present, counted(p.Members, "node"))
	case messages.RolloutApproval:
		text += "waits for approval"
	case messages.RolloutHeld:
		text += "is held"
	case messages.RolloutFlipped:
		text += "is current"
	case messages.RolloutSoaking:
		text += "is current, and soaks"
	case messages.RolloutDone:
		text += "is live"
	case messages.RolloutFailed:
		text += "failed"
	case messages.RolloutAborted:
		text += "was aborted"
	case messages.RolloutSuperseded:
		text += "was superseded"
	case messages.RolloutRolledBack:
		text += "was rolled back"
		if p.To.Image != "" {
			text += " to " + short(p.To.Image)
		}
	default:
		text += string(p.State)
	}
	if p.Why != "" {
		text += ": " + p.Why
	}
	if p.By != "" {
		text += " (" + p.By + ")"
	}
	return text
}

func decision(p *messages.DecisionMade) string {
	about := strings.Join(strings.Fields(p.Fleet+" "+p.About+" "+p.To), " ")
	text := p.By + ": " + p.Action
	if about != "" {
		text += " " + about
	}
	switch {
	case p.Doubtful:
		text += ": it is not known whether it was done: " + p.Why
	case p.Outcome == messages.OutcomeRefused:
		text += ": refused: " + p.Why
	case p.Reason != "":
		text += ": " + p.Reason
	}
	text += " (" + p.Via
	if p.From != "" {
		text += ", " + p.From
	}
	return text + ")"
}

func failure(f *messages.Failure) string {
	text := "failed: "
	switch f.Class {
	case messages.FailureHooks:
		text = "was refused: "
	case messages.FailureInfrastructure:
		text = "was not built, by no fault of the commit: "
	}
	if f.Place != "" {
		text += f.Place + ": "
	}
	text += f.Reason
	for _, one := range f.Findings {
		if !one.Warning {
			text += ": " + one.String()
			break
		}
	}
	return text
}

func bases(all []messages.PinnedBase) string {
	if len(all) == 0 {
		return "no image"
	}
	text := short(all[0].Image)
	if more := len(all) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func because(r *messages.Reason) string {
	if r == nil {
		return ""
	}
	return ": " + messages.Reason{Kind: r.Kind, Detail: r.Detail}.String()
}

func attempt(n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(", attempt %d", n)
}

func warnings(n int) string {
	if n == 0 {
		return ""
	}
	return ", with " + counted(n, "warning")
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return " by " + who
}

func counted(n int, thing string) string {
	switch {
	case n == 1:
		return "1 " + thing
	case strings.HasSuffix(thing, "s"):
		return fmt.Sprintf("%d %ses", n, thing)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// commit is a commit as people read it.
func commit(c string) string {
	if c == "" {
		return "an uploaded context"
	}
	return c[:min(len(c), 12)]
}

// short is an image as people read it.
func short(i messages.Image) string {
	if i == "" {
		return "no image"
	}
	digest := strings.TrimPrefix(i.Digest(), "sha256:")
	return i.Name() + "@" + digest[:min(len(digest), 12)]
}
