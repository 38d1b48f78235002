package producer

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/tracing"
)

const (
	// storeTimeout leaves time to answer within the ten seconds that GitHub and GitLab wait.
	storeTimeout = 8 * time.Second
	retrySoon    = 5 * time.Second
	retryLater   = 60 * time.Second
)

// store stores all requests, and accepts only when each is known to be stored. When one is
// not, the sender is asked to send again: those that are stored are duplicates then.
func (p *Producer) store(r *http.Request, requests []*messages.BuildRequested) ([]acceptedBuild, *refusal) {
	// A sender that hangs up does not undo what it asked for.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), p.storeTimeout)
	defer cancel()
	trace := noteOf(ctx).traceparent
	all := make([]acceptedBuild, len(requests))
	failures := make([]error, len(requests))
	one := func(i int) {
		q := requests[i]
		a, err := p.queue.Request(ctx, q, trace)
		all[i] = accepted(q, a)
		failures[i] = err
	}
	var wg sync.WaitGroup
	for i := range requests[1:] {
		wg.Go(func() { one(i + 1) })
	}
	one(0)
	wg.Wait()
	if err := errors.Join(failures...); err != nil {
		tracing.Logged(p.log.Error().Err(err), messages.TraceID(trace)).Msg("storing build requests")
		if errors.Is(err, queue.ErrFull) {
			return nil, refuse(http.StatusServiceUnavailable, "the queue of build requests is full: nothing is lost if this is sent again once builders have caught up, or the stream's limit is raised").after(retryLater)
		}
		return nil, refuse(http.StatusServiceUnavailable, "the build request could not be stored, the queue (NATS) does not take it now: send it again").after(retrySoon)
	}
	return all, nil
}

// accepted is what became of a request, in an answer.
func accepted(q *messages.BuildRequested, a builds.Accepted) acceptedBuild {
	return acceptedBuild{
		Build: a.Build, Order: a.Order, Pipeline: q.Pipeline.Name, Ref: q.FullRef(), Commit: q.Commit, Matched: q.Matched, Reason: answered(q.Why()),
		Duplicate: a.Duplicate, Ended: string(a.Ended), Repeats: a.Repeats,
	}
}
