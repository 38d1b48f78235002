package builds

import (
	"context"
	"slices"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// What a worker can know of the branch or tag whose head a request asks for.

// Later is the commit of the last push to it that was asked for after this request, or "".
func (j *Job) Later(ctx context.Context) (string, error) {
	commit := ""
	err := j.q.pushesAfter(ctx, j.Request.BuildRef(), j.Request.FullRef(), queue.ReadOptions{}, func(r *messages.BuildRequested) { commit = r.Commit })
	return commit, err
}

// Pushes calls each with the commits of pushes to it that are asked for after this request, those that were first,
// until ctx ends.
func (j *Job) Pushes(ctx context.Context, each func(commit string)) error {
	return j.q.pushesAfter(ctx, j.Request.BuildRef(), j.Request.FullRef(), queue.ReadOptions{Follow: true}, func(r *messages.BuildRequested) { each(r.Commit) })
}

// Before tells whether a commit was asked for as its head before this request, as far as that is still known.
func (j *Job) Before(ctx context.Context, commit string) (bool, error) {
	all, err := j.q.others(ctx, j.Request.BuildRef())
	return slices.ContainsFunc(all, func(b other) bool {
		return b.ref == j.Request.FullRef() && b.commit == commit && b.Order < j.Request.Order
	}), err
}

// Overtaken is how many builds in a row were superseded, each by the commit of the next one, and the last by that of this
// request: as far as the last changes of records tell.
func (j *Job) Overtaken(ctx context.Context) (int, error) {
	r, most := j.Request, 0
	err := j.q.latelyWritten(ctx, func(e queue.Entry[messages.BuildRecord]) {
		b := &e.Value
		if b.State == messages.BuildStateSuperseded && b.Pipeline == r.Pipeline.Name && b.Ref == r.FullRef() && b.Head == r.Commit && b.Order < r.Order {
			most = max(most, b.Overtaken)
		}
	})
	return most, err
}

// Saw notes the commit that is at its head while another one is built, so that there will be a build of it.
func (j *Job) Saw(head string) { j.seen.Store(&head) }

// sawOther is the head that the worker saw in place of the request's commit, or "".
func (j *Job) sawOther() string {
	head := j.seen.Load()
	if head == nil || *head == j.Request.Commit || messages.CheckCommit(*head) != nil {
		return ""
	}
	return *head
}
