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
	"github.com/fenceline/fenceline/overview"
)

// The decisions about a build.
const (
	actCancel = "cancel"
	actRetry  = "retry"
)

// buildDecision is a decision about a build.
type buildDecision struct {
	action string
	id     string
	build  *overview.Build // nil where there is no record of it
	cant   error           // why it can't be asked for again
	again  string          // the build that it was asked for again as
}

var _ decision = (*buildDecision)(nil)

func buildAction(r *http.Request) decision {
	action := r.PathValue("action")
	if action != actCancel && action != actRetry {
		return nil
	}
	return &buildDecision{action: action, id: r.PathValue("build")}
}

func (d *buildDecision) read(ctx context.Context, c *Console) (err error) {
	if err := messages.CheckID("build", d.id); err != nil {
		return err
	}
	if d.build, _, err = overview.FindBuild(ctx, c.queue, d.id); err != nil || d.build == nil {
		return err
	}
	if d.action == actRetry && ended(d.build) {
		d.cant = builds.New(c.queue).Retryable(ctx, d.id)
	}
	return nil
}

func (d *buildDecision) title() string { return capital(d.action) + " build " + d.id }

func (d *buildDecision) subject() string { return "build " + d.id }

func (d *buildDecision) told() messages.DecisionMade {
	return messages.DecisionMade{Action: d.action, About: d.id}
}

func (d *buildDecision) needsReason() bool { return true }

// page is that of the build, or of the one that it was asked for again as.
func (d *buildDecision) page() string {
	if d.again != "" {
		return "/builds/" + d.again
	}
	return "/builds/" + d.id
}

func (d *buildDecision) exists() bool { return d.build != nil }

func (d *buildDecision) facts() []fact {
	if d.build == nil {
		return []fact{{Of: "the build", Is: "gone"}}
	}
	is := d.build.Shown()
	if d.build.Attempt > 0 {
		is += fmt.Sprintf(", attempt %d", d.build.Attempt)
	}
	return []fact{{Of: "the build", Is: is, By: d.build.Cancelled}}
}

func (d *buildDecision) carryOut(ctx context.Context, c *Console, by, _ string) (string, error) {
	line := builds.New(c.queue)
	if d.action == actCancel {
		err := line.Cancel(ctx, d.id, by)
		switch {
		case errors.Is(err, builds.ErrUnannounced):
			err = fmt.Errorf("%w: %w", people.ErrDecided, err)
		case errors.Is(err, builds.ErrOver):
			err = fmt.Errorf("%w: %w", people.ErrChanged, err)
		}
		return "Build " + d.id + " is cancelled.", err
	}
	a, err := line.Retry(ctx, d.id, by)
	if err != nil {
		return "", err
	}
	d.again = a.Build
	said := fmt.Sprintf("Build %s is asked for again, as %s.", d.id, a.Build)
	if a.Duplicate {
		said = fmt.Sprintf("Build %s was asked for again already, as %s: this one is that.", d.id, a.Build)
	}
	if err := line.DropLetterOf(ctx, d.id); err != nil { // to ask for it again would make another one
		return said, fmt.Errorf("%w: its dead letter stays: %w", people.ErrDecided, err)
	}
	return said, nil
}

func (d *buildDecision) foresee(c *Console, p *preview) {
	p.Build = d.id
	b := d.build
	switch {
	case b == nil:
		p.not("There is no such build: records of builds that have ended are dropped after some time.")
	case d.action == actCancel && ended(b):
		p.not("It is over already: %s.", b.Shown())
	case d.action == actCancel:
		p.Will = []string{"The build ends before it has begun: no builder takes it."}
		if b.State != overview.StateQueued {
			p.Will = []string{fmt.Sprintf("Its builder, %s, stops in attempt %d. What it has done so far makes no image.", b.Worker, b.Attempt)}
		}
		p.Will = append(p.Will, "No fleet is changed. Later pushes are built as ever; the same can be asked for again by a retry.")
	case !ended(b):
		p.not("It has not ended: cancel it first.")
	case errors.Is(d.cant, queue.ErrUnavailable):
		p.not("It is not known whether it can be asked for again: %v.", d.cant)
	case d.cant != nil:
		p.not("It can't be asked for again: %v.", d.cant)
	default:
		what := "The same folder"
		if b.Commit != "" {
			what = "The same commit, " + b.Commit + ","
		}
		p.Will = []string{fmt.Sprintf("%s is built again, under a new ID and with the order of the first, %d: its image does not overtake one that came later.", what, b.Order)}
		if later := c.seen.ended.laterImage(b); later != "" {
			p.Will = append(p.Will, fmt.Sprintf("Pipeline %s has a later image, of build %s: what this one makes is not flipped to by itself.", b.Pipeline, later))
		}
		p.Will = append(p.Will, "Where its request is a dead letter, that is dropped.")
	}
}
