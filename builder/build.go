package builder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/fenceline/fenceline/builder/hooks"
	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// attempt is one attempt at a build.
type attempt struct {
	b      *Builder
	job    *queue.Job
	report *hooks.Report // of the built image, once it was checked
	head   <-chan error  // the answer about the branch's head, once
	known  error         // that answer
	once   sync.Once
}

// errSuperseded ends an attempt whose commit is no longer the head of its branch.
type errSuperseded struct{ head string }

func (e errSuperseded) Error() string { return "superseded by " + e.head }

// errRejected ends an attempt whose image the hook gate refused.
var errRejected = errors.New("the hook gate refused the image")

// errTimeout ends an attempt that took longer than its pipeline allows.
var errTimeout = errors.New("the pipeline's timeout has passed")

// build does one attempt. It returns how the build ended, or an error of infrastructure, with
// which it is tried again.
func (b *Builder) build(ctx context.Context, j *queue.Job) (messages.Payload, error) {
	p := &j.Request.Pipeline
	ctx, cancel := context.WithTimeoutCause(ctx, p.Timeout.Std(), errTimeout)
	defer cancel()
	a := &attempt{b: b, job: j}
	solved, err := a.solve(ctx)
	if err != nil {
		return a.failed(ctx, err)
	}
	a.step(messages.StepPushed, string(solved.Image))
	r := j.Request
	return &messages.ImageReady{
		BuildRef: r.BuildRef(), Image: solved.Image, Tag: tag(r), Commit: r.Commit, Ref: r.Ref, HooksDir: p.HooksDir,
		Hooks: a.report.Hooks, Bases: solved.Bases, Bytes: solved.Bytes, Fleets: p.Fleets,
		Warnings: a.report.Warnings(), Received: r.Received,
	}, nil
}

// tag is the label for people: the commit's first 12 digits, or the build for a context.
func tag(r *messages.BuildRequested) string {
	if r.Commit == "" {
		return r.Build
	}
	return r.Commit[:12]
}

func (a *attempt) step(s messages.Step, text string) {
	a.job.Log(messages.BuildLog{Step: s, Text: text})
}

func (a *attempt) solve(ctx context.Context) (Solved, error) {
	r := a.job.Request
	p := &r.Pipeline
	b := Build{Pipeline: p, Commit: r.Commit, Log: a.job.Log, Pinned: a.pinned, Check: a.check}
	var err error
	if b.Token, err = a.b.secret(p.TokenName); err != nil {
		return Solved{}, err
	}
	if b.Secrets, err = a.b.secrets(p.Secrets); err != nil {
		return Solved{}, err
	}
	if r.Context != "" {
		dir, err := a.b.fetch(ctx, r.Context)
		if err != nil {
			return Solved{}, err
		}
		defer os.RemoveAll(dir)
		b.Context = dir
	}
	a.askHead(ctx, b.Token)
	return a.b.Solver.Solve(ctx, b)
}

// askHead begins to look up the head of the branch, beside the pinning of the bases.
func (a *attempt) askHead(ctx context.Context, token messages.Secret) {
	answer := make(chan error, 1)
	a.head = answer
	r := a.job.Request
	if r.Context != "" || r.Cause != messages.CausePush && token.IsZero() {
		answer <- nil
		return
	}
	go func() {
		head, err := git.Head(ctx, git.Remote{URL: r.Pipeline.Repository, Branch: r.Pipeline.Branch, Token: token})
		if err == nil && head != r.Commit && r.Cause == messages.CausePush {
			err = errSuperseded{head}
		}
		answer <- err
	}()
}

// checkHead waits for the answer about the branch's head. A person's request needs the
// repository's permission only, not the head.
func (a *attempt) checkHead() error {
	a.once.Do(func() { a.known = <-a.head })
	if a.job.Request.Cause != messages.CausePush && errors.Is(a.known, git.ErrNoBranch) {
		return nil
	}
	return a.known
}

// pinned tells of the bases, once it is known that the commit may and should be built.
func (a *attempt) pinned(ctx context.Context, bases []messages.PinnedBase) error {
	if err := a.checkHead(); err != nil {
		return err
	}
	r := a.job.Request
	e := &messages.BasePinned{BuildRef: r.BuildRef(), Attempt: a.job.Attempt, Bases: bases, Fleets: r.Pipeline.Fleets}
	if err := a.job.Event(ctx, e); err != nil {
		return fmt.Errorf("telling of the pinned bases: %w", err)
	}
	var names []string
	for _, b := range bases {
		names = append(names, string(b.Image))
	}
	a.step(messages.StepPinned, strings.Join(names, "\n"))
	return nil
}

// check is the hook gate on the built image.
func (a *attempt) check(_ context.Context, image fs.FS) error {
	a.step(messages.StepBuilt, "")
	report, err := hooks.Check(image, a.job.Request.Pipeline.HooksDir)
	if err != nil {
		return err
	}
	a.report = report
	var text []string
	for _, f := range report.Findings {
		text = append(text, f.String())
	}
	if report.Rejected() {
		a.job.Log(messages.BuildLog{Text: strings.Join(text, "\n"), Error: true})
		return errRejected
	}
	a.step(messages.StepHooksChecked, strings.Join(text, "\n"))
	return nil
}

// failed turns what ended an attempt into the end of the build, or into an error with which
// it is tried again.
func (a *attempt) failed(ctx context.Context, err error) (messages.Payload, error) {
	// A failed source often shows in the solve first: the repository knows why.
	if head := a.headIfKnown(); head != nil && ctx.Err() == nil {
		err = head
	}
	var superseded errSuperseded
	var known *FailedError
	switch {
	case errors.Is(context.Cause(ctx), errTimeout):
		return a.end(messages.Failure{
			Class:  messages.FailureTimeout,
			Reason: fmt.Sprintf("the build took longer than the %s that its pipeline allows", a.job.Request.Pipeline.Timeout),
			Fix:    "make the build quicker, or raise the pipeline's timeout",
		}), nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.As(err, &superseded):
		r := a.job.Request
		return &messages.BuildSuperseded{BuildRef: r.BuildRef(), Commit: r.Commit, Head: superseded.head}, nil
	case errors.Is(err, errRejected):
		return a.end(rejection(a.report)), nil
	case errors.Is(err, git.ErrDenied), errors.Is(err, git.ErrNoRepository), errors.Is(err, git.ErrNoBranch):
		return a.end(messages.Failure{
			Class: messages.FailureUser, Reason: err.Error(), Fix: "mend the pipeline's repository, branch or repository_token",
		}), nil
	case errors.As(err, &known) && known.Class != messages.FailureInfrastructure:
		return a.end(known.Failure), nil
	}
	return nil, err
}

// headIfKnown is what is known about the head without waiting for it.
func (a *attempt) headIfKnown() error {
	if a.head == nil {
		return nil
	}
	a.once.Do(func() {
		select {
		case a.known = <-a.head:
		default:
		}
	})
	return a.known
}

// rejection is the failure of an image whose hooks were refused. It is placed at the first
// finding that refused it.
func rejection(r *hooks.Report) messages.Failure {
	f := messages.Failure{
		Class: messages.FailureHooks, Findings: r.Findings, Reason: "the image's admin hooks have errors",
		Fix: "mend the hooks and push again",
	}
	for _, x := range r.Findings {
		if x.Warning {
			continue
		}
		f.Place = x.File
		if x.Line > 0 {
			f.Place = fmt.Sprintf("%s:%d", x.File, x.Line)
		}
		f.Reason, f.Fix = x.Problem, x.Fix
		break
	}
	return f
}

func (a *attempt) end(f messages.Failure) messages.Payload {
	r := a.job.Request
	return &messages.BuildFailed{BuildRef: r.BuildRef(), Attempt: a.job.Attempt, Commit: r.Commit, Failure: f}
}

// secret reads a secret by its name; the zero value for none.
func (b *Builder) secret(name string) (messages.Secret, error) {
	if name == "" {
		return messages.Secret{}, nil
	}
	content, err := os.ReadFile(filepath.Join(b.SecretsDir, name))
	if b.SecretsDir == "" || errors.Is(err, fs.ErrNotExist) {
		return messages.Secret{}, &FailedError{messages.Failure{
			Class:  messages.FailureInfrastructure,
			Reason: fmt.Sprintf("builder %s has no secret %q, which the pipeline names", b.Name, name),
			Fix:    fmt.Sprintf("put it into a file of that name in the builder's --secrets-dir (now %q)", b.SecretsDir),
		}}
	}
	if err != nil {
		return messages.Secret{}, fmt.Errorf("reading secret %s: %w", name, err)
	}
	return messages.NewSecret(strings.TrimRight(string(content), "\r\n")), nil
}

func (b *Builder) secrets(names []string) (map[string]messages.Secret, error) {
	out := make(map[string]messages.Secret, len(names))
	for _, n := range names {
		s, err := b.secret(n)
		if err != nil {
			return nil, err
		}
		out[n] = s
	}
	return out, nil
}
