package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
)

// retirement is the decision to take a node out of its fleet for good. One that is up can't be retired here, as it would join
// again: at the command line it can be forced.
type retirement struct {
	fleet, node string
	member      string // since when it is a member, or ""
	up          bool
	waiting     []messages.RolloutRecord // rollouts that count it, and are not over
	members     int                      // of the fleet
}

var _ decision = (*retirement)(nil)

func nodeAction(r *http.Request) decision {
	return &retirement{fleet: r.PathValue("fleet"), node: r.PathValue("node")}
}

func (d *retirement) read(ctx context.Context, c *Console) error {
	if err := errors.Join(messages.CheckName("fleet", d.fleet), messages.CheckName("node", d.node)); err != nil {
		return err
	}
	key := messages.NodeKey(d.fleet, d.node)
	// A record that can't be read is one all the same.
	m, err := store.Members(c.queue).Current(ctx, key)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		d.member = ""
	case err != nil && !errors.Is(err, messages.ErrMalformed):
		return fmt.Errorf("reading whether %s is a member: %w", d.node, err)
	default:
		d.member = "one since " + exact(m.Value.Joined)
	}
	_, err = store.Nodes(c.queue).Current(ctx, key)
	d.up = err == nil || errors.Is(err, messages.ErrMalformed)
	if !d.up && !errors.Is(err, queue.ErrNotFound) {
		return fmt.Errorf("reading the heartbeat of %s: %w", d.node, err)
	}
	rollouts, err := store.Rollouts(c.queue).List(ctx)
	if err != nil {
		return fmt.Errorf("reading the rollouts that count %s: %w", d.node, err)
	}
	d.waiting = nil
	for _, e := range rollouts {
		if e.Value.Fleet == d.fleet && !e.Value.State.Final() && slices.Contains(e.Value.Members, d.node) {
			d.waiting = append(d.waiting, e.Value)
		}
	}
	members, err := store.MembersOf(ctx, c.queue, d.fleet)
	d.members = len(members)
	return err
}

func (d *retirement) title() string { return "Retire node " + d.node + " of fleet " + d.fleet }

func (d *retirement) subject() string { return "node " + messages.NodeKey(d.fleet, d.node) }

func (d *retirement) told() messages.DecisionMade {
	return messages.DecisionMade{Action: "nodes retire", Fleet: d.fleet, About: d.node}
}

// needsReason is false: a node that is retired leaves no record to keep it.
func (d *retirement) needsReason() bool { return false }

func (d *retirement) page() string { return "/fleets/" + d.fleet }

// exists tells whether anything is known of such a node.
func (d *retirement) exists() bool { return d.member != "" || d.up || len(d.waiting) > 0 }

func (d *retirement) facts() []fact {
	member, heard := fact{Of: "the member", Is: d.member}, fact{Of: "its heartbeat", Is: "missing"}
	if d.member == "" {
		member.Is = "none any more"
	}
	if d.up {
		heard.Is = "there"
	}
	return []fact{member, heard}
}

func (d *retirement) carryOut(ctx context.Context, c *Console, _, _ string) (string, error) {
	err := people.RetireNode(ctx, c.queue, d.fleet, d.node)
	if errors.Is(err, people.ErrUnknownNode) || errors.Is(err, queue.ErrMoved) {
		err = fmt.Errorf("%w: %w", people.ErrChanged, err)
	}
	return fmt.Sprintf("Node %s is retired: fleet %s has it no more, and nothing waits for it.", d.node, d.fleet), err
}

func (d *retirement) foresee(_ *Console, p *preview) {
	p.Fleet, p.Node = d.fleet, d.node
	switch {
	case d.up:
		p.not("It is up, and would join again with its next heartbeat. Stop its distributor, and wait until its page shows it as silent. "+
			"At the command line it can be forced: fenceline nodes retire %s %s --force", d.fleet, d.node)
		return
	case !d.exists():
		p.not("Fleet %s has no such node any more.", d.fleet)
		return
	case d.member == "":
		p.Will = []string{"It is no member any more, but rollouts still count it."}
	default:
		p.Will = []string{fmt.Sprintf("Fleet %s has %s then, instead of %d: nothing counts this one, or waits for it.", d.fleet, overview.Counted(d.members-1, "member"), d.members)}
	}
	for _, r := range d.waiting {
		p.Will = append(p.Will, fmt.Sprintf("Rollout %s (%s) counts %s then, instead of %d, and its quorum is of those.", r.ID, r.State, overview.Counted(r.Counts()-1, "member"), r.Counts()))
	}
	p.Will = append(p.Will, "What runs on the machine goes on as it is, with the images that it has: nothing is removed there.",
		"If its distributor is started again it joins again, as a new member.")
}
