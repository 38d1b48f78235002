package cli

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/terminal"
)

// pollProblem is why pushes to a repository of which nobody told may be missed.
type pollProblem struct {
	Repository string    `json:"repository"`
	Problem    string    `json:"problem"`
	Since      time.Time `json:"since"`
}

// pollProblemsShown is how many are shown as text: a host that is away has many repositories.
const pollProblemsShown = 5

// pollProblems are what keeps producers from looking at repositories, the oldest first. There are none where an
// installation, or the credential that asks, is from before producers shared what they saw.
func (s *session) pollProblems(ctx context.Context) ([]pollProblem, error) {
	all, err := store.Polls(s.queue).List(ctx)
	if errors.Is(err, queue.ErrUndeclared) || errors.Is(err, queue.ErrForbidden) {
		return nil, nil
	}
	var out []pollProblem
	for _, e := range all {
		if p := e.Value; p.Problem != "" {
			out = append(out, pollProblem{p.Repository, p.Problem, p.Since})
		}
	}
	slices.SortFunc(out, func(a, b pollProblem) int { return a.Since.Compare(b.Since) })
	return out, err
}

func (o *statusReport) writePollProblems(p *terminal.Page) {
	for _, q := range o.PollProblems[:min(len(o.PollProblems), pollProblemsShown)] {
		p.Line("\nproblem: pushes to %s that no webhook tells of are not found since %s: %s", q.Repository, q.Since.Local().Format(time.DateTime), q.Problem)
	}
	if more := len(o.PollProblems) - pollProblemsShown; more > 0 {
		p.Line("  and %d more of that kind: 'fenceline status -o json'", more)
	}
}
