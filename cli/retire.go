package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

// retirement is what `nodes retire` is asked.
type retirement struct {
	words    []string // the fleet and nodes
	silent   time.Duration
	bySilent bool // no node is named: those are meant that are silent
	force    bool // also those that are up
}

func newRetireCmd() *cobra.Command {
	var r retirement
	cmd := &cobra.Command{
		Use: "retire [FLEET] NODE...", Short: "Take nodes out of their fleet for good",
		Long: `A member that is silent still counts, as one that does not hold the image. Retire it when
it will not come back. One that is up joins again with its next heartbeat: stop its distributor
first. A node can be written FLEET.NODE, too. With --silent-for none is named: it retires the members
that were not heard for so long.`,
		Example: "  fenceline nodes retire node-7\n  fenceline nodes retire production node-7 node-8\n  fenceline nodes retire --silent-for 7d",
	}
	takesFleet(cmd, 0)
	settings.SpanVar(cmd.Flags(), &r.silent, "silent-for", 0, "retire the members that were not heard for so long, such as 7d")
	settings.DefaultsTo(cmd.Flags(), "silent-for", "none")
	cmd.Flags().BoolVar(&r.force, "force", false, "retire also a node that is up")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		r.words, r.bySilent = args, cmd.Flags().Changed("silent-for")
		if f := cmd.Flags().Lookup(fleetFlag); f.Changed {
			r.words = append([]string{f.Value.String()}, args...)
		}
		switch {
		case !r.bySilent && len(args) == 0:
			return settings.Usagef("no node is named: give '%s', or --silent-for", cmd.UseLine())
		case r.bySilent && r.silent < messages.SilentAfter:
			return settings.Usagef("--silent-for %s: how long a node is silent is known from %s on", r.silent, messages.SilentAfter)
		case r.bySilent && len(r.words) > 1:
			return settings.Usagef("--silent-for finds the nodes itself: name only their fleet beside it")
		}
		return nil
	}
	return deciding(cmd, func(ctx context.Context, s *session, args []string) error {
		var found []overview.Node
		var err error
		if r.bySilent {
			found, err = s.silentNodes(ctx, &r)
		} else {
			found, err = s.namedNodes(ctx, r.words, len(r.words) > len(args))
		}
		if err != nil {
			return err
		}
		return s.retire(ctx, found, &r)
	})
}

// silentNodes are the members of a fleet that were not heard for as long as is asked, by the clock
// of NATS.
func (s *session) silentNodes(ctx context.Context, r *retirement) ([]overview.Node, error) {
	fleet, err := s.oneFleet(ctx, r.words...)
	if err != nil {
		return nil, err
	}
	all, err := s.nodes(ctx, fleet)
	if err != nil {
		return nil, err
	}
	now, err := store.NewClock(s.queue).Now(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(n overview.Node) bool {
		return n.Up || n.SilentSince.IsZero() || now.Sub(n.SilentSince) < r.silent
	}), nil
}

// namedNodes are the nodes that words name, of which the first is, or may be, their fleet.
func (s *session) namedNodes(ctx context.Context, words []string, fleetFirst bool) ([]overview.Node, error) {
	fleets, err := s.fleetNames(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.nodes(ctx, "")
	if err != nil {
		return nil, err
	}
	named := func(n overview.Node) bool { return n.Node == words[0] }
	switch isFleet, isNode := slices.Contains(fleets, words[0]), slices.ContainsFunc(all, named); {
	case isFleet && isNode && len(words) > 1 && !fleetFirst:
		return nil, settings.Usagef("%s is a fleet and a node: write the nodes as FLEET.NODE", words[0])
	case isFleet && !isNode && len(words) == 1:
		return nil, settings.Usagef("%s is a fleet: name its nodes after it", words[0])
	case fleetFirst || isFleet && len(words) > 1:
		fleet, err := s.namedFleet(ctx, words[0])
		if err != nil {
			return nil, err
		}
		fleets, words = []string{fleet}, words[1:]
		all = slices.DeleteFunc(all, func(n overview.Node) bool { return n.Fleet != fleet })
	}
	var out []overview.Node
	for _, word := range words {
		n, err := nodeOf(all, fleets, word)
		if err != nil {
			return nil, err
		}
		out = append(out, *n)
	}
	return out, nil
}

// nodeOf is the one node of a name, NODE or FLEET.NODE. Where there is one fleet alone it may be a node
// that is no member any more: rollouts can wait for it still.
func nodeOf(all []overview.Node, fleets []string, word string) (*overview.Node, error) {
	var found, known []string
	var n *overview.Node
	for i, a := range all {
		key := messages.NodeKey(a.Fleet, a.Node)
		if known = append(known, a.Node); strings.Contains(word, ".") {
			known[i] = key
		}
		if a.Node == word || key == word {
			found, n = append(found, key), &all[i]
		}
	}
	switch {
	case len(found) > 1:
		return nil, settings.Usagef("several fleets have a node %s: write which of %s", word, strings.Join(found, ", "))
	case n != nil:
		return n, nil
	case len(fleets) == 1 && messages.CheckName("node", word) == nil:
		return &overview.Node{Fleet: fleets[0], Node: word}, nil
	}
	return nil, unknownNode(word, known)
}

func unknownNode(name string, known []string) error {
	return unknown("node", name, known, "'fenceline nodes' lists them: "+strings.Join(known[:min(len(known), 20)], ", "))
}

// retire retires nodes, or none of them where one is up.
func (s *session) retire(ctx context.Context, nodes []overview.Node, r *retirement) error {
	var up []string
	for _, n := range nodes {
		if n.Up && !r.force {
			up = append(up, fmt.Sprintf("%s (heard %s)", n.Node, overview.Ago(n.Heard)))
		}
	}
	if len(up) > 0 {
		return fmt.Errorf("not retired, as it is up: %s: it would join again with its next heartbeat. Stop its distributor and wait until 'fenceline nodes' shows it as not up, or give --force", strings.Join(up, ", "))
	}
	retire := people.RetireNode
	if r.force {
		retire = people.ForceRetireNode
	}
	if len(nodes) == 0 {
		s.tell(s.fleet, fmt.Sprintf("all that are silent for %s: there is none", r.silent), nil)
	}
	retired := []map[string]string{}
	var failed error
	for _, n := range nodes {
		err := retire(ctx, s.queue, n.Fleet, n.Node)
		s.tell(n.Fleet, n.Node, err)
		if err != nil {
			failed = errors.Join(failed, s.notRetired(ctx, n, err))
			continue
		}
		retired = append(retired, map[string]string{"fleet": n.Fleet, "node": n.Node, "state": "retired"})
	}
	var answer any = retired
	if !r.bySilent && len(nodes) == 1 && len(retired) == 1 {
		answer = retired[0]
	}
	if failed != nil && len(retired) == 0 {
		return failed
	}
	return errors.Join(failed, s.print(answer, func(p *terminal.Page) {
		for _, n := range retired {
			p.Line("%s: %s retired", n["fleet"], n["node"])
		}
		if len(retired) == 0 {
			p.Line("no member was silent for %s", r.silent)
		}
	}))
}

// notRetired says of a node that there is not which may be meant.
func (s *session) notRetired(ctx context.Context, n overview.Node, err error) error {
	if !errors.Is(err, people.ErrUnknownNode) {
		return err
	}
	all, failed := s.nodes(ctx, n.Fleet)
	if failed != nil {
		return errors.Join(err, failed)
	}
	var known []string
	for _, a := range all {
		known = append(known, a.Node)
	}
	return unknownNode(n.Node, known)
}
