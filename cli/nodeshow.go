package cli

import (
	"cmp"
	"context"
	"strings"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

func newNodeShowCmd() *cobra.Command {
	var words []string
	cmd := &cobra.Command{
		Use: "show [FLEET] NODE", Short: "Show a node, what it holds, and what fenceline brought to its engine",
		Long: `Shows what a node says in its heartbeat. The ledger lists the images on its engine that fenceline
brought, for whichever fleet: with the tag that keeps each, when it was fetched, and why. Of an image that
was there already only the tag is fenceline's, and is what goes once no fleet wants it. A node can be written FLEET.NODE, too.`,
		Example: "  fenceline nodes show node-7\n  fenceline nodes show production node-7 -o json",
	}
	takesFleet(cmd, 0)
	named := false
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		words = args
		if f := cmd.Flags().Lookup(fleetFlag); f.Changed {
			words, named = append([]string{f.Value.String()}, args...), true
		}
		if len(args) == 0 || len(words) > 2 {
			return settings.Usagef("one node is to be named: give '%s'", cmd.UseLine())
		}
		return nil
	}
	return operator(cmd, func(ctx context.Context, s *session, _ []string) error {
		found, err := s.namedNodes(ctx, words, named)
		if err != nil {
			return err
		}
		n := found[0]
		if len(found) > 1 || n.Status == nil && !n.Up && n.SilentSince.IsZero() {
			all, err := s.nodes(ctx, n.Fleet)
			if err != nil {
				return err
			}
			if err := mustBeNode(all, words[len(words)-1]); err != nil {
				return err
			}
		}
		one := []overview.Node{n}
		if err := s.markWaiting(ctx, one); err != nil {
			return err
		}
		return s.print(one[0], func(p *terminal.Page) { writeNode(p, &one[0]) })
	})
}

// mustBeNode refuses a name, NODE or FLEET.NODE, that no node has.
func mustBeNode(all []overview.Node, word string) error {
	var known []string
	for _, n := range all {
		if n.Node == word || messages.NodeKey(n.Fleet, n.Node) == word {
			return nil
		}
		known = append(known, n.Node)
	}
	return unknownNode(word, known)
}

// writeNode writes what is known of a node, its images and its ledger.
func writeNode(p *terminal.Page, n *overview.Node) {
	p.Line("%s: %s", n.Fleet, n.Node)
	if doing := n.Doing(); doing != "" {
		p.Line("  %s", doing)
	}
	s := n.Status
	if s == nil {
		return
	}
	p.Line("  fenceline %s; engine %s; %s free; labels %s; heard %s", s.Version, strings.TrimSpace(s.Engine.Name+" "+s.Engine.Version),
		messages.Size(s.FreeBytes), cmp.Or(settings.Labels(s.Labels).String(), "none"), overview.Ago(n.Heard))
	if len(s.Images) > 0 {
		p.Head("PRESENT", "ID", "NAME")
		for _, i := range s.Images {
			p.Row(overview.Short(i.Image), overview.ShortDigest(i.ID), overview.ShownValue(i.Local))
		}
	}
	writeLedger(p, s)
}

// writeLedger writes what fenceline brought to a node's engine.
func writeLedger(p *terminal.Page, s *messages.NodeStatus) {
	if len(s.Ledger) == 0 && s.Engine.Error == "" {
		p.Line("The ledger is empty: fenceline brought nothing to this engine.")
	}
	if len(s.Ledger) == 0 {
		return
	}
	p.Head("LEDGER", "FLEET", "TAG", "WHEN", "WHY")
	for _, e := range s.Ledger {
		p.Row(overview.Short(e.Image), e.Fleet, overview.ShownValue(e.Tag), overview.Ago(e.At), e.Why)
	}
	if s.LedgerMore > 0 {
		p.Line("and %d more", s.LedgerMore)
	}
}
