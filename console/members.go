package console

import (
	"html"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
)

// membersShown is how many members a page of a rollout lists.
const membersShown = 200

// waveView is a wave as a rollout's page shows it.
type waveView struct {
	Name    string
	Members int
	Present int // of them
	Failed  int
	Now     bool // nodes of it are admitted now
}

// wavesOf parts a rollout's members into waves, as they are seen. It is called while nothing can change.
func wavesOf(r *messages.RolloutRecord, f *fleet) []decide.Wave {
	var preload *messages.Preload
	if f != nil && f.record != nil && f.record.Preload != nil && f.record.Preload.Rollout == r.ID {
		preload = f.record.Preload
	}
	return decide.WavesOf(r, preload)
}

// waveViews are the waves of a rollout, those that admit somebody.
func waveViews(r *messages.RolloutRecord, f *fleet) []waveView {
	if len(r.Members) == 0 {
		return nil
	}
	var out []waveView
	for _, w := range wavesOf(r, f) {
		if len(w.Members) == 0 {
			continue
		}
		v := waveView{Name: waveName(w.Number), Members: len(w.Members), Now: r.State == messages.RolloutPreloading && w.Number == r.Wave}
		for _, name := range w.Members {
			if n := nodeIn(f, name); n != nil && n.Has(r.Ready.Image) {
				v.Present++
			}
			if r.Failed[name] != "" {
				v.Failed++
			}
		}
		out = append(out, v)
	}
	return out
}

func waveName(number int) string {
	if number == 0 {
		return "canaries"
	}
	return "wave " + strconv.Itoa(number)
}

func nodeIn(f *fleet, name string) *node {
	if f == nil {
		return nil
	}
	return f.nodes[name]
}

// memberPage is a page of a rollout's members, in the order in which they are admitted.
type memberPage struct {
	rollout string
	page    int
	members []member
	total   int
}

// member is a member of a rollout, and the wave that admits it.
type member struct {
	name string
	wave int
}

// membersOf are the members on a page of a rollout. It is called while nothing can change.
func membersOf(r *messages.RolloutRecord, f *fleet, page int) memberPage {
	out := memberPage{rollout: r.ID, page: page, total: len(r.Members)}
	if out.total == 0 {
		return out
	}
	var all []member
	for _, w := range wavesOf(r, f) {
		for _, name := range w.Members {
			all = append(all, member{name, w.Number})
		}
	}
	from := min((page-1)*membersShown, len(all))
	out.members = all[from:min(from+membersShown, len(all))]
	return out
}

// parts are the members' lines. It is called while nothing can change.
func (p *memberPage) parts(r *messages.RolloutRecord, f *fleet) []part {
	out := make([]part, len(p.members))
	for i, m := range p.members {
		out[i] = m.line(r, f)
	}
	return out
}

// line is what a rollout's page says of a member. It is written by hand, as there are many; everything in it is escaped here.
func (m *member) line(r *messages.RolloutRecord, f *fleet) part {
	state, says := m.state(r, nodeIn(f, m.name))
	name := html.EscapeString(m.name)
	id := "m-" + name
	var b strings.Builder
	b.WriteString(`<li id="` + id + `"><span class="cell ` + string(state) + `" aria-hidden="true">` + signOf(state) + `</span> <a href="/fleets/`)
	b.WriteString(html.EscapeString(r.Fleet) + `/nodes/` + name + `">` + name + `</a> `)
	b.WriteString(html.EscapeString(messages.Shorten(oneLine(waveName(m.wave)+": "+says), lineMost)))
	b.WriteString("</li>\n")
	return part{id, template.HTML(b.String())} //nolint:gosec // see above
}

// lineMost bounds what a line says of its member, in bytes: the node's page has all.
const lineMost = 300

// state is how far a member is with a rollout's image.
func (m *member) state(r *messages.RolloutRecord, n *node) (nodeState, string) {
	says := ""
	if t, tried := r.Trials[m.name]; tried {
		says = "trial failed: " + t.Reason
		if t.Passed {
			says = "trial passed"
		}
	}
	and := func(s string) string {
		if says != "" {
			return s + ", " + says
		}
		return s
	}
	switch {
	case n == nil || !n.Up:
		return nodeSilent, and("not heard")
	case n.Has(r.Ready.Image) && n.Status.Applied.Has(r.Ready.Image):
		return nodeApplied, and("has applied it")
	case n.Has(r.Ready.Image):
		return nodePresent, and("has it")
	case r.Failed[m.name] != "":
		return nodeBehind, and("failed: " + r.Failed[m.name])
	case n.Status.Work != nil && n.Status.Work.Rollout == r.ID:
		if n.Status.Work.State == messages.WorkFailed {
			return nodeBehind, and(n.Doing())
		}
		return nodePulling, and(n.Doing())
	}
	return nodeLacking, and("lacks it")
}

// has counts the members that have an image, and have applied it, of those that say so. It is called while nothing can change.
func (f *fleet) has(image messages.Image) (present int) {
	for _, n := range f.order {
		if n.Has(image) {
			present++
		}
	}
	return present
}

// trialsOf lists the trials of a rollout by their canaries.
func trialsOf(r *messages.RolloutRecord) []trialOf {
	var out []trialOf
	for node, t := range r.Trials {
		out = append(out, trialOf{node, t})
	}
	slices.SortFunc(out, func(a, b trialOf) int { return strings.Compare(a.Node, b.Node) })
	return out
}
