package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// The decisions about a dead letter.
const (
	actRequeue = "requeue"
	actDrop    = "drop"
)

// letterDecision is a decision about a dead letter.
type letterDecision struct {
	action string
	name   string
	letter *messages.DeadLetter // nil where it is gone
}

var _ decision = (*letterDecision)(nil)

func letterAction(r *http.Request) decision {
	action := r.PathValue("action")
	if action != actRequeue && action != actDrop {
		return nil
	}
	return &letterDecision{action: action, name: r.PathValue("letter")}
}

func (d *letterDecision) read(ctx context.Context, c *Console) error {
	l, err := builds.New(c.queue).DeadLetter(ctx, d.name)
	if errors.Is(err, queue.ErrNotFound) {
		l, err = nil, nil
	}
	d.letter = l
	return err
}

func (d *letterDecision) title() string { return capital(d.action) + " dead letter " + d.name }

func (d *letterDecision) subject() string { return "dead letter " + d.name }

func (d *letterDecision) told() messages.DecisionMade {
	return messages.DecisionMade{Action: "dead-letters " + d.action, About: d.name}
}

// needsReason is false: a letter that is requeued or dropped leaves no record to keep it.
func (d *letterDecision) needsReason() bool { return false }

func (d *letterDecision) page() string { return "/dead-letters" }

func (d *letterDecision) exists() bool { return d.letter != nil }

func (d *letterDecision) facts() []fact {
	if d.letter == nil {
		return []fact{{Of: "the dead letter", Is: "gone"}}
	}
	return []fact{{Of: "the dead letter", Is: fmt.Sprintf("there since %s: %s", exact(d.letter.At), d.letter.Reason)}}
}

func (d *letterDecision) carryOut(ctx context.Context, c *Console, by, _ string) (said string, err error) {
	line := builds.New(c.queue)
	if d.action == actDrop {
		said, err = "Dead letter "+d.name+" is dropped: its message is gone for good.", line.DropDeadLetter(ctx, d.name)
	} else {
		var build string
		build, err = line.RequeueDeadLetter(ctx, d.name, by)
		said = "Dead letter " + d.name + " is requeued: its message was sent again."
		if build != "" {
			said = fmt.Sprintf("Dead letter %s is requeued as build %s.", d.name, build)
		}
	}
	switch {
	case errors.Is(err, builds.ErrRequeued):
		err = fmt.Errorf("%w: %w", people.ErrDecided, err)
	case errors.Is(err, queue.ErrNotFound):
		err = fmt.Errorf("%w: %w", people.ErrChanged, err)
	}
	return said, err
}

func (d *letterDecision) foresee(_ *Console, p *preview) {
	p.Letter = d.name
	l := d.letter
	if l == nil {
		p.not("There is no such dead letter any more.")
		return
	}
	what := "a message on " + l.Subject
	_, m, _ := messages.Decode(messages.Message{Headers: l.Headers, Body: l.Body}) // nil for what can't be read
	r, request := m.(*messages.BuildRequested)
	if request {
		what = fmt.Sprintf("the request of build %s of pipeline %s (%s)", r.Build, r.Pipeline.Name, r.Why())
	}
	about := fmt.Sprintf("It is %s, given up at %s: %s", what, exact(l.At), l.Reason)
	switch err := l.Whole(); {
	case d.action == actDrop:
		p.Will = []string{about, "The message is removed for good: nobody handles it any more, and nothing keeps it."}
		if request {
			p.Will = append(p.Will, "The build's record stays, as failed.")
		}
	case err != nil:
		p.not("It can't be sent again: %v", err)
	case request:
		p.Will = []string{about, fmt.Sprintf("The same is asked for again as a new build, with order %d as the first one, so that it overtakes nothing that came later.", l.Sequence), "The letter is removed."}
	default:
		p.Will = []string{about, "The message is sent again as it was: what stood in its way must be mended, or it comes back as a letter.", "The letter is removed."}
	}
}
