package overview

import (
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
)

// Node is a member of a fleet and what it last said.
type Node struct {
	Fleet  string               `json:"fleet"`
	Node   string               `json:"node"`
	Up     bool                 `json:"up"` // its heartbeat has not expired
	Status *messages.NodeStatus `json:"status,omitempty"`
	Clock  string               `json:"clock,omitempty"`  // what is wrong with its clock
	Shares string               `json:"shares,omitempty"` // the node that counts for its engine, where that has several nodes' names
	// SilentSince is since when at least it is not heard, by the clock of NATS, where a controller has
	// noted that; that takes messages.SilentAfter.
	SilentSince time.Time `json:"silent_since,omitzero"`

	Waits string `json:"waits,omitempty"` // for what, where the fleet's record keeps it from fetching an image that it lacks

	Heard time.Time `json:"-"` // when its heartbeat was stored
}

// MarkShared marks the nodes whose engine another node of the fleet has, too.
func MarkShared(all map[string]Node) {
	fleets := map[string]map[string]*messages.NodeStatus{}
	for _, n := range all {
		if n.Status != nil && !n.Status.Twin {
			if fleets[n.Fleet] == nil {
				fleets[n.Fleet] = map[string]*messages.NodeStatus{}
			}
			fleets[n.Fleet][n.Node] = n.Status
		}
	}
	shared := map[string]map[string]string{}
	for fleet, nodes := range fleets {
		shared[fleet] = messages.SharedEngines(nodes)
	}
	for key, n := range all {
		n.Shares = shared[n.Fleet][n.Node]
		all[key] = n
	}
}

// Counts tells whether what the node says counts.
func (n *Node) Counts() bool { return n.Status != nil && !n.Status.Twin && n.Shares == "" }

// Has tells whether the node reports the image present, and counts.
func (n *Node) Has(i messages.Image) bool {
	return n.Counts() && slices.ContainsFunc(n.Status.Images, func(p messages.PresentImage) bool { return p.Image == i })
}

// MarkWaiting says for what the node waits with the first image that it lacks and may not fetch.
func (n *Node) MarkWaiting(r *messages.FleetRecord) {
	if !n.Counts() || n.Status.Engine.Error != "" || n.Status.Revision == 0 {
		return
	}
	for _, i := range append([]messages.FleetImage{r.Current}, decide.Kept(r)...) {
		w := n.Status.Work
		switch lacks := !i.IsZero() && !n.Has(i.Image) && (w == nil || w.Image != i.Image); {
		case lacks && i == r.Current && !r.Spread.Admits(n.Node):
			n.Waits = "waits for its wave to fetch " + Short(i.Image)
		case lacks && r.HeldBack(n.Node, n.Status.Mirror, i.Image):
			n.Waits = "waits until another node has fetched " + Short(i.Image) + " through their mirror " + n.Status.Mirror
		case lacks && !r.Turns.Admits(n.Node):
			n.Waits = "waits for its turn to fetch " + Short(i.Image)
		}
		if n.Waits != "" {
			return
		}
	}
}

// Doing says in a line what the node does, or what is wrong with it.
func (n *Node) Doing() string {
	if !n.Up && !n.SilentSince.IsZero() {
		return "silent, last heard " + Ago(n.SilentSince) + "; 'fenceline nodes retire' if it is gone for good"
	}
	if !n.Up {
		return "silent: no heartbeat; 'fenceline nodes retire' if it is gone for good"
	}
	if n.Status.Twin {
		return "two distributors have this name, so that it does not count: give each machine its own --node"
	}
	if n.Shares != "" {
		return decide.SharedReason(n.Shares) + ", so that it does not count"
	}
	if e := n.Status.Engine.Error; e != "" {
		return "engine: " + e
	}
	var parts []string
	w := n.Status.Work
	if w != nil {
		parts = append(parts, WithReason(string(w.State)+" "+Short(w.Image), w.Reason))
	}
	switch f := n.Status.Fetching; {
	case f == nil:
	case w != nil && w.Image == f.Image:
		parts[0] = WithReason(parts[0], FetchProgress(f))
	default:
		parts = append(parts, WithReason(string(messages.WorkPulling)+" "+Short(f.Image), FetchProgress(f)))
	}
	if n.Waits != "" {
		parts = append(parts, n.Waits)
	}
	for _, p := range n.Status.Problems {
		if w == nil || p.Image != w.Image || w.Reason == "" {
			parts = append(parts, WithReason(string(messages.WorkFailed)+" "+Short(p.Image), p.Reason))
		}
	}
	if a := n.applying(); a != "" {
		parts = append(parts, a)
	}
	for _, t := range n.Status.Troubles {
		parts = append(parts, t.Reason)
	}
	if n.Clock != "" {
		parts = append(parts, n.Clock)
	}
	return strings.Join(parts, "; ")
}

// applying says what a node has not applied, and why, or what it has put right.
func (n *Node) applying() string {
	a := n.Status.Applied
	switch {
	case a == nil || a.Image == "":
		return ""
	case a.State != messages.ApplyDone:
		return WithReason("not applied "+Short(a.Image)+", "+string(a.State), a.Error)
	case a.Mended != "":
		return "put right what it applies: " + a.Mended
	}
	return ""
}

// misapplies tells whether somebody has to look at how the node applies the current image.
func (n *Node) misapplies() bool {
	a := n.Status.Applied
	return a != nil && (a.Error != "" && a.State != messages.ApplyWaiting || a.Mended != "")
}

// FetchProgress says how far a fetch is, or "" before its first byte.
func FetchProgress(f *messages.ImageFetch) string {
	if f.Bytes == 0 && f.From == "" {
		return ""
	}
	said := messages.Size(f.Bytes)
	if f.Total > 0 {
		said += " of " + messages.Size(f.Total)
	}
	if f.Rate > 0 {
		said += ", " + messages.Size(f.Rate) + "/s"
	}
	if f.Layer != "" {
		said += ", layer " + f.Layer
	}
	if f.From != "" {
		said += ", from " + f.From
	}
	return said
}

// Troubled tells whether somebody has to look at the node.
func (n *Node) Troubled() bool {
	return !n.Up || n.Status.Twin || n.Status.Engine.Error != "" || n.Clock != "" || n.Shares != "" || len(n.Status.Problems) > 0 || len(n.Status.Troubles) > 0 || n.misapplies() || n.Status.Work != nil && n.Status.Work.State == messages.WorkFailed
}
