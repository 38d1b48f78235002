package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/terminal"
)

// preview is what a decision will do.
type preview struct {
	view
	Action  string
	Verb    string // on the button
	Fleet   string
	Rollout string
	Will    []string       // what will be so
	From    messages.Image // that is current, where that changes
	To      messages.Image
	Choices []choice // of images to go to
	Holds   int      // members that have To
	Members int
	Stays   int // containers that will run another image than To
	StaysOn int // on so many nodes
	Basis   string
	Form    string
	Reason  string
	Most    int // the longest reason, in bytes
	Problem string
	Ready   bool // it can be decided
}

// choice is an image that the fleet can go to.
type choice struct {
	messages.FleetImage
	Chosen bool
	Is     string // what it is to the fleet
}

func (c *Console) fleetAction(w http.ResponseWriter, r *http.Request, s *session) {
	action := r.PathValue("action")
	if !slices.Contains([]string{actHold, actRelease, actRollback, actPromote}, action) {
		c.fail(w, r, s, http.StatusNotFound, "There is no such decision about a fleet.")
		return
	}
	c.showAction(w, r, s, action, r.PathValue("fleet"), "", r.FormValue("to"), "", nil)
}

func (c *Console) rolloutAction(w http.ResponseWriter, r *http.Request, s *session) {
	action := r.PathValue("action")
	if action != actApprove && action != actAbort {
		c.fail(w, r, s, http.StatusNotFound, "There is no such decision about a rollout.")
		return
	}
	c.showAction(w, r, s, action, "", r.PathValue("rollout"), "", "", nil)
}

// showAction shows what a decision will do, by the records as they are, and why the last try was not carried out.
func (c *Console) showAction(w http.ResponseWriter, r *http.Request, s *session, action, fleet, rollout, to, reason string, failed error) {
	c.settled(r)
	ctx, cancel := context.WithTimeout(r.Context(), readyTime)
	defer cancel()
	about, err := c.read(ctx, fleet, rollout)
	if err != nil {
		says := "The records can't be read, so that nothing can be decided: " + err.Error()
		if errors.Is(err, queue.ErrNotFound) {
			says = "There is nothing of that name to decide about: it may be gone, or the fleet has no image yet."
		}
		c.fail(w, r, s, max(statusOf(err), http.StatusBadRequest), terminal.Visible(says))
		return
	}
	p := &preview{
		view: c.view(r, s, title(action, &about)), Action: action, Fleet: about.fleet.Fleet, Rollout: about.rollout.ID,
		Basis: about.basis(), Form: s.newForm(), Reason: reason, Most: people.MaxReason,
	}
	p.foresee(c.seen, action, &about, to)
	switch {
	case errors.Is(failed, errChanged):
		p.Problem = "Nothing was done: " + c.whatChanged(&about) + " Look at what would be so now, and decide again."
	case failed != nil:
		p.Problem = "Nothing was done: " + failed.Error()
	}
	c.write(w, statusOf(failed), "action.html", p)
}

// whatChanged says how things are that somebody else has changed.
func (c *Console) whatChanged(s *subject) string {
	f := &s.fleet
	said := "it was changed while you looked. "
	if d := f.Decided; d != nil && d.Epoch == f.Epoch {
		said += fmt.Sprintf("%s made %s current (%s). ", d.By, f.Current.Image, d.Reason)
	} else if !f.Current.IsZero() {
		said += fmt.Sprintf("The current image is %s (epoch %d). ", f.Current.Image, f.Epoch)
	}
	if h := f.Hold; h != nil {
		said += fmt.Sprintf("The fleet is held by %s: %s. ", h.By, h.Reason)
	} else {
		said += "The fleet is not held. "
	}
	if r := &s.rollout; r.ID != "" {
		said += fmt.Sprintf("The rollout is %s", r.State)
		if r.Approved != "" {
			said += ", approved by " + r.Approved
		}
		if r.Aborted != "" {
			said += ", aborted by " + r.Aborted
		}
		said += "."
	}
	return said
}

func title(action string, s *subject) string {
	verb := strings.ToUpper(action[:1]) + action[1:]
	if action == actRollback {
		verb = "Roll back"
	}
	if s.rollout.ID != "" {
		return verb + " rollout " + s.rollout.ID
	}
	return verb + " fleet " + s.fleet.Fleet
}

// foresee says what a decision will do.
func (p *preview) foresee(seen *seen, action string, s *subject, to string) {
	f, r := &s.fleet, &s.rollout
	p.Verb, p.Ready = title(action, s), true
	switch action {
	case actHold:
		p.Will = []string{"No later image is flipped to until somebody releases the fleet. Later images are still preloaded.", "What is current stays so."}
		if h := f.Hold; h != nil {
			p.Ready, p.Will = false, []string{fmt.Sprintf("The fleet is held already, by %s: %s", h.By, h.Reason)}
		}
	case actRelease:
		p.Will = []string{"The newest image that waits is flipped to, once its policy holds."}
		if h := f.Hold; h == nil {
			p.Ready, p.Will = false, []string{"The fleet has no hold."}
		} else {
			p.Will = append(p.Will, fmt.Sprintf("The hold of %s ends: %s", h.By, h.Reason))
		}
	case actApprove:
		p.Will = []string{"The rollout goes on to its flip, once everything else that its policy asks for holds."}
		p.From, p.To = f.Current.Image, r.Ready.Image
		if !r.Policy.Approval || r.Approved != "" || over(r) {
			p.Ready, p.Will = false, []string{"There is nothing to approve: the rollout is " + string(r.State) + "."}
		}
	case actAbort:
		p.Will = []string{"The rollout ends before its flip. What is current stays so; a newer image follows as ever."}
		if over(r) {
			p.Ready, p.Will = false, []string{"It is too late to abort: the rollout is " + string(r.State) + "."}
		}
	default:
		p.chooseImage(seen, action, f, to)
	}
	p.count(seen, f)
}

// over tells whether a rollout can't be approved or aborted any more.
func over(r *messages.RolloutRecord) bool {
	return r.State.Final() || r.State == messages.RolloutFlipped || r.State == messages.RolloutSoaking
}

// chooseImage lists the images that a fleet can go to, and takes the one that was asked for, or the first.
func (p *preview) chooseImage(seen *seen, action string, f *messages.FleetRecord, to string) {
	p.From = f.Current.Image
	for i, k := range decide.Kept(f) {
		is := "kept"
		if i == 0 && k == f.Previous {
			is = "previous"
		}
		p.choose(k, is, to)
	}
	p.Will = []string{"The image becomes current at once, and the fleet is held until somebody releases it."}
	if action == actPromote {
		p.Will = []string{"The image becomes current once a quorum of the nodes has said in new heartbeats that they have it. A hold stays."}
		seen.look(func() {
			for _, r := range seen.rolloutsOf(f.Fleet) {
				p.choose(decide.ImageOf(&r), "rollout, "+string(r.State), to)
			}
		})
	}
	i := slices.IndexFunc(p.Choices, func(c choice) bool { return c.Chosen })
	if i < 0 && len(p.Choices) > 0 && to == "" {
		i = 0
		p.Choices[0].Chosen = true
	}
	if i < 0 {
		p.Ready, p.Will = false, []string{"The fleet has no such image to go to: choose one that it has."}
		if len(p.Choices) == 0 {
			p.Will = []string{"The fleet has no other image to go to yet."}
		}
		return
	}
	p.To = p.Choices[i].Image
}

// choose adds an image to choose, once.
func (p *preview) choose(i messages.FleetImage, is, to string) {
	if i.IsZero() || i.Image == p.From || slices.ContainsFunc(p.Choices, func(c choice) bool { return c.Image == i.Image }) {
		return
	}
	p.Choices = append(p.Choices, choice{i, to != "" && (i.Image.Digest() == to || string(i.Image) == to), is})
}

// count counts who has the image that would become current, and what would go on to run another one.
func (p *preview) count(seen *seen, f *messages.FleetRecord) {
	if p.To == "" {
		return
	}
	seen.look(func() {
		of := seen.fleets[f.Fleet]
		if of == nil {
			return
		}
		p.Members = len(of.order)
		for _, n := range of.order {
			if n.Has(p.To) {
				p.Holds++
			}
			before := p.Stays
			if n.Status != nil {
				for _, u := range n.Status.Containers {
					if !decide.Runs(f, n.Status.Images, u, p.To) {
						p.Stays++
					}
				}
			}
			if p.Stays > before {
				p.StaysOn++
			}
		}
	})
}

// cleanReason is a reason as people meant it: browsers send newlines as two characters.
func cleanReason(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }
