package builder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
)

// branch is what the queue knows of the branch or tag whose head is built.
type branch interface {
	// Later is the commit of the last push to it that was asked for since, or "".
	Later(ctx context.Context) (string, error)
	// Pushes calls each with the commits of all pushes that are asked for since, until ctx ends.
	Pushes(ctx context.Context, each func(commit string)) error
	// Before tells whether a commit was asked for as its head before.
	Before(ctx context.Context, commit string) (bool, error)
	// Overtaken is how many builds in a row were superseded by the next one's commit, up to this one.
	Overtaken(ctx context.Context) (int, error)
	// Saw notes the head that was seen while another commit is built.
	Saw(head string)
	// LastImage is what its newest image was made from.
	LastImage(ctx context.Context) (*builds.LastImage, error)
	// Changed notes what has changed since that, for people, and the digest of the packages that have updates.
	Changed(text, updates string)
}

var _ branch = (*builds.Job)(nil)

// overtakenMost is how many builds in a row are superseded at most, each by the commit of the next. The one after them is
// built to its end, wherever its branch is by then: else a branch that is pushed to faster than it is built would never be.
const overtakenMost = 3

// supersededError ends a build whose commit is no longer its branch's head.
type supersededError struct {
	head      string
	overtaken int  // see messages.BuildRecord
	running   bool // it was pushed to while the build ran
}

func (e *supersededError) Error() string { return "superseded by " + e.head }

// look asks the repository for the branch's head, or the tag's commit. It also makes sure that the credential may
// read the repository. A commit
// that a person named, or had built again in its old order, need not be the head.
func (a *running) look(ctx context.Context, token messages.Secret) error {
	asked := a.anyway || !a.request.FollowsHead()
	remote := a.remote(token)
	began := time.Now()
	head, object, err := a.b.head(ctx, remote)
	gone := errors.Is(err, git.ErrNoBranch) || errors.Is(err, git.ErrNoTag)
	switch {
	case err == nil && a.request.Tag != "" && object == a.request.Commit:
		a.head.commit = head
		return nil
	case err == nil && head != a.request.Commit && !asked:
		return a.moved(ctx, remote, head, began)
	case err == nil || asked && gone:
		return nil
	case gone:
		head, err := a.believed(ctx, nil, "", began, brokenSource(err))
		if head != "" {
			return a.superseded(ctx, head)
		}
		return err
	case errors.Is(err, git.ErrDenied) || errors.Is(err, git.ErrNoRepository) || errors.Is(err, git.ErrNotAllowed):
		return brokenSource(err)
	}
	return &FailedError{messages.Failure{Class: messages.FailureInfrastructure, Reason: err.Error(), Fix: "check that builders can reach the repository"}}
}

func (a *running) remote(token messages.Secret) git.Remote {
	p := &a.request.Pipeline
	return git.Remote{URL: p.Repository, Branch: p.Branch, Tag: a.request.Tag, Token: token, Rules: a.b.config.Rules}
}

func brokenSource(err error) error {
	return &FailedError{messages.Failure{Class: messages.FailureUser, Reason: err.Error(), Fix: "correct the pipeline, or the repository"}}
}

// moved says what becomes of a build whose commit is not what the repository shows at the head.
func (a *running) moved(ctx context.Context, at git.Remote, shown string, looked time.Time) error {
	behind := func() time.Duration {
		within := a.b.lag.behind(ctx, at, a.request.Commit, shown)
		if within > git.LagBehind && !a.before(ctx, shown) { // it lacks the commit, and nothing says that what it shows is older
			return 0
		}
		return within
	}
	head, err := a.believed(ctx, behind, shown, looked, nil)
	var later *builds.LaterError
	switch {
	case errors.As(err, &later) && later.After > a.b.lag.most && !a.request.Yields():
		return nil // it is built anyway, and what is shown is old
	case err != nil:
		return err
	}
	return a.superseded(ctx, head)
}

// superseded is the end of the build of a commit whose branch has another head; or nil where it is built all the same,
// and the head noted for a build of its own.
func (a *running) superseded(ctx context.Context, head string) error {
	if a.branch == nil {
		return &supersededError{head: head}
	}
	if a.request.Yields() {
		if over := a.overtake(ctx, head); over != nil {
			return over
		}
	}
	a.branch.Saw(head)
	return nil
}

// overtake is the end of the build by another head, or nil where too many before it ended so.
func (a *running) overtake(ctx context.Context, head string) *supersededError {
	n, err := a.branch.Overtaken(ctx)
	if err == nil && n >= overtakenMost && a.request.Tag == "" {
		a.out.Log(messages.BuildLog{Text: fmt.Sprintf("%s is the branch's head, but this commit is built: %d builds before it were superseded in a row", head, n)})
		return nil
	}
	return &supersededError{head: head, overtaken: n + 1}
}

// lag is how far a host, or a mirror of it, may be behind what it has told of: it shows a push some seconds later. What it
// shows for a request that is no older than usual is looked at again, after pauses from first to most; for an older one as
// long as what it shows is older than the commit, or it doesn't have that, after pauses of outagePause.
type lag struct {
	usual       time.Duration
	first, most time.Duration
	outagePause time.Duration
	// behind tells for how long the host may be behind, as git.Lag does; never longer than git.LagWithout.
	behind func(ctx context.Context, r git.Remote, told, shown string) time.Duration
}

func usualLag() lag {
	return lag{usual: 15 * time.Second, first: time.Second, most: 5 * time.Second, outagePause: 20 * time.Second, behind: git.Lag}
}

// believed is the head that the repository showed in place of the commit at a time, or otherwise where it shows none: where that can be
// believed, and else an error that has it looked at again. Where the branch was pushed to again, that
// push takes this one's place, whatever is shown. Behind, where it is not nil, tells for how long the repository may be behind.
func (a *running) believed(ctx context.Context, behind func() time.Duration, shown string, looked time.Time, otherwise error) (head string, err error) {
	if a.age == nil || a.branch == nil {
		return shown, otherwise
	}
	age, err := a.age(ctx)
	if err != nil {
		return shown, otherwise
	}
	age -= time.Since(looked) // the look was then
	if age > a.b.lag.usual && (behind == nil || age > git.LagWithout) {
		return shown, otherwise
	}
	if commit, err := a.branch.Later(ctx); err == nil && commit != "" && commit != a.request.Commit {
		return commit, nil
	}
	after := min(max(age, a.b.lag.first), a.b.lag.most)
	if age > a.b.lag.usual {
		if age > behind() {
			return shown, otherwise
		}
		after = a.b.lag.outagePause
	}
	if shown == "" {
		shown = "no such branch or tag"
	}
	return "", &builds.LaterError{
		Err:   fmt.Errorf("the repository shows %s where %s was pushed since: it is asked again", shown, a.request.Commit),
		After: after,
	}
}

// before tells whether a commit is known to have been the head before the request's was.
func (a *running) before(ctx context.Context, commit string) bool {
	if commit == "" {
		return false
	}
	old, err := a.branch.Before(ctx, commit)
	return err == nil && old
}
