package builds

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/metrics"
	"github.com/fenceline/fenceline/tracing"
)

// attempt is a claimed request on its way to an outcome.
type attempt struct {
	w        *worker
	d        *queue.Delivery
	request  *messages.BuildRequested
	envelope messages.Envelope
	claim    string // random; the record carries it while the attempt is the build's
	record   messages.BuildRecord
	revision uint64
	silent   string    // the worker that it was taken over from, which went silent; or ""
	began    time.Time // of its work
	job      *Job      // once it works
	became   string    // what became of it, for metrics; "" where it was none
	waited   time.Time // since when nobody had the build; zero where somebody had
	span     *tracing.Span
}

// handle brings one request as far as it can: to its outcome, back to the stream, or, where
// the lease is lost, nowhere. It alone sends verdicts.
func (w *worker) handle(ctx context.Context, d *queue.Delivery) {
	log := w.Logger.With().Uint64("request", d.Sequence).Int("delivery", d.Deliveries).Logger()
	e, r, err := w.read(d)
	if err != nil {
		log.Error().Err(err).Msg("request can't be read: kept as a dead letter")
		w.Metrics.Taken()(metrics.AttemptBuried)
		if err := d.Bury(err.Error()); err != nil {
			log.Error().Err(err).Msg("request not settled")
		}
		return
	}
	a := &attempt{w: w, d: d, request: r, envelope: e, claim: messages.NewID() + messages.NewID()}
	log = tracing.Logged(log.With().Str("build", r.Build), messages.TraceID(e.Traceparent)).Logger()
	free := w.Metrics.Taken()
	defer func() { free(a.became) }()
	err = a.inTurn()
	if err == nil {
		err = a.run(ctx)
	}
	switch {
	case errors.Is(err, errNotItsTurn):
	case err == nil:
	case errors.Is(err, queue.ErrLeaseLost):
		a.became = metrics.AttemptLost
		log.Warn().Msg("lease lost: left to another worker")
	default:
		a.became = metrics.AttemptLost
		log.Error().Err(err).Msg("request not settled: left to its redelivery")
	}
}

// read decodes a request, and refuses one that stands on another's subject.
func (w *worker) read(d *queue.Delivery) (messages.Envelope, *messages.BuildRequested, error) {
	m, err := w.q.c.Decode(d.Stored)
	if err != nil {
		return messages.Envelope{}, nil, err
	}
	r, ok := m.Payload.(*messages.BuildRequested)
	if !ok || m.Newer != "" {
		return m.Envelope, nil, fmt.Errorf("%w: it is no build request of a version that this worker reads", messages.ErrMalformed)
	}
	return m.Envelope, r, nil
}

func (a *attempt) run(ctx context.Context) (err error) {
	building, end := context.WithCancelCause(a.d.Context())
	defer end(nil)
	switch err := a.d.Insist(a.take); {
	case errors.Is(err, queue.ErrTooLarge):
		return a.bury(fmt.Sprintf("the record of build %s can't be written: %v", a.request.Build, err))
	case errors.Is(err, messages.ErrMalformed): // nor by anybody later
		return a.bury(fmt.Sprintf("the record of build %s can't be read: %v: send the request again, which makes a new build of it", a.request.Build, err))
	case err != nil:
		return fmt.Errorf("claiming build %s: %w", a.request.Build, err)
	case a.record.Ended():
		return a.announce()
	case a.silent != "" && a.record.Failing.Std() >= a.request.Pipeline.RetriesFor():
		return a.exhausted(fmt.Errorf("the workers that tried it ended without a word; the last was %s", a.silent))
	}
	a.w.enter(a.request.Build, runningBuild{a.claim, a.revision, end})
	defer a.w.leave(a.request.Build, a.claim)
	// What changed between the claim and now was not watched.
	if err := a.d.Insist(func() error { return a.w.lookAt(a.d.Context(), a.request.Build, false) }); err != nil {
		return fmt.Errorf("checking the claim of build %s: %w", a.request.Build, err)
	}
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(a.w.Grace, func() { end(ErrShutdown) }) })
	defer stop()
	building = a.trace(building)
	defer func() { a.traced(err) }()
	a.job = &Job{Request: a.request, Envelope: a.envelope, Attempt: a.record.Attempt, Wanted: a.record.WantedBy != "", d: a.d, q: a.w.q}
	a.job.Envelope.Traceparent = a.traceparent()
	a.began = time.Now()
	a.heard()
	a.started(building, a.job)
	result, err := a.w.Build(building, a.job)
	a.unheard()
	a.w.leave(a.request.Build, a.claim)
	return a.ended(building, result, err)
}

// bury keeps the request as a dead letter.
func (a *attempt) bury(reason string) error {
	a.became = metrics.AttemptBuried
	return a.d.Bury(reason)
}

// take claims the build in its record, or finds it ended. A redelivery may always take
// over from the worker that has it.
func (a *attempt) take() error {
	if a.d.Deliveries == 1 {
		err := a.create()
		if !errors.Is(err, queue.ErrExists) {
			return err
		}
	}
	e, err := a.w.q.records.Current(a.d.Context(), a.request.Build)
	if errors.Is(err, queue.ErrNotFound) {
		return a.create()
	}
	if err != nil {
		return err
	}
	a.record, a.revision = e.Value, e.Revision
	if a.record.Ended() || a.record.Claim == a.claim {
		return nil
	}
	// Still ours after the record was read: then nobody who got the request later has
	// claimed before.
	if err := a.d.Beat(); err != nil {
		return err
	}
	a.silent = ""
	return a.write(func(r *messages.BuildRecord) error {
		a.waited = a.record.Updated
		if r.Attempt > 0 && !r.Waiting {
			a.waited = time.Time{}
			// It is no failure, but time that the build was tried in: one whose workers all die of it ends, too.
			a.silent = r.Worker
			r.Failing += messages.Duration(a.d.AckWait())
		}
		r.Attempt++
		*r = a.fill(*r)
		return nil
	})
}

func (a *attempt) fill(r messages.BuildRecord) messages.BuildRecord {
	r.BuildRef, r.State = a.request.BuildRef(), messages.BuildStateRunning
	r.Worker, r.Claim, r.Request, r.Deliveries, r.Waiting = a.w.Worker, a.claim, a.d.Sequence, a.d.Deliveries, false
	r.Commit, r.Ref, r.Received = a.request.Commit, a.request.FullRef(), a.request.Received
	r.Context, r.Started, r.Took = a.request.Context, time.Now().UTC(), 0
	r.Trace = messages.TraceID(a.envelope.Traceparent)
	r.Cause, r.Reason, r.By, r.Matched = a.request.Cause, a.request.Reason, a.request.RequestedBy, a.request.Matched
	r.OnlyIf = a.request.OnlyIf
	asked := a.d.Message
	r.Asked = &asked
	return r
}

func (a *attempt) create() error {
	r := a.fill(messages.BuildRecord{Attempt: 1})
	a.waited = a.envelope.Time
	r.Updated = time.Now().UTC()
	if _, err := a.w.q.slim(&r); err != nil {
		return err
	}
	revision, err := a.w.q.records.Create(a.d.Context(), a.request.Build, r)
	if err == nil {
		a.record, a.revision = r, revision
		a.w.Metrics.Waited(time.Since(a.d.Time))
	}
	return err
}

// write changes the record by revision, as long as the lease holds. Where it was moved the
// change is made again to what it is now; but an end that somebody else wrote becomes the
// attempt's own, and a claim of somebody else is the end of ours.
func (a *attempt) write(change func(*messages.BuildRecord) error) error {
	for {
		next := a.record
		if err := change(&next); err != nil {
			return err
		}
		next.Updated = time.Now().UTC()
		if _, err := a.w.q.slim(&next); err != nil {
			return err
		}
		if err := a.d.Insist(func() error { return a.put(next) }); !errors.Is(err, queue.ErrMoved) {
			return err
		}
	}
}

// put writes next. queue.ErrMoved tells that it was not written, and that the attempt's record is
// now what was found instead.
func (a *attempt) put(next messages.BuildRecord) error {
	revision, err := a.w.q.records.Update(a.d.Context(), a.request.Build, next, a.revision)
	if err == nil {
		a.record, a.revision = next, revision
		return nil
	}
	if !errors.Is(err, queue.ErrMoved) {
		return err
	}
	e, err := a.w.q.records.Current(a.d.Context(), a.request.Build)
	if err != nil {
		return err
	}
	over := e.Value.Ended()
	if !over && e.Value.Claim != a.claim {
		return queue.ErrLeaseLost
	}
	a.record, a.revision = e.Value, e.Revision
	if over || equal(e.Value, next) { // an own write whose answer was lost
		return nil
	}
	return queue.ErrMoved
}

// equal tells whether two records are written alike.
func equal(a, b messages.BuildRecord) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// started tells of the claim. That it can't is no reason not to build.
func (a *attempt) started(ctx context.Context, j *Job) {
	err := j.Event(ctx, &messages.BuildStarted{
		BuildRef: a.request.BuildRef(), Attempt: j.Attempt, Worker: a.w.Worker, Commit: a.request.Commit, Reason: a.request.Reason,
	})
	if err != nil {
		a.w.Logger.Warn().Err(err).Str("build", a.request.Build).Msg("start not announced")
	}
	j.Log(messages.BuildLog{Step: messages.StepClaimed, Text: fmt.Sprintf("claimed by %s, attempt %d", a.w.Worker, j.Attempt)})
}

// ended turns what Build returned into an outcome or another try.
func (a *attempt) ended(ctx context.Context, result messages.Payload, err error) error {
	cause := context.Cause(ctx)
	var later *LaterError
	switch {
	case errors.Is(cause, queue.ErrLeaseLost):
		return queue.ErrLeaseLost
	case errors.Is(cause, ErrCancelled):
		return a.cancelled()
	case err == nil:
		if err = a.outcome(result); err == nil {
			return nil
		}
		if errors.Is(err, errWanted) {
			return a.handBack(errWanted.Error(), 0)
		}
		if errors.Is(err, queue.ErrLeaseLost) || a.record.Ended() {
			return err
		}
	case errors.As(err, &later):
		return a.handBack(later.Error(), later.After)
	case errors.Is(cause, ErrShutdown):
		return a.handBack(fmt.Sprintf("worker %s was stopped", a.w.Worker), 0)
	}
	failing := a.failing()
	if queue.IsPermanent(err) || a.request.Pipeline.GivesUp(a.record.Failures+1, failing) {
		return a.exhausted(err)
	}
	return a.tryAgain(err, failing)
}

// failing is how long the build has been tried again, with this attempt's time unless it is the first
// that failed.
func (a *attempt) failing() time.Duration {
	if a.record.Failures == 0 {
		return a.record.Failing.Std()
	}
	return a.record.Failing.Std() + time.Since(a.began)
}

// cancelled finishes the announcement of a build that a person ended.
func (a *attempt) cancelled() error {
	err := a.d.Insist(func() error {
		e, err := a.w.q.records.Current(a.d.Context(), a.request.Build)
		a.record, a.revision = e.Value, e.Revision
		return err
	})
	if err != nil {
		return err
	}
	a.count()
	return a.announce()
}

// count counts how the build ended.
func (a *attempt) count() {
	a.became = metrics.AttemptEnded
	class := ""
	if a.record.Failure != nil {
		class = string(a.record.Failure.Class)
	}
	a.w.Metrics.Ended(a.record.Pipeline, string(a.record.State), class)
}

// handBack gives the build to whichever worker, after a pause. It is no failure.
func (a *attempt) handBack(why string, after time.Duration) error {
	err := a.write(func(r *messages.BuildRecord) error {
		r.Returned++
		r.Waiting = true
		r.LastError = brief(why)
		return nil
	})
	if err != nil {
		return err
	}
	if a.record.Ended() {
		a.count()
		return a.announce()
	}
	a.became = metrics.AttemptReturned
	return a.d.Return(after)
}

// tryAgain keeps the error and gives the build back for another attempt, after a pause.
func (a *attempt) tryAgain(cause error, failing time.Duration) error {
	delay := queue.Backoff(a.w.RetryDelay, a.record.Failures+1)
	err := a.write(func(r *messages.BuildRecord) error {
		r.Failures++
		r.Failing = messages.Duration(failing + delay)
		r.Waiting = true
		r.LastError = brief(cause.Error())
		return nil
	})
	if err != nil {
		return err
	}
	if a.record.Ended() {
		a.count()
		return a.announce()
	}
	a.became = metrics.AttemptFailed
	a.w.Logger.Warn().Err(cause).Str("build", a.request.Build).Int("attempt", a.record.Attempt).Dur("again_in", delay).Msg("attempt failed")
	return a.d.Return(delay)
}

// exhausted ends a build that infrastructure kept failing, and keeps its request among the
// dead letters, where there is room, for a person to send again.
func (a *attempt) exhausted(cause error) error {
	if err := a.d.KeepLetter(cause.Error()); errors.Is(err, queue.ErrFull) {
		a.w.Logger.Error().Err(err).Str("build", a.request.Build).Msg("no dead letter of the request is kept: its record keeps it for fenceline retry")
	} else if err != nil {
		return err
	}
	return a.outcome(&messages.BuildFailed{
		Attempt: a.record.Attempt, Commit: a.request.Commit,
		Failure: messages.Failure{
			Class: messages.FailureInfrastructure, Reason: brief(cause.Error()),
			Fix: "mend the cause, then run: fenceline retry " + a.request.Build,
		},
	})
}
