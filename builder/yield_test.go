package builder

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
)

// endless is a solver that builds until it is stopped, or told to go on.
func endless(goOn <-chan struct{}) *solver {
	return &solver{solve: func(ctx context.Context, b Build) (Solved, error) {
		if err := b.Pinned(ctx, nil, nil); err != nil {
			return Solved{}, err
		}
		select {
		case <-goOn:
			return Solved{Image: image}, nil
		case <-ctx.Done():
			return Solved{}, context.Cause(ctx)
		}
	}}
}

// TestAPushEndsTheBuildThatRuns, where the pipeline says so and the repository shows another head.
func TestAPushEndsTheBuildThatRuns(t *testing.T) {
	broken := errors.New("the host is away")
	for name, test := range map[string]struct {
		change func(*messages.BuildRequested)
		host   func(since time.Duration) (string, error) // what it shows, so long after the push; nil: the push
		known  *history
		by     string        // what the build is superseded by, or ""
		within time.Duration // of the push
	}{
		"as the host says":                {by: other, within: 0},
		"pushed to again meanwhile":       {host: func(time.Duration) (string, error) { return third, nil }, by: third},
		"of a host that is away":          {host: func(time.Duration) (string, error) { return "", broken }, by: other},
		"of a branch that was deleted":    {host: func(time.Duration) (string, error) { return "", git.ErrNoBranch }, by: other},
		"of a mirror with an older head":  {host: func(time.Duration) (string, error) { return third, nil }, known: &history{before: third}, by: other},
		"with a mirror a moment late":     {host: late(1500 * time.Millisecond), by: other, within: 2 * time.Second},
		"after two in a row":              {known: &history{overtaken: 2}, by: other},
		"but not after three in a row":    {known: &history{overtaken: 3}},
		"but not by one that came late":   {host: late(time.Hour)},
		"but not without cancel_running":  {change: func(r *messages.BuildRequested) { r.Pipeline.CancelRunning = false }},
		"but not what a person asked for": {change: func(r *messages.BuildRequested) { r.Cause = messages.CausePerson }},
		"but not a retry":                 {change: func(r *messages.BuildRequested) { r.Cause = messages.CauseRetry }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				goOn := make(chan struct{})
				b := newBuilder(t, endless(goOn))
				var pushed time.Time
				b.head = func(context.Context, git.Remote) (string, string, error) {
					switch {
					case pushed.IsZero():
						return commit, commit, nil
					case test.host == nil:
						return other, other, nil
					}
					head, err := test.host(time.Since(pushed))
					return head, head, err
				}
				r, known := request(), test.known
				r.Pipeline.CancelRunning = true
				if test.change != nil {
					test.change(r)
				}
				if known == nil {
					known = &history{}
				}
				known.pushes = make(chan string, 1)
				said, ended := new(record), make(chan messages.Payload)
				go func() {
					p, err := b.build(t.Context(), task{request: r, attempt: 1, out: said, branch: known})
					if err != nil {
						t.Error(err)
					}
					ended <- p
				}()
				synctest.Wait()
				pushed = time.Now()
				known.pushes <- other
				var got messages.Payload
				select {
				case got = <-ended:
				case <-time.After(time.Minute):
					close(goOn)
					got = <-ended
				}
				s, superseded := got.(*messages.BuildSuperseded)
				switch took := time.Since(pushed); {
				case test.by == "" && superseded:
					t.Errorf("it ended: %+v", s)
				case test.by == "":
				case !superseded || s.Head != test.by || !s.Running || s.Overtaken != known.overtaken+1:
					t.Errorf("it ended as %+v", got)
				case took > test.within:
					t.Errorf("it ended %s after the push", took)
				}
			})
		})
	}
}

// late is a host that shows a push only so much later.
func late(by time.Duration) func(time.Duration) (string, error) {
	return func(since time.Duration) (string, error) {
		if since < by {
			return commit, nil
		}
		return other, nil
	}
}

// TestWhatBecomesOfABuildWhoseBranchHasAnotherHead long after it was asked for.
func TestWhatBecomesOfABuildWhoseBranchHasAnotherHead(t *testing.T) {
	queue := func(r *messages.BuildRequested) { r.Pipeline.Concurrency = messages.ConcurrencyQueue }
	for name, test := range map[string]struct {
		change     func(*messages.BuildRequested)
		known      history
		age        time.Duration
		behind     time.Duration // so long the host may show what it does
		superseded bool
		later      time.Duration // it is looked at again after that
		saw        string        // and the head that is noted
	}{
		"superseded":                             {superseded: true, age: time.Minute},
		"after three in a row it is built":       {known: history{overtaken: 3}, age: time.Minute, saw: other},
		"a push of a queue is built":             {change: queue, age: time.Minute, saw: other},
		"a found head of a queue is superseded":  {change: func(r *messages.BuildRequested) { queue(r); r.Reason = &messages.Reason{Kind: messages.ReasonPoll} }, age: time.Minute, superseded: true},
		"a person's is built":                    {change: func(r *messages.BuildRequested) { r.Cause = messages.CausePerson }, age: time.Minute, saw: other},
		"a tag that was moved is superseded":     {change: func(r *messages.BuildRequested) { r.Ref = ""; r.SetRef("refs/tags/v1") }, age: time.Minute, superseded: true},
		"an older head is waited out":            {behind: git.LagBehind, age: time.Minute, later: 20 * time.Second},
		"of a host that lacks the commit, too":   {known: history{before: other}, behind: git.LagWithout, age: 10 * time.Minute, later: 20 * time.Second},
		"what nobody told of is believed there":  {behind: git.LagWithout, age: time.Minute, superseded: true},
		"an older head is believed then":         {behind: git.LagBehind, age: 11 * time.Minute, superseded: true},
		"an older head doesn't keep a queue":     {change: queue, behind: git.LagBehind, age: time.Minute},
		"a queue waits for what isn't shown yet": {change: queue, age: 2 * time.Second, later: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBuilder(t, building(nil))
				b.head = func(context.Context, git.Remote) (string, string, error) { return other, other, nil }
				b.lag.behind = func(context.Context, git.Remote, string, string) time.Duration { return test.behind }
				r := request()
				if test.change != nil {
					test.change(r)
				}
				known := test.known
				p, err := b.build(t.Context(), task{request: r, attempt: 1, out: new(record), branch: &known,
					age: func(context.Context) (time.Duration, error) { return test.age, nil }})
				var later *builds.LaterError
				if errors.As(err, &later); test.later == 0 && err != nil || test.later != 0 && (later == nil || later.After != test.later) {
					t.Errorf("outcome %+v, %v", p, err)
				}
				if s, ok := p.(*messages.BuildSuperseded); ok != test.superseded || ok && (s.Head != other || s.Running) {
					t.Errorf("outcome %+v", p)
				}
				if known.saw != test.saw {
					t.Errorf("noted is %q", known.saw)
				}
				if later != nil && !strings.Contains(later.Error(), other) {
					t.Errorf("the error is %v", later)
				}
			})
		})
	}
}
