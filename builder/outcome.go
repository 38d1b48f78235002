package builder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/builder/hooks"
	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
)

// aliveTimeout is how long the solver may take to say that it was not it that hung.
const aliveTimeout = 2 * time.Second

// rejectedError ends a build whose image did not pass the gate.
type rejectedError struct{ report *hooks.Report }

func (e *rejectedError) Error() string { return "the hook gate refused the image" }

// ready is the announcement of a built image.
func (a *running) ready(s Solved) *messages.ImageReady {
	r := *a.request
	r.Commit = a.head.commit
	ready := &messages.ImageReady{
		BuildRef: r.BuildRef(), Image: s.Image, Tag: label(&r), MovingTag: r.Pipeline.MovingTag, Commit: r.Commit, Ref: r.FullRef(), Reason: r.Reason, HooksDir: r.Pipeline.HooksDir,
		Bases: s.Bases, Bytes: s.Bytes, Fleets: r.Pipeline.Fleets, Received: r.Received,
	}
	if a.changed != "" {
		why := r.Why()
		why.Changed = a.changed
		ready.Reason = &why
	}
	if a.report != nil {
		ready.Hooks, ready.Warnings = a.report.Hooks, a.report.Warnings()
	}
	return ready
}

// outcome says how a build ends that came to err, or returns what another attempt may mend.
func (a *running) outcome(ctx context.Context, err error) (messages.Payload, error) {
	var superseded *supersededError
	var unchanged *unchangedError
	var rejected *rejectedError
	var failed *FailedError
	var later *builds.LaterError
	switch {
	case errors.As(err, &later):
		a.out.Log(messages.BuildLog{Text: later.Error()})
		return nil, later
	case errors.As(err, &superseded):
		return &messages.BuildSuperseded{
			BuildRef: a.request.BuildRef(), Commit: a.request.Commit, Head: superseded.head,
			Overtaken: superseded.overtaken, Running: superseded.running,
		}, nil
	case errors.As(err, &unchanged):
		a.out.Log(messages.BuildLog{Text: unchanged.why})
		return &messages.BuildCancelled{BuildRef: a.request.BuildRef(), Unchanged: unchanged.why}, nil
	case errors.As(err, &rejected):
		return a.failed(rejection(rejected.report)), nil
	case errors.Is(err, errTimeout):
		failed = a.timedOut(ctx)
	case !errors.As(err, &failed):
		failed = &FailedError{messages.Failure{Class: messages.FailureInfrastructure, Reason: err.Error(), Fix: "look at the builder's log"}}
	}
	if failed.Class == messages.FailureInfrastructure {
		a.out.Log(messages.BuildLog{Text: failed.Error(), Error: true})
		return nil, failed
	}
	return a.failed(failed.Failure), nil
}

// timedOut tells a build that took too long from a solver, a repository or a registry that hung.
func (a *running) timedOut(ctx context.Context) *FailedError {
	limit := a.request.Pipeline.Timeout
	ctx, cancel := context.WithTimeout(ctx, aliveTimeout)
	defer cancel()
	f := messages.Failure{Class: messages.FailureInfrastructure}
	if err := a.alive(ctx); err != nil {
		f.Reason, f.Fix = fmt.Sprintf("the build ran into its timeout of %v, and its solver hangs: %v", limit, err), "restart buildkitd"
		return &FailedError{f}
	}
	switch {
	case a.wanted(ctx) != nil: // the look-up ended with the timeout
		f.Reason = fmt.Sprintf("the repository %s did not answer within the build's timeout of %v", a.request.Pipeline.Repository, limit)
		f.Fix = "check that builders can reach the repository"
	case a.report != nil && !a.report.Rejected():
		f.Reason = fmt.Sprintf("pushing to %s did not end within the build's timeout of %v", a.request.Pipeline.Image, limit)
		f.Fix = "see that the registry is up and takes what is pushed, or raise the pipeline's timeout"
	default:
		f.Class, f.Reason = messages.FailureTimeout, fmt.Sprintf("the build was not done within its timeout of %v", limit)
		f.Fix = "make the Dockerfile's steps quicker, or raise the pipeline's timeout"
	}
	return &FailedError{f}
}

// alive asks the solver whether it can be used, and takes no answer for a no.
func (a *running) alive(ctx context.Context) error {
	answer := make(chan error, 1)
	go func() { answer <- a.b.config.Solver.Ready(ctx) }()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no sign of life in %v", aliveTimeout)
	}
}

// failed is the end of a build without an image.
func (a *running) failed(f messages.Failure) *messages.BuildFailed {
	text := (&FailedError{f}).Error()
	if len(f.Findings) > 0 {
		text = "the hook gate refused the image, for the errors above" // each was told when it was found
	}
	if f.Detail != "" {
		text += "\n" + f.Detail
	}
	a.out.Log(messages.BuildLog{Text: text, Error: true})
	return &messages.BuildFailed{BuildRef: a.request.BuildRef(), Attempt: a.attempt, Commit: a.request.Commit, Failure: f}
}

// rejection is the failure of an image that the gate refused. Its place and cause are those
// of the first finding that is no warning.
func rejection(r *hooks.Report) messages.Failure {
	f := messages.Failure{Class: messages.FailureHooks, Findings: r.Findings}
	count := 0
	for _, finding := range r.Findings {
		if finding.Warning {
			continue
		}
		if count++; count > 1 {
			continue
		}
		f.Reason, f.Fix, f.Place = "the hook "+finding.Problem, finding.Fix, finding.File
		if finding.Line > 0 {
			f.Place = fmt.Sprintf("%s:%d", finding.File, finding.Line)
		}
	}
	if count > 1 {
		f.Reason += fmt.Sprintf(" (and %d more)", count-1)
	}
	return f
}
