package console

import (
	"context"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
)

// problemsShown is how many of a fleet's problems its card lists: the fleet's page shows which nodes have them.
const problemsShown = 5

// fleetView is a fleet as the first page and its own show it.
type fleetView struct {
	*overview.Fleet
	Since    time.Time // when the current image became current, where that is known
	By       string    // who made it current, where a person did
	Because  string
	Moving   []movingView
	Needs    []need
	First    []string // of the problems
	More     int      // problems beside those
	Decides  bool     // whoever looks may decide
	States   []stateCount
	Previous bool // there is an image to go back to
}

// need is something that a person has to do.
type need struct{ Says, Link string }

// stateCount is how many nodes are in a state.
type stateCount struct {
	State nodeState
	Sign  string
	Says  string
	Count int
}

// movingView is a rollout under way, with what to do about what it waits for.
type movingView struct {
	messages.RolloutRecord
	Remedies []need
}

// viewOf is a fleet as it is seen. It is called while it can't change.
func (s *seen) viewOf(f *fleet, decides bool) fleetView {
	v := fleetView{Fleet: f.short, Decides: decides}
	if r := f.record; r != nil {
		v.Since = s.rollouts[r.Current.Rollout].FlippedAt
		if d := r.Decided; d != nil && d.Epoch == r.Epoch {
			v.By, v.Because = d.By, d.Reason
			if !d.At.IsZero() { // else an older version decided it
				v.Since = d.At
			}
		}
		v.Previous = !r.Previous.IsZero()
	}
	for _, r := range f.short.Rollouts {
		v.Moving = append(v.Moving, movingView{r, remedies(&r, f.record, decides)})
	}
	v.Needs = append(needs(f.short, decides), silences(f, decides)...)
	v.First = f.short.Problems
	if len(v.First) > problemsShown {
		v.First, v.More = v.First[:problemsShown], len(v.First)-problemsShown
	}
	for _, d := range nodeStates {
		if n := f.counts[d.State]; n > 0 {
			v.States = append(v.States, stateCount{d.State, d.Sign, d.Says, n})
		}
	}
	return v
}

// needs are what a person has to do about a fleet, with the way to do it for whoever may.
func needs(f *overview.Fleet, decides bool) []need {
	var out []need
	way := func(page, action string) string {
		if decides {
			return page + action
		}
		return page
	}
	for _, r := range f.Rollouts {
		if r.State == messages.RolloutApproval {
			out = append(out, need{"approval", way("/rollouts/"+r.ID, "/approve")})
		}
	}
	if f.Record != nil && f.Record.Hold != nil {
		out = append(out, need{"held", way("/fleets/"+f.Fleet, "/release")})
	}
	if f.Failed != nil {
		out = append(out, need{"rollout failed", "/rollouts/" + f.Failed.ID})
	}
	if f.Broken {
		out = append(out, need{"record unreadable", "/fleets/" + f.Fleet})
	}
	return out
}

// silences are the members that are not heard: they are to be started again, or retired.
func silences(f *fleet, decides bool) []need {
	var silent []*node
	for _, n := range f.order {
		if n.member && !n.Up && !n.SilentSince.IsZero() {
			silent = append(silent, n)
		}
	}
	switch {
	case len(silent) == 0:
		return nil
	case len(silent) == 1 && decides:
		return []need{{"silent node: retire it, or start it", "/fleets/" + f.name + "/nodes/" + silent[0].Node.Node + "/retire"}}
	case len(silent) == 1:
		return []need{{"silent node", "/fleets/" + f.name + "/nodes/" + silent[0].Node.Node}}
	}
	return []need{{overview.Counted(len(silent), "silent node"), "/fleets/" + f.name + "?state=" + string(nodeSilent)}}
}

// remedies are what to do about what a rollout waits for.
func remedies(r *messages.RolloutRecord, f *messages.FleetRecord, decides bool) []need {
	var out []need
	decide := func(says, link string) {
		if decides {
			out = append(out, need{says, link})
		}
	}
	switch r.State {
	case messages.RolloutApproval:
		decide("Approve it", "/rollouts/"+r.ID+"/approve")
	case messages.RolloutHeld:
		decide("Release the hold", "/fleets/"+r.Fleet+"/release")
	case messages.RolloutPreloading:
		if r.FailedCount > 0 || len(r.Failed) > 0 {
			out = append(out, need{"Look at the nodes that are behind", "/fleets/" + r.Fleet + "?state=" + string(nodeBehind)})
		}
	case messages.RolloutWaiting:
		if r.After != "" {
			out = append(out, need{"Look at fleet " + r.After + ", which comes first", "/fleets/" + r.After})
		} else if f != nil && f.Soaking != "" {
			out = append(out, need{"Look at the rollout that soaks", "/rollouts/" + f.Soaking})
		}
	case messages.RolloutFlipped, messages.RolloutSoaking:
		decide("Roll back", "/fleets/"+r.Fleet+"/rollback")
		return out
	}
	decide("Abort it", "/rollouts/"+r.ID+"/abort")
	return out
}

// fleetsView is the first page.
type fleetsView struct {
	view
	Fleets []template.HTML
	Side   template.HTML
}

// readyTime is how long a page waits for what has not been read yet, at the start.
const readyTime = 5 * time.Second

// settled has a page show what is seen by now. It waits a moment for the first reading.
func (c *Console) settled(r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTime)
	defer cancel()
	c.seen.settleNow(ctx)
}

func (c *Console) fleetsPage(w http.ResponseWriter, r *http.Request, s *session) {
	c.settled(r)
	v := fleetsView{view: c.view(r, s, "Fleets")}
	v.Events = "/events"
	for _, p := range c.fleetsParts(s.mayDecide()) {
		if p.id == "side" {
			v.Side = p.html
		} else if p.id != "known" {
			v.Fleets = append(v.Fleets, p.html)
		}
	}
	c.write(w, http.StatusOK, "fleets.html", v)
}

func (c *Console) fleetsEvents(w http.ResponseWriter, r *http.Request, s *session) {
	c.settled(r)
	known := len(c.fleetsParts(s.mayDecide()))
	c.stream(w, r, s, partsOnly(func() []part {
		parts := c.fleetsParts(s.mayDecide())
		return append(parts, part{"known", c.render("known", len(parts) != known)})
	}))
}

// fleetsParts are the parts of the first page: each fleet, and what is beside them.
func (c *Console) fleetsParts(decides bool) []part {
	var out []part
	c.seen.look(func() {
		for _, name := range slices.Sorted(maps.Keys(c.seen.fleets)) {
			f := c.seen.fleets[name]
			if f.short == nil || f.record == nil && len(f.nodes) == 0 && f.unread == nil {
				continue
			}
			html := c.parts.get(partKey{"card", name, decides}, f.clock, func() template.HTML {
				return c.render("card", c.seen.viewOf(f, decides))
			})
			out = append(out, part{"f-" + name, html})
		}
		out = append(out, part{"side", c.parts.get(partKey{"side", "", false}, c.seen.clock, func() template.HTML {
			return c.render("side", sideView(c.seen.side.is()))
		})})
	})
	return out
}

// failedShown is how many failed builds the first page lists.
const failedShown = 10

type sidePage struct {
	Failed  []overview.Build
	Letters int
	Full    bool
	Files   []messages.RefusedFile
	Problem string
}

// sideView is what the first page says beside the fleets, the newest failed builds first.
func sideView(s sideState) sidePage {
	failed := slices.Clone(s.failed)
	slices.SortFunc(failed, func(a, b overview.Build) int { return b.Updated.Compare(a.Updated) })
	return sidePage{failed[:min(failedShown, len(failed))], s.letters, s.full, s.files, s.problem}
}
