package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

// nodes lists members and nodes about to be members, by fleet and name.
func (s *session) nodes(ctx context.Context, fleet string) ([]overview.Node, error) {
	members, err := store.Members(s.queue).List(ctx)
	if err != nil {
		return nil, err
	}
	beats, err := store.Nodes(s.queue).List(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]overview.Node{}
	for _, m := range members {
		if f, node, err := messages.ParseNodeKey(m.Key); err == nil {
			n := overview.Node{Fleet: f, Node: node}
			if m.Value.Silent {
				n.SilentSince = m.Created.Add(-messages.SilentAfter)
			}
			all[m.Key] = n
		}
	}
	for _, b := range beats {
		if f, node, err := messages.ParseNodeKey(b.Key); err == nil {
			all[b.Key] = overview.Node{Fleet: f, Node: node, Up: true, Status: &b.Value, Clock: overview.NodeClock(b), Heard: b.Created}
		}
	}
	overview.MarkShared(all)
	out := []overview.Node{}
	for _, key := range sorted(all) {
		if n := all[key]; fleet == "" || n.Fleet == fleet {
			out = append(out, n)
		}
	}
	return out, nil
}

// markWaiting says for what nodes wait, by the records of their fleets.
func (s *session) markWaiting(ctx context.Context, all []overview.Node) error {
	fleets, err := store.Fleets(s.queue).List(ctx)
	if err != nil {
		return err
	}
	for _, f := range fleets {
		for i := range all {
			if all[i].Fleet == f.Key {
				all[i].MarkWaiting(&f.Value)
			}
		}
	}
	return nil
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
func writeNodes(p *terminal.Page, all []overview.Node) {
	labelled := slices.ContainsFunc(all, func(n overview.Node) bool { return n.Status != nil && len(n.Status.Labels) > 0 })
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
			free, images, labels = messages.Size(n.Status.FreeBytes), len(n.Status.Images), settings.Labels(n.Status.Labels).String()
		}
		cells := []any{n.Fleet, n.Node, n.Up, engine, free, images, n.Doing()}
		if labelled {
			cells = slices.Insert(cells, last, any(labels))
		}
		p.Row(cells...)
	}
}
