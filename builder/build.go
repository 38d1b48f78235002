package builder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fenceline/fenceline/builder/hooks"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/tracing"
)

// task is one attempt at a build, as the queue hands it out.
type task struct {
	request *messages.BuildRequested
	attempt int
	trace   string                                       // the ID of its trace
	anyway  bool                                         // a person wants the commit, whether it is a head or not
	age     func(context.Context) (time.Duration, error) // of the request; nil for an old one
	branch  branch
	out     interface {
		Event(ctx context.Context, p messages.Payload) error
		Log(l messages.BuildLog)
	}
}

// running is a task at work.
type running struct {
	task
	b    *Builder
	head *head
	send func(p messages.Payload) // publishes an event on the build's way; build waits for it

	mu     sync.Mutex // held while the solver's news is taken in
	solved bool       // the solver has returned: what it says after that is ignored
	since  time.Time  // when the last step was reached
	report *hooks.Report

	changed string // what has changed, where it was to be built only then
}

// head is the look-up of a branch's head.
type head struct {
	done   chan struct{} // closed once the rest is known
	err    error         // what keeps the source from being built
	commit string        // what is built: that of the request, or of the annotated tag whose object it names
}

// errTimeout is the cause with which a build's context ends at its pipeline's timeout.
var errTimeout = errors.New("the pipeline's timeout has passed")

// eventTimeout bounds the publishing of an event on a build's way.
const eventTimeout = 10 * time.Second

// errSolved is told to a solver that comes with news after it has returned.
var errSolved = errors.New("the build has ended")

// build does one attempt and says how the build ends, or what in the infrastructure failed.
func (b *Builder) build(ctx context.Context, t task) (messages.Payload, error) {
	a := &running{task: t, b: b, since: time.Now()}
	// Events are published beside the solver's work, and waited for, so that all of them come
	// before the build's end.
	var sent sync.WaitGroup
	defer sent.Wait()
	a.send = func(p messages.Payload) { sent.Go(func() { a.event(ctx, p) }) }
	log := tracing.Logged(b.config.Logger.With().Str("build", t.request.Build).Int("attempt", t.attempt), t.trace).Logger()
	log.Info().Str("commit", t.request.Commit).Msg("building")
	bounded, cancel := context.WithTimeoutCause(ctx, t.request.Pipeline.Timeout.Std(), errTimeout)
	defer cancel()
	solved, err := a.solve(bounded)
	if err == nil {
		a.step(messages.StepPushed, solved.Image.String())
		b.config.Metrics.Pushed(solved.Bytes)
		log.Info().Stringer("image", solved.Image).Msg("built")
		return a.ready(solved), nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	p, err := a.outcome(ctx, err)
	log.Info().Err(err).Interface("outcome", p).Msg("no image")
	return p, err
}

// solve prepares the source and has it built.
func (a *running) solve(ctx context.Context) (Solved, error) {
	r := a.request
	if err := a.b.room.now(); err != nil {
		return Solved{}, &FailedError{messages.Failure{Class: messages.FailureInfrastructure, Reason: err.Error(), Fix: "make room on the builder's disk"}}
	}
	token, secrets, err := a.b.secrets(&r.Pipeline)
	if err != nil {
		return Solved{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil) // ends the look-up of the head, too
	a.b.room.watch(ctx, r.Build, cancel)
	a.begin(ctx, token, cancel)
	defer a.yield(ctx, token, cancel)()
	if !token.IsZero() || r.Tag != "" {
		// A token that the host refuses is told of once, and a tag's commit has to be found.
		if err := a.wanted(ctx); err != nil {
			return Solved{}, err
		}
	}
	dir := ""
	if r.Context != "" {
		fetching, span := tracing.Start(ctx, "fetch context")
		unpacked, err := a.b.fetch(fetching, r.Context)
		span.End(err)
		if err != nil {
			return Solved{}, err
		}
		defer func() {
			if err := unpacked.Remove(); err != nil {
				a.b.config.Logger.Warn().Err(err).Str("build", r.Build).Msg("can't remove the unpacked context")
			}
		}()
		dir = unpacked.Path
	}
	build := Build{
		Pipeline: &r.Pipeline, Commit: a.head.commit, Context: dir, Token: token, Secrets: secrets, NoCache: r.NoCache,
		Log:    func(l messages.BuildLog) { _ = a.news(func() { a.out.Log(l) }) },
		Pinned: a.pinned, Check: a.check,
	}
	build.Resolved = func(ctx context.Context, bases []messages.PinnedBase) error { return a.resolved(ctx, build, bases) }
	solved, err := a.b.config.Solver.Solve(ctx, build)
	a.mu.Lock()
	a.solved = true
	a.mu.Unlock()
	switch {
	case err == nil:
		return solved, nil
	case ctx.Err() != nil:
		return Solved{}, context.Cause(ctx)
	}
	// A commit that is no longer wanted may fail for just that reason.
	if headErr := a.wanted(ctx); headErr != nil {
		return Solved{}, headErr
	}
	return Solved{}, err
}

// begin starts to look up the branch's head, beside the pinning of the bases. A source that
// may not be built ends the build with the reason: the solver may wait for the same silent host.
func (a *running) begin(ctx context.Context, token messages.Secret, end context.CancelCauseFunc) {
	h := &head{done: make(chan struct{}), commit: a.request.Commit}
	a.head = h
	go func() {
		if a.request.Context == "" {
			ctx, span := tracing.Start(ctx, "look up head", tracing.Calling)
			h.err = a.look(ctx, token)
			span.End(h.err)
		}
		close(h.done)
		if h.err != nil {
			end(h.err)
		}
	}()
}

// news calls take with what the solver says, or returns errSolved once the solver has returned: one
// that hung may still call from what was left behind.
func (a *running) news(take func()) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.solved {
		return errSolved
	}
	take()
	return nil
}

// wanted waits until it is known whether the source may be built. It may be asked again.
func (a *running) wanted(ctx context.Context) error {
	select {
	case <-a.head.done:
		return a.head.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pinned is told the base images, before anything is built from them.
func (a *running) pinned(ctx context.Context, bases, unfetched []messages.PinnedBase) error {
	if err := a.wanted(ctx); err != nil {
		return err
	}
	pinned := &messages.BasePinned{BuildRef: a.request.BuildRef(), Attempt: a.attempt, Bases: bases, Unfetched: unfetched, Fleets: a.request.Pipeline.Fleets}
	var names []string
	for _, b := range pinned.All() {
		names = append(names, b.Image.String())
	}
	return a.news(func() {
		a.step(messages.StepPinned, strings.Join(names, "\n"))
		a.send(pinned)
	})
}

// event publishes an event. The build doesn't depend on it.
func (a *running) event(ctx context.Context, p messages.Payload) {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	if err := a.out.Event(ctx, p); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		a.b.config.Logger.Warn().Err(err).Str("build", a.request.Build).Str("type", string(p.MessageType())).Msg("event not sent")
	}
}

// check is shown the built image before it is pushed.
func (a *running) check(ctx context.Context, image fs.FS) (err error) {
	_, span := tracing.Start(ctx, "check hooks")
	defer func() { span.End(err) }()
	err = a.news(func() {
		if a.report == nil {
			a.step(messages.StepBuilt, "")
		}
	})
	if err != nil {
		return err
	}
	report, err := hooks.Check(image, a.request.Pipeline.HooksDir, hookUsers(&a.request.Pipeline)...)
	if err != nil {
		return err
	}
	if late := a.news(func() { err = a.checked(report) }); late != nil {
		return late
	}
	return err
}

// hookUsers are who runs an image's hooks in the pipeline's fleets, "" where a fleet says nothing.
func hookUsers(p *messages.Pipeline) []string {
	users := []string{}
	for _, f := range p.Fleets {
		if user := f.Policy.Trial.User; !slices.Contains(users, user) {
			users = append(users, user)
		}
	}
	return users
}

// checked takes in the gate's report, and refuses the image if the gate does.
func (a *running) checked(report *hooks.Report) error {
	a.report = report
	for _, f := range report.Findings {
		text := f.String()
		if f.Warning {
			text = "warning: " + text
		}
		a.out.Log(messages.BuildLog{Text: text, Error: !f.Warning})
	}
	if report.Rejected() {
		return &rejectedError{report}
	}
	text := "no admin hooks"
	if len(report.Hooks) > 0 {
		text = strings.Join(report.Hooks, " ")
	}
	a.step(messages.StepHooksChecked, text)
	return nil
}

// stepNames are the steps that lead to one, as metrics have them.
var stepNames = map[messages.Step]string{
	messages.StepPinned: "pin", messages.StepBuilt: "build", messages.StepHooksChecked: "check", messages.StepPushed: "push",
}

func (a *running) step(s messages.Step, text string) {
	now := time.Now()
	a.b.config.Metrics.Step(stepNames[s], now.Sub(a.since))
	a.since = now
	a.out.Log(messages.BuildLog{Step: s, Text: text})
}

// secrets reads the files that a pipeline names.
func (b *Builder) secrets(p *messages.Pipeline) (token messages.Secret, secrets map[string]messages.Secret, err error) {
	if p.TokenName != "" {
		if token, err = b.secret(p.TokenName); err != nil {
			return token, nil, err
		}
		if token, err = token.Word(); err != nil {
			return token, nil, b.unread(p.TokenName, err)
		}
	}
	secrets = make(map[string]messages.Secret)
	for _, name := range p.Secrets {
		if secrets[name], err = b.secret(name); err != nil {
			return token, nil, err
		}
	}
	return token, secrets, nil
}

// secret reads a secret that a pipeline names. Another builder may have what this one lacks.
func (b *Builder) secret(name string) (messages.Secret, error) {
	s, err := messages.NamedSecret(b.config.SecretsDir, name)
	if err != nil {
		return s, b.unread(name, err)
	}
	return s, nil
}

// unread says that a secret can't be had here.
func (b *Builder) unread(name string, err error) error {
	return &FailedError{messages.Failure{
		Class:  messages.FailureInfrastructure,
		Reason: fmt.Sprintf("builder %s can't read the secret %q: %v", b.config.Name, name, err),
		Fix:    "put a file of that name into its folder of secrets (secrets-dir)",
	}}
}
