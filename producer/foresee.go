package producer

import (
	"context"

	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"golang.org/x/sync/semaphore"
)

// Foreseen is what a producer with these pipelines would make of a push that leads a branch from one commit to
// another. Before is "" where the branch is new. The secrets are those of a pipeline's repository, as a producer has them.
func (p *Pipelines) Foreseen(ctx context.Context, pipeline, branch, before, commit, secretsDir string) PipelineAnswer {
	d, a := p.byName[pipeline], PipelineAnswer{Pipeline: pipeline}
	if d == nil {
		a.Why = "the pipeline file has no such pipeline"
		return a
	}
	ask := (&Producer{secretsDir: secretsDir, asks: semaphore.NewWeighted(asksAtOnce)}).asking(ctx)
	v := d.judge(&event{ref: messages.BranchRefs + branch, before: before, commit: commit}, ask)
	a.Build, a.Why = v.build, v.why
	return a
}

// TakesWebhooks tells whether a pipeline is told of pushes by webhooks.
func (p *Pipelines) TakesWebhooks(pipeline string) bool {
	d := p.byName[pipeline]
	return d != nil && d.secret != nil
}

// RemoteOf is a pipeline's branch as git asks for it, with the token of its repository, of a folder of secrets.
func RemoteOf(pipeline *messages.Pipeline, secretsDir string) (git.Remote, error) {
	return (&Producer{secretsDir: secretsDir}).remote(pipeline)
}
