package cli

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/producer"
	"github.com/fenceline/fenceline/statuses"
)

// forgeProblems are what keeps statuses from their forges, by pipeline. There are none where an installation, or the
// credential that asks, is from before there were statuses.
func (s *session) forgeProblems(ctx context.Context) ([]messages.ForgeProblem, error) {
	all, err := store.ForgeProblems(s.queue).List(ctx)
	if errors.Is(err, queue.ErrUndeclared) || errors.Is(err, queue.ErrForbidden) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []messages.ForgeProblem
	for _, e := range all {
		out = append(out, e.Value)
	}
	slices.SortFunc(out, func(a, b messages.ForgeProblem) int { return strings.Compare(a.Pipeline, b.Pipeline) })
	return out, nil
}

// statusChecks look at the forge of each pipeline that has a status section. Where no role is asked about, there may be no
// pipeline file.
func (d *doctor) statusChecks(role string) []func(context.Context) checked {
	config := d.config
	if config == "" && role == settings.RoleStatuses {
		config = defaultPipelineFile
	}
	if config == "" {
		return nil
	}
	c := checked{What: "statuses at forges"}
	targets, err := producer.LoadStatusTargets(config)
	switch {
	case err != nil:
		return []func(context.Context) checked{func(context.Context) checked { return c.problem(err) }}
	case len(targets) == 0:
		c.Found = "no pipeline of " + config + " has a status section"
		return []func(context.Context) checked{func(context.Context) checked { return c }}
	}
	var out []func(context.Context) checked
	for _, t := range targets {
		out = append(out, func(ctx context.Context) checked {
			c := checked{What: "statuses of " + t.Pipeline + " at " + string(t.Forge)}
			found, err := statuses.Check(ctx, t)
			if err != nil {
				return c.problem(err)
			}
			c.Found = found
			return c
		})
	}
	return out
}

// defaultPipelineFile is the pipeline file where none is named.
const defaultPipelineFile = "fenceline.yaml"
