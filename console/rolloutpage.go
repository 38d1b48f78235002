package console

import (
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"

	"github.com/fenceline/fenceline/messages"
)

// listShown bounds the nodes that a rollout's page lists by a name.
const listShown = 100

// rolloutView is a rollout as its page shows it.
type rolloutView struct {
	movingView
	Behind  []reasonOf // the nodes that failed, and why
	Tried   []trialOf
	Decides bool
}

type reasonOf struct{ Node, Why string }

type trialOf struct {
	Node string
	messages.TrialResult
}

type rolloutPageView struct {
	view
	ID, Fleet string
	Body      template.HTML
}

func (c *Console) rolloutPage(w http.ResponseWriter, r *http.Request, s *session) {
	c.settled(r)
	id := r.PathValue("rollout")
	rollout, known := c.rollout(id)
	if !known {
		c.fail(w, r, s, http.StatusNotFound, fmt.Sprintf("There is no rollout %q: those that are over are forgotten after some time.", messages.Shorten(id, filterMost)))
		return
	}
	v := rolloutPageView{view: c.view(r, s, "Rollout "+id), ID: id, Fleet: rollout.Fleet, Body: c.rolloutBody(id, s.mayDecide())}
	v.Events = "/rollouts/" + id + "/events"
	c.write(w, http.StatusOK, "rollout.html", v)
}

func (c *Console) rolloutEvents(w http.ResponseWriter, r *http.Request, s *session) {
	id := r.PathValue("rollout")
	c.stream(w, r, s, onePart("rollout", func() template.HTML { return c.rolloutBody(id, s.mayDecide()) }))
}

// rollout is a rollout as it is seen.
func (c *Console) rollout(id string) (r messages.RolloutRecord, known bool) {
	c.seen.look(func() { r, known = c.seen.rollouts[id] })
	return r, known
}

// canPromote tells whether a rollout's image is one that a person may want to make current: it has got so far that nodes have it,
// and is not current.
func canPromote(r *messages.RolloutRecord, f *messages.FleetRecord) bool {
	if f == nil || f.Current.Image == r.Ready.Image {
		return false
	}
	return r.State.Final() || r.State == messages.RolloutHeld
}

// rolloutBody is what a rollout's page shows of it, or nothing where there is none any more.
func (c *Console) rolloutBody(id string, decides bool) (body template.HTML) {
	c.seen.look(func() {
		r, known := c.seen.rollouts[id]
		if !known {
			return
		}
		var record *messages.FleetRecord
		clock := c.seen.clock
		if f := c.seen.fleets[r.Fleet]; f != nil {
			record, clock = f.record, f.clock
		}
		body = c.parts.get(partKey{"rollout", id, decides}, clock, func() template.HTML {
			v := rolloutView{movingView: movingView{RolloutRecord: r}, Decides: decides}
			if !r.State.Final() {
				v.Remedies = remedies(&r, record, decides)
			}
			if canPromote(&r, record) && decides {
				v.Remedies = append(v.Remedies, need{"Promote its image", "/fleets/" + r.Fleet + "/promote?to=" + r.Ready.Image.Digest()})
			}
			for _, node := range slices.Sorted(maps.Keys(r.Failed)) {
				if len(v.Behind) < listShown {
					v.Behind = append(v.Behind, reasonOf{node, r.Failed[node]})
				}
			}
			for _, node := range slices.Sorted(maps.Keys(r.Trials)) {
				v.Tried = append(v.Tried, trialOf{node, r.Trials[node]})
			}
			return c.render("rolloutbody", &v)
		})
	})
	return body
}
