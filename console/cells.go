package console

import (
	"fmt"
	"html"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
)

// nodeState is what a node's cell shows.
type nodeState string

// The states of a node, those first that somebody has to look at.
const (
	nodeSilent  nodeState = "silent"
	nodeBehind  nodeState = "behind"  // something is wrong with it
	nodePulling nodeState = "pulling" // it fetches what is to be there
	nodeWaiting nodeState = "waiting" // it may not fetch yet
	nodeLacking nodeState = "lacking" // it lacks the current image, and nothing says why
	nodeCurrent nodeState = "current" // it has the current image, and not yet the one that is preloaded
	nodePresent nodeState = "present" // it has what it is to have
	nodeApplied nodeState = "applied" // and has applied it where its own software reads it
)

// nodeStates are all states in their order, each with its sign and what it means: colour never says it alone.
var nodeStates = []struct {
	State nodeState
	Sign  string
	Says  string
}{
	{nodeSilent, "✕", "no heartbeat"},
	{nodeBehind, "!", "something is wrong with it"},
	{nodePulling, "↓", "fetches an image"},
	{nodeWaiting, "…", "waits for its wave or turn"},
	{nodeLacking, "○", "lacks the current image"},
	{nodeCurrent, "◐", "has the current image, not yet the next one"},
	{nodePresent, "●", "has the image"},
	{nodeApplied, "✓", "has applied the image"},
}

func signOf(s nodeState) string {
	for _, d := range nodeStates {
		if d.State == s {
			return d.Sign
		}
	}
	return ""
}

// wanted is the image that a fleet's nodes are to have next: the one that is preloaded, else the current one.
func wanted(r *messages.FleetRecord) messages.Image {
	switch {
	case r == nil:
		return ""
	case r.Preload != nil:
		return r.Preload.Image
	}
	return r.Current.Image
}

// stateOf is what a node's cell shows in a fleet with this record.
func stateOf(n *overview.Node, r *messages.FleetRecord) nodeState {
	want := wanted(r)
	switch {
	case !n.Up:
		return nodeSilent
	case n.Troubled():
		return nodeBehind
	case n.Status.Fetching != nil || n.Status.Work != nil && n.Status.Work.State == messages.WorkPulling:
		return nodePulling
	case n.Waits != "":
		return nodeWaiting
	case want == "":
		return nodePresent
	case n.Has(want):
		if n.Status.Applied.Has(want) {
			return nodeApplied
		}
		return nodePresent
	case n.Has(r.Current.Image):
		return nodeCurrent
	}
	return nodeLacking
}

// share is how far a fetch is, in whole percent, or "" where that is not known.
func share(n *overview.Node) string {
	if n.Status == nil || n.Status.Fetching == nil || n.Status.Fetching.Total <= 0 {
		return ""
	}
	return fmt.Sprintf("%d%%", min(100, n.Status.Fetching.Bytes*100/n.Status.Fetching.Total))
}

// labelMost bounds what a cell says of its node, in bytes: the node's page has all.
const labelMost = 160

// show is what a node's cell shows: a link to its page, which keeps its place. It is written by hand, as a fleet has ten thousand
// of them; everything in it is escaped here.
func (n *node) show(r *messages.FleetRecord, canary bool) (nodeState, string) {
	state := stateOf(&n.Node, r)
	says := n.Node.Node + ": " + string(state)
	sign := signOf(state)
	if state == nodePulling {
		if s := share(&n.Node); s != "" {
			says += " " + s
			sign = strings.TrimSuffix(s, "%")
		}
	} else if doing := n.Doing(); doing != "" && reasoned(state) {
		says += ": " + doing
	}
	class := string(state)
	if canary {
		says, class = says+" (canary)", class+" canary"
	}
	var b strings.Builder
	b.Grow(200)
	b.WriteString(`<a id="n-`)
	b.WriteString(html.EscapeString(n.Node.Node))
	b.WriteString(`" class="`)
	b.WriteString(class)
	b.WriteString(`" href="/fleets/`)
	b.WriteString(html.EscapeString(n.Fleet))
	b.WriteString(`/nodes/`)
	b.WriteString(html.EscapeString(n.Node.Node))
	b.WriteString(`" aria-label="`)
	b.WriteString(html.EscapeString(messages.Shorten(oneLine(says), labelMost)))
	b.WriteString(`">`)
	b.WriteString(sign)
	b.WriteString("</a>")
	return state, b.String()
}

// reasoned tells whether a cell says why its node is in a state.
func reasoned(s nodeState) bool {
	return s == nodeBehind || s == nodeWaiting || s == nodeLacking
}

// oneLine is a text from outside with what a terminal would obey made visible, in one line.
func oneLine(s string) string {
	return strings.ReplaceAll(terminal.Visible(s), "\n", " ⏎ ")
}
