package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

// nodeRow is a member of a fleet and what it last said.
type nodeRow struct {
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

	heard time.Time // when its heartbeat was stored
}

// nodes lists members and nodes about to be members, by fleet and name.
func (s *session) nodes(ctx context.Context, fleet string) ([]nodeRow, error) {
	members, err := store.Members(s.queue).List(ctx)
	if err != nil {
		return nil, err
	}
	beats, err := store.Nodes(s.queue).List(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]nodeRow{}
	for _, m := range members {
		if f, node, err := messages.ParseNodeKey(m.Key); err == nil {
			n := nodeRow{Fleet: f, Node: node}
			if m.Value.Silent {
				n.SilentSince = m.Created.Add(-messages.SilentAfter)
			}
			all[m.Key] = n
		}
	}
	for _, b := range beats {
		if f, node, err := messages.ParseNodeKey(b.Key); err == nil {
			all[b.Key] = nodeRow{Fleet: f, Node: node, Up: true, Status: &b.Value, Clock: nodeClock(b), heard: b.Created}
		}
	}
	markShared(all)
	out := []nodeRow{}
	for _, key := range sorted(all) {
		if n := all[key]; fleet == "" || n.Fleet == fleet {
			out = append(out, n)
		}
	}
	return out, nil
}

// markShared marks the nodes whose engine another node of the fleet has, too.
func markShared(all map[string]nodeRow) {
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

// counts tells whether what the node says counts.
func (n *nodeRow) counts() bool { return n.Status != nil && !n.Status.Twin && n.Shares == "" }

// has tells whether the node reports the image present, and counts.
func (n *nodeRow) has(i messages.Image) bool {
	return n.counts() && slices.ContainsFunc(n.Status.Images, func(p messages.PresentImage) bool { return p.Image == i })
}

// markWaiting says for what nodes wait, by the records of their fleets.
func (s *session) markWaiting(ctx context.Context, all []nodeRow) error {
	fleets, err := store.Fleets(s.queue).List(ctx)
	if err != nil {
		return err
	}
	for _, f := range fleets {
		for i := range all {
			if all[i].Fleet == f.Key {
				all[i].markWaiting(&f.Value)
			}
		}
	}
	return nil
}

// markWaiting says for what the node waits with the first image that it lacks and may not fetch.
func (n *nodeRow) markWaiting(r *messages.FleetRecord) {
	if !n.counts() || n.Status.Engine.Error != "" || n.Status.Revision == 0 {
		return
	}
	for _, i := range append([]messages.FleetImage{r.Current}, decide.Kept(r)...) {
		w := n.Status.Work
		switch lacks := !i.IsZero() && !n.has(i.Image) && (w == nil || w.Image != i.Image); {
		case lacks && i == r.Current && !r.Spread.Admits(n.Node):
			n.Waits = "waits for its wave to fetch " + short(i.Image)
		case lacks && r.HeldBack(n.Node, n.Status.Mirror, i.Image):
			n.Waits = "waits until another node has fetched " + short(i.Image) + " through their mirror " + n.Status.Mirror
		case lacks && !r.Turns.Admits(n.Node):
			n.Waits = "waits for its turn to fetch " + short(i.Image)
		}
		if n.Waits != "" {
			return
		}
	}
}

// doing says in a line what the node does, or what is wrong with it.
func (n *nodeRow) doing() string {
	if !n.Up && !n.SilentSince.IsZero() {
		return "silent, last heard " + ago(n.SilentSince) + "; 'fenceline nodes retire' if it is gone for good"
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
		parts = append(parts, withReason(string(w.State)+" "+short(w.Image), w.Reason))
	}
	switch f := n.Status.Fetching; {
	case f == nil:
	case w != nil && w.Image == f.Image:
		parts[0] = withReason(parts[0], fetchProgress(f))
	default:
		parts = append(parts, withReason(string(messages.WorkPulling)+" "+short(f.Image), fetchProgress(f)))
	}
	if n.Waits != "" {
		parts = append(parts, n.Waits)
	}
	for _, p := range n.Status.Problems {
		if w == nil || p.Image != w.Image || w.Reason == "" {
			parts = append(parts, withReason(string(messages.WorkFailed)+" "+short(p.Image), p.Reason))
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
func (n *nodeRow) applying() string {
	a := n.Status.Applied
	switch {
	case a == nil || a.Image == "":
		return ""
	case a.State != messages.ApplyDone:
		return withReason("not applied "+short(a.Image)+", "+string(a.State), a.Error)
	case a.Mended != "":
		return "put right what it applies: " + a.Mended
	}
	return ""
}

// misapplies tells whether somebody has to look at how the node applies the current image.
func (n *nodeRow) misapplies() bool {
	a := n.Status.Applied
	return a != nil && (a.Error != "" && a.State != messages.ApplyWaiting || a.Mended != "")
}

// fetchProgress says how far a fetch is, or "" before its first byte.
func fetchProgress(f *messages.ImageFetch) string {
	if f.Bytes == 0 && f.From == "" {
		return ""
	}
	said := size(f.Bytes)
	if f.Total > 0 {
		said += " of " + size(f.Total)
	}
	if f.Rate > 0 {
		said += ", " + size(f.Rate) + "/s"
	}
	if f.Layer != "" {
		said += ", layer " + f.Layer
	}
	if f.From != "" {
		said += ", from " + f.From
	}
	return said
}

// withReason is what a node does, with the reason where there is one.
func withReason(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + reason
}

// troubled tells whether somebody has to look at the node.
func (n *nodeRow) troubled() bool {
	return !n.Up || n.Status.Twin || n.Status.Engine.Error != "" || n.Clock != "" || n.Shares != "" || len(n.Status.Problems) > 0 || len(n.Status.Troubles) > 0 || n.misapplies() || n.Status.Work != nil && n.Status.Work.State == messages.WorkFailed
}

func newNodesCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "nodes [FLEET]", Short: "List the nodes of the fleets and what they hold",
		Example: "  fenceline nodes\n  fenceline nodes production\n  fenceline nodes retire node-7",
	}
	takesFleet(cmd, 0)
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return noSuchCommand(cmd, args)
		}
		return nil
	}
	operator(cmd, func(ctx context.Context, s *session, args []string) error {
		named, _, err := fleetWord(cmd.Flags(), args, 0)
		if err != nil {
			return err
		}
		fleet, err := s.someFleet(ctx, named)
		if err != nil && len(args) > 0 && len(cmd.SuggestionsFor(args[0])) > 0 {
			return noSuchCommand(cmd, args)
		}
		if err != nil {
			return err
		}
		all, err := s.nodes(ctx, fleet)
		if err != nil {
			return err
		}
		if err := s.markWaiting(ctx, all); err != nil {
			return err
		}
		return s.print(all, func(p *terminal.Page) { writeNodes(p, all) })
	})
	cmd.AddCommand(newNodeShowCmd(), newRetireCmd())
	return cmd
}

// writeNodes writes the table of nodes, with their labels where there are any.
func writeNodes(p *terminal.Page, all []nodeRow) {
	labelled := slices.ContainsFunc(all, func(n nodeRow) bool { return n.Status != nil && len(n.Status.Labels) > 0 })
	columns := []string{"FLEET", "NODE", "UP", "ENGINE", "FREE", "IMAGES", "DETAIL"}
	last := len(columns) - 1
	if labelled {
		columns = slices.Insert(columns, last, "LABELS")
	}
	p.Head(columns...)
	for _, n := range all {
		engine, free, images, labels := "", "", 0, ""
		if n.Status != nil {
			engine = strings.TrimSpace(n.Status.Engine.Name + " " + n.Status.Engine.Version)
			free, images, labels = size(n.Status.FreeBytes), len(n.Status.Images), settings.Labels(n.Status.Labels).String()
		}
		cells := []any{n.Fleet, n.Node, n.Up, engine, free, images, n.doing()}
		if labelled {
			cells = slices.Insert(cells, last, any(labels))
		}
		p.Row(cells...)
	}
}
