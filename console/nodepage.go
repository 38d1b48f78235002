package console

import (
	"fmt"
	"html/template"
	"net/http"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
)

// containersShown bounds the containers that a node's page lists.
const containersShown = 200

// nodeView is a node as its page shows it.
type nodeView struct {
	overview.Node
	State    nodeState
	Says     string                  // what it does, or what is wrong
	Record   *messages.FleetRecord   // of its fleet
	Stale    []messages.ContainerUse // containers on another image than the current one
	MoreUses int                     // and so many more
	Errors   []string                // what went wrong last
	Member   bool                    // it counts, also where it is silent
	Decides  bool                    // whoever looks may decide
}

type nodePageView struct {
	view
	Fleet, Name string
	Body        template.HTML
}

func (c *Console) nodePage(w http.ResponseWriter, r *http.Request, s *session) {
	fleet, ok := c.knownFleet(w, r, s)
	if !ok {
		return
	}
	name := r.PathValue("node")
	body, known := c.nodeBody(fleet, name, s.mayDecide())
	if !known {
		c.fail(w, r, s, http.StatusNotFound, fmt.Sprintf("Fleet %s has no node %q: it was retired, or was never heard.", fleet, messages.Shorten(name, filterMost)))
		return
	}
	v := nodePageView{view: c.view(r, s, "Node "+name), Fleet: fleet, Name: name, Body: body}
	v.Events = "/fleets/" + fleet + "/nodes/" + name + "/events"
	c.write(w, http.StatusOK, "node.html", v)
}

func (c *Console) nodeEvents(w http.ResponseWriter, r *http.Request, s *session) {
	fleet, ok := c.knownFleet(w, r, s)
	if !ok {
		return
	}
	name := r.PathValue("node")
	c.stream(w, r, s, onePart("node", func() template.HTML {
		body, _ := c.nodeBody(fleet, name, s.mayDecide())
		return body
	}))
}

// nodeBody is what a node's page shows of it; it stays as it was where the node is gone.
func (c *Console) nodeBody(fleet, name string, decides bool) (body template.HTML, known bool) {
	var v nodeView
	c.seen.look(func() {
		f := c.seen.fleets[fleet]
		if f == nil || f.nodes[name] == nil {
			return
		}
		known = true
		n := f.nodes[name]
		v = nodeView{Node: n.Node, State: n.state, Says: n.Doing(), Record: f.record, Member: n.member, Decides: decides}
	})
	if !known {
		return "", false
	}
	v.fill()
	return c.render("nodebody", &v), true
}

// fill takes from the node's heartbeat what its page lists.
func (v *nodeView) fill() {
	s := v.Status
	if s == nil {
		return
	}
	for _, u := range s.Containers {
		if v.Record != nil && v.Record.Current.Image != "" && !decide.Runs(v.Record, s.Images, u, v.Record.Current.Image) {
			v.Stale = append(v.Stale, u)
		}
	}
	if len(v.Stale) > containersShown {
		v.Stale, v.MoreUses = v.Stale[:containersShown], len(v.Stale)-containersShown
	}
	if s.Engine.Error != "" {
		v.Errors = append(v.Errors, "engine: "+s.Engine.Error)
	}
	if w := s.Work; w != nil && w.Reason != "" {
		v.Errors = append(v.Errors, overview.Short(w.Image)+": "+w.Reason)
	}
	for _, p := range s.Problems {
		v.Errors = append(v.Errors, overview.Short(p.Image)+": "+p.Reason)
	}
	for _, t := range s.Troubles {
		v.Errors = append(v.Errors, t.Reason)
	}
	if a := s.Applied; a != nil && a.Error != "" {
		v.Errors = append(v.Errors, "applying "+overview.Short(a.Image)+": "+a.Error)
	}
}
