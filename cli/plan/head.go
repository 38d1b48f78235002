package plan

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// Head is the commit at the head of a pipeline's branch.
type Head struct {
	Branch  string `json:"branch"`
	Commit  string `json:"commit,omitempty"`
	Unknown string `json:"unknown,omitempty"` // why it is not known
	Build   string `json:"build,omitempty"`   // the newest of the commit on the branch, where there is one
	State   string `json:"state,omitempty"`   // of that
	Before  string `json:"before,omitempty"`  // the commit of the branch that was built last
	// Builds tells whether a push that led there would be built; nil where that is not known. One that has a build is
	// not built again by a push.
	Builds *bool  `json:"builds,omitempty"`
	Why    string `json:"why,omitempty"`
}

// StateQueued is the state of a build that no builder has taken yet.
const StateQueued = "queued"

// head asks git for the head, and looks for builds of it.
func (c *Config) head(ctx context.Context) (Head, error) {
	h := Head{Branch: c.Remote.Branch}
	err := c.RemoteErr
	if err == nil {
		h.Commit, err = git.Head(ctx, c.Remote)
	}
	if ctx.Err() != nil {
		return h, context.Cause(ctx)
	}
	if err != nil {
		h.Unknown = err.Error()
	}
	if err := c.built(ctx, &h); err != nil {
		return h, err
	}
	switch {
	case h.Commit == "":
	case h.Build != "":
		h.Why = "it has a build: a push of the same commit asks for no other"
	case c.Judge == nil:
		h.Why = "whether paths or skip_ci leave it out is not known without the pipeline file"
	default:
		build, why := c.Judge(ctx, h.Before, h.Commit)
		h.Builds, h.Why = &build, why
	}
	return h, ctx.Err()
}

// obstacles are what keeps a push from being built.
func (h *Head) obstacles() []decide.Obstacle {
	switch {
	case h.Unknown != "":
		return []decide.Obstacle{{Kind: ObstacleHead, Why: "the branch's head is not known here: " + h.Unknown}}
	case h.Build == "" && (h.Builds == nil || !*h.Builds):
		return []decide.Obstacle{{Kind: ObstacleFilters, Why: h.Why}}
	}
	return nil
}

// built finds the newest builds of the branch: that of its head, and the last of any commit.
func (c *Config) built(ctx context.Context, h *Head) error {
	ref := messages.BranchRefs + h.Branch
	var last, same uint64
	see := func(build, commit, state string, order uint64) {
		if order >= last {
			last, h.Before = order, commit
		}
		if commit == h.Commit && commit != "" && order >= same {
			same, h.Build, h.State = order, build, state
		}
	}
	asked, err := c.builds().Asked(ctx)
	if err != nil {
		return err
	}
	for _, a := range asked {
		if a.Broken == nil && a.Pipeline.Name == c.Pipeline.Name && a.FullRef() == ref && a.Commit != "" {
			state := StateQueued
			if a.Record != nil {
				state = string(a.Record.Value.State)
			}
			see(a.Build, a.Commit, state, a.Order)
		}
	}
	err = store.Builds(c.Queue).Since(ctx, 0, func(e queue.Entry[messages.BuildRecord]) bool {
		if r := &e.Value; r.Pipeline == c.Pipeline.Name && r.Ref == ref && r.Commit != "" {
			see(r.Build, r.Commit, string(r.State), r.Order)
		}
		return true
	}, func(queue.Broken) bool { return true })
	if err != nil {
		return fmt.Errorf("looking for builds of the branch: %w", err)
	}
	return nil
}

// unknownFirst orders sources: what needs a look comes first.
func unknownFirst(all []Source) {
	rank := []State{BaseUnknown, BaseMoved, BaseNew, BaseGone, BaseSame}
	slices.SortStableFunc(all, func(a, b Source) int { return cmp.Compare(slices.Index(rank, a.State), slices.Index(rank, b.State)) })
}
