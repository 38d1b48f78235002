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
	Verb    string // on the button
	Fleet   string // whose it is; "" for what is no fleet's
	Rollout string
	Node    string
	Letter  string
	Build   string
	Will    []string       // what will be so
	From    messages.Image // that is current, where that changes
	To      messages.Image
	Choices []choice // of images to go to
	Holds   int      // members that have To
	Members int
	Stays   int                     // containers that will run another image than To
	StaysOn int                     // on so many nodes
	Which   []messages.ContainerUse // of them, as many as are named
	Form    string
	Reason  string
	Needs   bool   // a reason
	Most    int    // the longest reason, in bytes
	Back    string // the page to leave to
	Problem string
	Ready   bool // it can be decided
}

// choice is an image that the fleet can go to.
type choice struct {
	messages.FleetImage
	Chosen bool
	Is     string // what it is to the fleet
}

// staysShown bounds how many containers that will go on to run another image a page names.
const staysShown = 20

// not says why there is nothing to decide.
func (p *preview) not(format string, a ...any) {
	p.Ready, p.Will = false, []string{fmt.Sprintf(format, a...)}
}

// showAction shows what a decision will do, by the records as they are, and why the last try, which was made by facts that were
// shown, was not carried out.
func (c *Console) showAction(w http.ResponseWriter, r *http.Request, s *session, d decision, reason string, shown []fact, failed error) {
	c.settled(r)
	if failed != nil {
		ctx, cancel := context.WithTimeout(r.Context(), latelyWait)
		c.lately.wait(ctx, d.subject())
		cancel()
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTime)
	defer cancel()
	err := d.read(ctx, c)
	if err == nil && failed == nil && !d.exists() {
		err = queue.ErrNotFound
	}
	if err != nil {
		says := "The records can't be read, so that nothing can be decided: " + err.Error()
		if failed != nil {
			says = c.problem(d, shown, failed) + " " + says
		} else if errors.Is(err, queue.ErrNotFound) {
			says = "There is nothing of that name to decide about: it may be gone, or the fleet has no image yet."
		}
		c.fail(w, r, s, max(statusOf(either(failed, err)), http.StatusBadRequest), terminal.Visible(says))
		return
	}
	p := &preview{
		view: c.view(r, s, d.title()), Verb: d.title(), Reason: reason, Needs: d.needsReason(), Most: people.MaxReason, Ready: true, Back: d.page(),
	}
	d.foresee(c, p)
	p.Form = s.newForm(shownForm{path: r.URL.Path, to: p.To.Digest(), facts: d.facts()})
	if failed != nil {
		p.Problem = c.problem(d, shown, failed)
	}
	c.write(w, statusOf(failed), "action.html", p)
}

// problem says what became of a decision that was not carried out, as far as that is known.
func (c *Console) problem(d decision, shown []fact, failed error) string {
	changed := difference(shown, d.facts(), c.lately.about(d.subject()))
	switch {
	case errors.Is(failed, errUnsure):
		return "Look at what is so before you decide again: " + failed.Error() + ". " + changed
	case errors.Is(failed, queue.ErrForbidden):
		return "Nothing was done: the console's user in NATS may not do this, as its permissions are of an earlier version. Run 'fenceline init --dir' of this version again and have NATS read what it writes (passwords stay). " + failed.Error()
	case changed != "":
		return "Nothing was done, as it was changed while you looked. " + changed + " Look at what would be so now, and decide again."
	}
	return "Nothing was done: " + failed.Error()
}

// choose adds an image to choose, once.
func (p *preview) choose(i messages.FleetImage, is, to string) {
	if i.IsZero() || i.Image == p.From || slices.ContainsFunc(p.Choices, func(c choice) bool { return c.Image == i.Image }) {
		return
	}
	p.Choices = append(p.Choices, choice{i, to != "" && (i.Image.Digest() == to || string(i.Image) == to), is})
}

// count says which fleet it is about, and counts who has the image that would become current, and what would go on to run another one.
func (p *preview) count(seen *seen, f *messages.FleetRecord) {
	p.Fleet = f.Fleet
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
					if decide.Runs(f, n.Status.Images, u, p.To) {
						continue
					}
					if p.Stays++; p.Stays <= staysShown {
						p.Which = append(p.Which, messages.ContainerUse{Node: n.Node.Node, Container: u.Container, Image: u.Image})
					}
				}
			}
			if p.Stays > before {
				p.StaysOn++
			}
		}
	})
}

// either is the first error that there is.
func either(all ...error) error {
	i := slices.IndexFunc(all, func(err error) bool { return err != nil })
	return all[max(i, 0)]
}

// cleanReason is a reason as people meant it: browsers send newlines as two characters.
func cleanReason(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }
