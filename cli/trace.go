package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/cli/trace"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/spf13/cobra"
)

func newTraceCmd() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "trace COMMIT|DIGEST|BUILD|NODE", Short: "Show the whole chain of a commit, an image, a build or a node",
		Long: `Shows what the records have of a commit, an image, a base, a build or a node: who pushed, why it was
built, on which bases, by whom, what was found, how the image differs from the one before, what
nodes and controllers told of its rollouts, what was decided, what each node applied, and which
containers still run another image. The beginning of a commit, a digest or a build's ID is enough
where it is the only one; a node can be written FLEET.NODE. What the records no longer have is
said. Of long lists the newest is shown.`,
		Example: "  fenceline trace 3f2a9c1\n  fenceline trace alsek-k3x9q2wd --all\n  fenceline trace production.node-7 -o json",
		Args:    settings.Args(1, 1),
	}
	cmd.Flags().BoolVar(&all, "all", false, "list everything: all builds, receipts, nodes and containers")
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		r, err := s.traceRecords(ctx)
		if err != nil {
			return err
		}
		c, err := r.Of(strings.TrimSpace(args[0]), all)
		if err != nil {
			return err
		}
		return s.print(c, c.Write)
	})
}

// traceRecords reads the records that chains are put together from.
func (s *session) traceRecords(ctx context.Context) (*trace.Records, error) {
	r := &trace.Records{Fleets: map[string]messages.FleetRecord{}, Nodes: map[string]messages.NodeStatus{}}
	if err := s.readChain(ctx, r); err != nil {
		return nil, err
	}
	info, err := s.queue.Info(ctx, s.queue.Space().EventsStream())
	if err != nil {
		return nil, err
	}
	r.Kept = info.MaxAge
	r.Pinned = func(b *messages.BuildRecord) (bases []messages.PinnedBase, err error) {
		read := queue.ReadOptions{Filters: []string{s.queue.Space().AnyVersion(messages.TypeBasePinned, b.Pipeline, b.Build)}}
		err = s.queue.Read(ctx, s.queue.Space().EventsStream(), read, func(r queue.Received) error {
			if m, ok := r.Payload.(*messages.BasePinned); ok {
				bases = m.All() // of the last attempt
			}
			return nil
		})
		return bases, err
	}
	receipts := map[string]map[string][]trace.Receipt{}
	r.Receipts = func(fleet string) (map[string][]trace.Receipt, error) {
		if receipts[fleet] == nil {
			told, err := s.receipts(ctx, fleet)
			if err != nil {
				return nil, err
			}
			receipts[fleet] = told
		}
		return receipts[fleet], nil
	}
	changes := map[string][]fence.Change{}
	r.History = func(fleet string) ([]fence.Change, error) {
		if _, read := changes[fleet]; !read {
			history, err := backends.History(ctx, s.queue, fleet)
			if err != nil {
				return nil, err
			}
			changes[fleet] = history
		}
		return changes[fleet], nil
	}
	return r, nil
}

func (s *session) readChain(ctx context.Context, r *trace.Records) error {
	builds, broken, err := store.Builds(s.queue).ListAll(ctx)
	if err != nil {
		return err
	}
	for _, e := range builds {
		r.Builds = append(r.Builds, e.Value)
	}
	asked, err := s.builds().Asked(ctx)
	if err != nil {
		return err
	}
	for _, a := range asked {
		if a.Record == nil && a.Broken == nil {
			r.Queued = append(r.Queued, a.BuildRequested)
		}
	}
	if r.Rollouts, err = s.rollouts(ctx, ""); err != nil {
		return err
	}
	fleets, brokenFleets, err := store.Fleets(s.queue).ListAll(ctx)
	if err != nil {
		return err
	}
	for _, e := range fleets {
		r.Fleets[e.Key] = e.Value
	}
	for what, all := range map[string][]queue.Broken{"build": broken, "fleet": brokenFleets} {
		for _, b := range all {
			r.Broken = append(r.Broken, fmt.Sprintf("the record of %s %s: %v", what, b.Key, b.Err))
		}
	}
	for _, id := range sorted(s.broken) {
		r.Broken = append(r.Broken, fmt.Sprintf("the record of rollout %s: %s", id, s.broken[id]))
	}
	return s.readNodes(ctx, r)
}

func (s *session) readNodes(ctx context.Context, r *trace.Records) error {
	members, err := store.Members(s.queue).List(ctx)
	if err != nil {
		return err
	}
	beats, err := store.Nodes(s.queue).List(ctx)
	if err != nil {
		return err
	}
	for _, m := range members {
		r.Members = append(r.Members, m.Key)
	}
	for _, b := range beats {
		r.Nodes[b.Key] = b.Value
	}
	return nil
}

// receipts reads what controllers and nodes told of a fleet's rollouts, by rollout.
func (s *session) receipts(ctx context.Context, fleet string) (map[string][]trace.Receipt, error) {
	told, err := overview.ToldOfFleet(ctx, s.queue, fleet)
	if err != nil {
		return nil, err
	}
	out := map[string][]trace.Receipt{}
	for rollout, all := range told {
		for _, t := range all {
			out[rollout] = append(out[rollout], trace.Receipt{At: t.At, Node: t.Node, What: t.What, Why: t.Because()})
		}
	}
	return out, nil
}
