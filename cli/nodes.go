package cli

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
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
		all[m.Key] = nodeRow{Fleet: m.Value.Fleet, Node: m.Value.Node}
	}
	for _, b := range beats {
		all[b.Key] = nodeRow{Fleet: b.Value.Fleet, Node: b.Value.Node, Up: true, Status: &b.Value, Clock: nodeClock(b)}
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

// doing says in a line what the node does, or what is wrong with it.
func (n *nodeRow) doing() string {
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
	} else if f := n.Status.Fetching; f != nil {
		parts = append(parts, string(messages.WorkPulling)+" "+short(f.Image))
	}
	for _, p := range n.Status.Problems {
		if w == nil || p.Image != w.Image || w.Reason == "" {
			parts = append(parts, withReason(string(messages.WorkFailed)+" "+short(p.Image), p.Reason))
		}
	}
	if n.Clock != "" {
		parts = append(parts, n.Clock)
	}
	return strings.Join(parts, "; ")
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
	return !n.Up || n.Status.Twin || n.Status.Engine.Error != "" || n.Clock != "" || n.Shares != "" || len(n.Status.Problems) > 0 || n.Status.Work != nil && n.Status.Work.State == messages.WorkFailed
}

func newNodesCmd() *cobra.Command {
	var fleet string
	cmd := &cobra.Command{
		Use: "nodes", Short: "List the nodes of the fleets and what they hold",
		Example: "  fenceline nodes\n  fenceline nodes retire node-7",
		Args:    noSuchCommand,
	}
	fleetFlag(cmd, &fleet)
	operator(cmd, func(ctx context.Context, s *session, _ []string) error {
		all, err := s.nodes(ctx, fleet)
		if err != nil {
			return err
		}
		return s.print(all, func(w io.Writer) { writeNodes(w, all) })
	})
	cmd.AddCommand(newRetireCmd())
	return cmd
}

// writeNodes writes the table of nodes, with their labels where there are any.
func writeNodes(w io.Writer, all []nodeRow) {
	labelled := slices.ContainsFunc(all, func(n nodeRow) bool { return n.Status != nil && len(n.Status.Labels) > 0 })
	columns := []string{"FLEET", "NODE", "UP", "ENGINE", "FREE", "IMAGES", "DETAIL"}
	last := len(columns) - 1
	if labelled {
		columns = slices.Insert(columns, last, "LABELS")
	}
	head(w, columns...)
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
		row(w, cells...)
	}
}

func newRetireCmd() *cobra.Command {
	var fleet string
	cmd := &cobra.Command{
		Use: "retire NODE", Short: "Take a node out of its fleet for good",
		Long: `A member that is silent still counts, as one that does not hold the image. Retire it when
it will not come back. A node that beats again joins again.`,
		Example: "  fenceline nodes retire node-7",
		Args:    settings.Args(1, 1),
	}
	fleetFlag(cmd, &fleet)
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		f, err := s.flaggedFleet(ctx, fleet)
		if err != nil {
			return err
		}
		if err := people.RetireNode(ctx, s.queue, f, args[0]); err != nil {
			return err
		}
		return s.decided(map[string]string{"fleet": f, "node": args[0], "state": "retired"}, "%s: %s retired", f, args[0])
	})
}
