package console

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"slices"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
)

// pastShown is how many values, and rollouts, a page of a fleet's history lists.
const pastShown = 50

// pastView is a value that a fence config had, as the page shows it.
type pastView struct {
	overview.PastValue
	Image messages.Image // that it names; "" where it is no image by digest
	Again overview.Again
	Link  string // to make it current again; "" for those who may not decide, and where it can't be
	Kept  bool   // the record of its rollout is there
}

// historyView is a page of a fleet's history.
type historyView struct {
	view
	Fleet        string
	Body         template.HTML
	Before, Next string
}

// listView is what a page of a fleet's past lists.
type listView struct {
	Fleet       string
	Past        []pastView
	Rollouts    []messages.RolloutRecord
	Total       int
	First, Last int
	Problem     string
	Decides     bool
}

func (c *Console) historyPage(w http.ResponseWriter, r *http.Request, s *session) {
	c.listPage(w, r, s, "history", "History of fleet ", c.historyBody)
}

func (c *Console) historyEvents(w http.ResponseWriter, r *http.Request, s *session) {
	c.listEvents(w, r, s, "history", c.historyBody)
}

func (c *Console) rolloutsPage(w http.ResponseWriter, r *http.Request, s *session) {
	c.listPage(w, r, s, "rollouts", "Rollouts of fleet ", c.rolloutsBody)
}

func (c *Console) rolloutsEvents(w http.ResponseWriter, r *http.Request, s *session) {
	c.listEvents(w, r, s, "rollouts", c.rolloutsBody)
}

// listBody makes a page of a list of a fleet, and tells whether there are more.
type listBody func(ctx context.Context, fleet string, page int, decides bool) (body template.HTML, more bool)

func (c *Console) listPage(w http.ResponseWriter, r *http.Request, s *session, name, title string, make listBody) {
	fleet, ok := c.knownFleet(w, r, s)
	if !ok {
		return
	}
	page := pageOf(r)
	body, more := make(r.Context(), fleet, page, s.mayDecide())
	v := historyView{view: c.view(r, s, title+fleet), Fleet: fleet, Body: body}
	path := "/fleets/" + fleet + "/" + name
	v.Events = fmt.Sprintf("%s/events?page=%d", path, page)
	v.Before, v.Next = beside(path, page, more)
	c.write(w, http.StatusOK, "history.html", v)
}

func (c *Console) listEvents(w http.ResponseWriter, r *http.Request, s *session, name string, make listBody) {
	fleet, ok := c.knownFleet(w, r, s)
	if !ok {
		return
	}
	page := pageOf(r)
	c.stream(w, r, s, onePart(name, func() template.HTML {
		body, _ := make(r.Context(), fleet, page, s.mayDecide())
		return body
	}))
}

// historyBody is a page of what was current in a fleet, the newest first.
func (c *Console) historyBody(ctx context.Context, fleet string, page int, decides bool) (template.HTML, bool) {
	var rollouts []messages.RolloutRecord
	var revision uint64
	c.seen.look(func() {
		rollouts = c.seen.rolloutsOf(fleet)
		if f := c.seen.fleets[fleet]; f != nil {
			revision = f.revision
		}
	})
	past, problem, _ := c.past.get(ctx, fleet, fmt.Sprint(revision, len(rollouts)), func(ctx context.Context) ([]overview.PastValue, error) {
		return overview.History(ctx, c.queue, fleet, rollouts)
	})
	v := listView{Fleet: fleet, Total: len(past), Problem: problem, Decides: decides}
	past = slices.Clone(past)
	slices.Reverse(past)
	past = cut(past, page, pastShown)
	c.seen.look(func() {
		f := c.seen.fleets[fleet]
		for i := range past {
			v.Past = append(v.Past, c.seen.pastView(f, rollouts, &past[i], decides))
		}
	})
	v.First, v.Last = (page-1)*pastShown+1, (page-1)*pastShown+len(past)
	return c.render("pastbody", &v), v.Last < v.Total
}

// pastView says of a value how it can be made current again. It is called while nothing can change.
func (s *seen) pastView(f *fleet, rollouts []messages.RolloutRecord, p *overview.PastValue, decides bool) pastView {
	v := pastView{PastValue: *p}
	_, v.Kept = s.rollouts[p.Rollout]
	if f == nil || f.record == nil {
		v.Again.Why = "the fleet's record can't be read"
		return v
	}
	v.Image = imageOfDigest(f.record, rollouts, p)
	v.Again = overview.AgainTo(f.record, rollouts, p, f.has(v.Image), len(f.order))
	if v.Again.Why == "" && decides {
		action := actPromote
		if v.Again.Rollback {
			action = actRollback
		}
		v.Link = "/fleets/" + f.name + "/" + action + "?to=" + p.Digest
	}
	return v
}

// imageOfDigest is the image that a value names, whose name only its rollout or the fleet's record has where the value is a local one.
func imageOfDigest(f *messages.FleetRecord, rollouts []messages.RolloutRecord, p *overview.PastValue) messages.Image {
	if i, err := messages.ParseImage(p.Value); err == nil {
		return i
	}
	if p.Digest == "" {
		return ""
	}
	for _, i := range f.Wanted() {
		if i.Digest() == p.Digest {
			return i
		}
	}
	for i := range rollouts {
		if rollouts[i].Ready.Image.Digest() == p.Digest {
			return rollouts[i].Ready.Image
		}
	}
	return ""
}

// rolloutsBody is a page of a fleet's rollouts, the newest first.
func (c *Console) rolloutsBody(_ context.Context, fleet string, page int, _ bool) (template.HTML, bool) {
	v := listView{Fleet: fleet}
	c.seen.look(func() {
		all := c.seen.rolloutsOf(fleet)
		v.Total, v.Rollouts = len(all), cut(all, page, pastShown)
	})
	v.First, v.Last = (page-1)*pastShown+1, (page-1)*pastShown+len(v.Rollouts)
	return c.render("rolloutsbody", &v), v.Last < v.Total
}
