package builder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

var (
	commit = strings.Repeat("a1", 20)
	other  = strings.Repeat("b2", 20)
	third  = strings.Repeat("c3", 20)
	image  = messages.Image("registry.example.com/image@sha256:" + strings.Repeat("0", 64))
)

// solver is a Solver of functions.
type solver struct {
	solve func(context.Context, Build) (Solved, error)
	tag   func(context.Context, messages.Image, string) error
	ready func(context.Context) error
	room  func() // makes some

	updates func(messages.Image) (Updates, error)
}

func (s *solver) Solve(ctx context.Context, b Build) (Solved, error) { return s.solve(ctx, b) }
func (s *solver) Tag(ctx context.Context, i messages.Image, t string) error {
	return s.tag(ctx, i, t)
}
func (s *solver) Updates(_ context.Context, _ Build, i messages.Image) (Updates, error) {
	return s.updates(i)
}
func (s *solver) MakeRoom(context.Context) error {
	if s.room != nil {
		s.room()
	}
	return nil
}
func (s *solver) Ready(ctx context.Context) error {
	if s.ready == nil {
		return nil
	}
	return s.ready(ctx)
}

// source is a Queue that has build contexts.
type source struct {
	contexts map[string][]byte
	newer    bool // later builds came to images
}

func (s *source) NewerImage(context.Context, *messages.BuildRecord) (bool, error) {
	return s.newer, nil
}

func (s *source) Consume(context.Context, builds.Work) error { return nil }
func (s *source) Ready(context.Context) error                { return nil }
func (s *source) GetContext(_ context.Context, name string) (io.ReadCloser, error) {
	b, ok := s.contexts[name]
	if !ok {
		return nil, fmt.Errorf("context %s: %w", name, queue.ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// record keeps what an attempt says.
type record struct {
	mu     sync.Mutex
	events []messages.Payload
	logs   []messages.BuildLog
}

func (r *record) Event(_ context.Context, p messages.Payload) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, p)
	return nil
}

func (r *record) Log(l messages.BuildLog) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logs = append(r.logs, l)
}

func (r *record) steps() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var s []string
	for _, l := range r.logs {
		if l.Step != "" {
			s = append(s, string(l.Step))
		}
	}
	return strings.Join(s, ", ")
}

func newBuilder(t *testing.T, s *solver) *Builder {
	t.Helper()
	b, err := New(Config{Queue: &source{}, Solver: s, Name: "b1", Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	b.head = func(context.Context, git.Remote) (string, string, error) { return commit, commit, nil }
	b.lag.behind = neverBehind
	return b
}

func neverBehind(context.Context, git.Remote, string, string) time.Duration { return 0 }

func request() *messages.BuildRequested {
	return &messages.BuildRequested{
		Build: "p-abc", Order: 7, Commit: commit, Ref: "refs/heads/main", Cause: messages.CausePush,
		Pipeline: messages.Pipeline{
			Name: "p", Repository: "https://git.example.com/p.git", Branch: "main", Dockerfile: "Dockerfile",
			Image: image.Name(), HooksDir: messages.DefaultHooksDir, Timeout: messages.Duration(time.Hour), Attempts: 3,
			Fleets: []messages.FleetTarget{{Fleet: "default", Policy: messages.DefaultPolicy()}},
		},
	}
}

// building is a solver that goes through a build of an image with these files.
func building(files fstest.MapFS) *solver {
	bases := []messages.PinnedBase{{Source: "base:1", Image: image}}
	return &solver{solve: func(ctx context.Context, b Build) (Solved, error) {
		if err := b.Pinned(ctx, bases, nil); err != nil {
			return Solved{}, err
		}
		if err := b.Check(ctx, files); err != nil {
			return Solved{}, fmt.Errorf("checking: %w", err)
		}
		return Solved{Image: image, Bases: bases, Bytes: 42}, nil
	}}
}

func TestABuildBecomesAnImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuilder(t, building(fstest.MapFS{"bin/sh": {Mode: 0o755}, "etc/stackato/hooks/pre-running": {Data: []byte("#!/bin/sh\nTOKEN=abcdefghijkl\n"), Mode: 0o755}}))
		out := new(record)
		p, err := b.build(t.Context(), task{request: request(), attempt: 1, out: out})
		if err != nil {
			t.Fatal(err)
		}
		ready, ok := p.(*messages.ImageReady)
		if !ok {
			t.Fatalf("outcome %+v", p)
		}
		if err := ready.Validate(); err != nil {
			t.Error(err)
		}
		if ready.Image != image || ready.Tag != commit[:12] || ready.Bytes != 42 || len(ready.Hooks) != 1 || len(ready.Warnings) != 1 || len(ready.Bases) != 1 || len(ready.Fleets) != 1 {
			t.Errorf("announcement %+v", ready)
		}
		if got, want := out.steps(), "base pinned, built, hooks checked, pushed"; got != want {
			t.Errorf("steps %s, want %s", got, want)
		}
		synctest.Wait()
		if len(out.events) != 1 || out.events[0].MessageType() != messages.TypeBasePinned {
			t.Errorf("events %+v", out.events)
		}
	})
}

// slow takes a while for events, and refuses them when their context has ended by then.
type slow struct{ record }

func (s *slow) Event(ctx context.Context, p messages.Payload) error {
	select {
	case <-time.After(time.Second):
		return s.record.Event(ctx, p)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestAQuickBuildsBasesAreAnnouncedBeforeItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(slow)
		if _, err := newBuilder(t, building(nil)).build(t.Context(), task{request: request(), attempt: 1, out: out}); err != nil {
			t.Fatal(err)
		}
		if len(out.events) != 1 || out.events[0].MessageType() != messages.TypeBasePinned {
			t.Errorf("events at the build's end: %+v", out.events)
		}
	})
}

func TestWhatASolverSaysAfterItReturned(t *testing.T) {
	said := make(chan error, 2)
	returned, finished := make(chan struct{}), make(chan struct{})
	b := newBuilder(t, &solver{solve: func(_ context.Context, build Build) (Solved, error) {
		go func() {
			defer close(finished)
			<-returned
			build.Log(messages.BuildLog{Text: "late"})
			said <- build.Pinned(context.Background(), nil, nil)
			said <- build.Check(context.Background(), fstest.MapFS{})
		}()
		return Solved{}, &FailedError{messages.Failure{Class: messages.FailureUser, Reason: "x", Fix: "y"}}
	}})
	out := new(record)
	_, err := b.build(t.Context(), task{request: request(), attempt: 1, out: out})
	close(returned)
	<-finished
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-said; !errors.Is(err, errSolved) {
			t.Errorf("late news is answered %v", err)
		}
	}
	if len(out.logs) != 1 || len(out.events) != 0 {
		t.Errorf("late news came through: %+v, %+v", out.logs, out.events)
	}
}

func TestABrokenHookEndsTheBuild(t *testing.T) {
	b := newBuilder(t, building(fstest.MapFS{"bin/sh": {Mode: 0o755}, "etc/stackato/hooks/pre-running": {Data: []byte("#!/bin/sh\nif true; then\n:\n"), Mode: 0o644}}))
	p, err := b.build(t.Context(), task{request: request(), attempt: 1, out: new(record)})
	failed, ok := p.(*messages.BuildFailed)
	if err != nil || !ok {
		t.Fatalf("outcome %+v, %v", p, err)
	}
	f := failed.Failure
	if f.Class != messages.FailureHooks || len(f.Findings) != 2 || f.Place != "/etc/stackato/hooks/pre-running" || !strings.Contains(f.Reason, "and 1 more") {
		t.Errorf("failure %+v", f)
	}
}

func TestWhetherTheCommitIsWanted(t *testing.T) {
	unreachable := fmt.Errorf("looking up: %w", git.ErrUnreachable)
	for name, c := range map[string]struct {
		wanted  bool // by a person, who named the commit of a push
		cause   messages.Cause
		named   bool // the request has no ref, as the commit was named
		head    string
		err     error
		outcome messages.Type // "" for an error
		class   messages.FailureClass
	}{
		"the head":           {cause: messages.CausePush, head: commit, outcome: messages.TypeImageReady},
		"no longer the head": {cause: messages.CausePush, head: other, outcome: messages.TypeBuildSuperseded},
		"no longer the head, which a person wants":   {wanted: true, cause: messages.CausePush, head: other, outcome: messages.TypeImageReady},
		"branch gone, and a person wants it":         {wanted: true, cause: messages.CausePush, err: git.ErrNoBranch, outcome: messages.TypeImageReady},
		"no longer the head, for a person":           {cause: messages.CausePerson, named: true, head: other, outcome: messages.TypeImageReady},
		"no longer the head that a person asked for": {cause: messages.CausePerson, head: other, outcome: messages.TypeBuildSuperseded},
		"still the head that a person asked for":     {cause: messages.CausePerson, head: commit, outcome: messages.TypeImageReady},
		"no longer the head, for a retry":            {cause: messages.CauseRetry, head: other, outcome: messages.TypeImageReady},
		"branch gone":                                {cause: messages.CausePush, err: git.ErrNoBranch, outcome: messages.TypeBuildFailed, class: messages.FailureUser},
		"branch gone, for a person":                  {cause: messages.CausePerson, named: true, err: git.ErrNoBranch, outcome: messages.TypeImageReady},
		"branch gone whose head a person asked for":  {cause: messages.CausePerson, err: git.ErrNoBranch, outcome: messages.TypeBuildFailed, class: messages.FailureUser},
		"access denied":                              {cause: messages.CausePush, err: git.ErrDenied, outcome: messages.TypeBuildFailed, class: messages.FailureUser},
		"access denied, for a person":                {cause: messages.CausePerson, err: git.ErrDenied, outcome: messages.TypeBuildFailed, class: messages.FailureUser},
		"repository gone":                            {cause: messages.CausePush, err: git.ErrNoRepository, outcome: messages.TypeBuildFailed, class: messages.FailureUser},
		"repository unreachable":                     {cause: messages.CausePush, err: unreachable},
		"repository unreachable, by person":          {cause: messages.CausePerson, err: unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBuilder(t, building(nil))
			b.head = func(context.Context, git.Remote) (string, string, error) { return c.head, c.head, c.err }
			r := request()
			r.Cause = c.cause
			if c.named {
				r.Ref = ""
			}
			p, err := b.build(t.Context(), task{request: r, attempt: 1, anyway: c.wanted, out: new(record)})
			var f *FailedError
			switch {
			case c.outcome == "":
				if !errors.As(err, &f) || f.Class != messages.FailureInfrastructure {
					t.Errorf("outcome %v, %v", p, err)
				}
			case err != nil || p.MessageType() != c.outcome:
				t.Errorf("outcome %T, %v, want %s", p, err, c.outcome)
			case c.class != "":
				if got := p.(*messages.BuildFailed).Failure; got.Class != c.class || got.Fix == "" {
					t.Errorf("failure %+v", got)
				}
			}
		})
	}
}

func TestATokenIsKeptFromTheSolverUntilTheRepositoryTookIt(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "reader"), []byte("tok"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBuilder(t, &solver{solve: func(context.Context, Build) (Solved, error) {
		t.Error("the solver was asked")
		return Solved{}, errors.New("asked")
	}})
	b.config.SecretsDir = dir
	b.head = func(context.Context, git.Remote) (string, string, error) { return "", "", git.ErrNoRepository }
	r := request()
	r.Pipeline.TokenName = "reader"
	if p, err := b.build(t.Context(), task{request: r, attempt: 1, out: new(record)}); err != nil || p.MessageType() != messages.TypeBuildFailed {
		t.Errorf("outcome %+v, %v", p, err)
	}
}

// TestATagIsBuiltAtItsCommit has tags that forges tell of by their commit, and annotated ones by their object.
func TestATagIsBuiltAtItsCommit(t *testing.T) {
	object := strings.Repeat("e", 40)
	for name, c := range map[string]struct {
		told, head, object string
		err                error
		cause              messages.Cause
		outcome            messages.Type
	}{
		"by its commit":                  {told: commit, head: commit, object: commit, outcome: messages.TypeImageReady},
		"an annotated one by its commit": {told: commit, head: commit, object: object, outcome: messages.TypeImageReady},
		"an annotated one by its object": {told: object, head: commit, object: object, outcome: messages.TypeImageReady},
		"moved since":                    {told: commit, head: other, object: object, outcome: messages.TypeBuildSuperseded},
		"moved since, for a retry":       {told: commit, head: other, object: object, cause: messages.CauseRetry, outcome: messages.TypeImageReady},
		"deleted since":                  {told: commit, err: git.ErrNoTag, outcome: messages.TypeBuildFailed},
	} {
		t.Run(name, func(t *testing.T) {
			s, solve := building(nil), building(nil).solve
			s.solve = func(ctx context.Context, b Build) (Solved, error) {
				if b.Commit != commit {
					t.Errorf("%s is built", b.Commit)
				}
				return solve(ctx, b)
			}
			b := newBuilder(t, s)
			b.head = func(_ context.Context, r git.Remote) (string, string, error) {
				if r.Tag != "v1" {
					t.Errorf("looked up is %+v", r)
				}
				return c.head, c.object, c.err
			}
			r := request()
			r.Ref, r.Commit = "", c.told
			r.SetRef("refs/tags/v1")
			if c.cause != "" {
				r.Cause = c.cause
			}
			if err := r.Validate(); err != nil {
				t.Fatal(err)
			}
			p, err := b.build(t.Context(), task{request: r, attempt: 1, out: new(record)})
			if err != nil || p.MessageType() != c.outcome {
				t.Fatalf("outcome %+v, %v", p, err)
			}
			switch p := p.(type) {
			case *messages.ImageReady:
				if p.Commit != commit || p.Ref != "refs/tags/v1" || p.Tag != commit[:12] {
					t.Errorf("announced %+v", p)
				}
			case *messages.BuildSuperseded:
				if p.Head != other {
					t.Errorf("superseded by %s", p.Head)
				}
			}
		})
	}
}

func TestASupersededCommitThatIsGone(t *testing.T) {
	b := newBuilder(t, &solver{solve: func(context.Context, Build) (Solved, error) {
		return Solved{}, &FailedError{messages.Failure{Class: messages.FailureUser, Reason: "the commit is gone"}}
	}})
	b.head = func(context.Context, git.Remote) (string, string, error) { return other, other, nil }
	p, err := b.build(t.Context(), task{request: request(), attempt: 1, out: new(record)})
	if s, ok := p.(*messages.BuildSuperseded); err != nil || !ok || s.Head != other {
		t.Errorf("outcome %+v, %v", p, err)
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"reader": "tok\n", "key": "line\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := building(nil)
	solve := s.solve
	s.solve = func(ctx context.Context, b Build) (Solved, error) {
		if b.Token.Reveal() != "tok" || b.Secrets["key"].Reveal() != "line\n" || len(b.Secrets) != 1 {
			t.Errorf("token %q, secret %q", b.Token.Reveal(), b.Secrets["key"].Reveal())
		}
		return solve(ctx, b)
	}
	b := newBuilder(t, s)
	b.config.SecretsDir = dir
	b.head = func(_ context.Context, r git.Remote) (string, string, error) {
		if r.Token.Reveal() != "tok" {
			t.Errorf("looked up with %q", r.Token.Reveal())
		}
		return commit, commit, nil
	}
	r := request()
	r.Pipeline.TokenName, r.Pipeline.Secrets = "reader", []string{"key"}
	if p, err := b.build(t.Context(), task{request: r, attempt: 1, out: new(record)}); err != nil || p.MessageType() != messages.TypeImageReady {
		t.Errorf("outcome %+v, %v", p, err)
	}
	for _, name := range []string{"none", "../" + filepath.Base(dir) + "/key", "/etc/passwd"} {
		r.Pipeline.Secrets = []string{name}
		_, err := b.build(t.Context(), task{request: r, attempt: 1, out: new(record)})
		var f *FailedError
		if !errors.As(err, &f) || f.Class != messages.FailureInfrastructure || !strings.Contains(err.Error(), "b1") {
			t.Errorf("secret %s: %v", name, err)
		}
	}
}

func TestAMirrorThatDoesNotShowThePushYetIsAskedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		cause messages.Cause
		head  string
		err   error
		age   time.Duration
		lag   time.Duration // for which the repository may be behind
		later bool
		push  string // that came later
		by    string // what it is superseded by
	}{
		"an older head":                                {messages.CausePush, other, nil, 2 * time.Second, 0, true, "", ""},
		"an older head, pushed to again":               {messages.CausePush, other, nil, 2 * time.Second, 0, false, third, third},
		"no branch yet, pushed to again":               {messages.CausePush, "", git.ErrNoBranch, 0, 0, false, third, third},
		"the same was pushed again":                    {messages.CausePush, other, nil, 2 * time.Second, 0, true, commit, ""},
		"another head for a while, then":               {messages.CausePush, other, nil, time.Minute, 0, false, "", other},
		"an older head, to a person":                   {messages.CausePerson, other, nil, 2 * time.Second, 0, true, "", ""},
		"an older head, and the host has the push":     {messages.CausePush, other, nil, time.Minute, git.LagBehind, true, "", ""},
		"an older head for long":                       {messages.CausePush, other, nil, 3 * time.Minute, git.LagBehind, false, "", other},
		"a mirror that is far behind":                  {messages.CausePush, other, nil, 50 * time.Minute, git.LagWithout, true, "", ""},
		"a mirror that is far behind, pushed to again": {messages.CausePush, other, nil, 50 * time.Minute, git.LagWithout, false, third, third},
		"a host that has forgotten the push":           {messages.CausePush, other, nil, 61 * time.Minute, git.LagWithout, false, "", other},
		"no branch yet":                                {messages.CausePush, "", git.ErrNoBranch, 0, 0, true, "", ""},
		"another head for a while":                     {messages.CausePush, other, nil, time.Minute, 0, false, "", ""},
		"no branch for a while":                        {messages.CausePush, "", git.ErrNoBranch, time.Minute, 0, false, "", ""},
		"the head":                                     {messages.CausePush, commit, nil, 0, 0, false, "", ""},
		"another head, of a retry":                     {messages.CauseRetry, other, nil, 0, 0, false, "", ""},
		"what the credential can't see":                {messages.CausePush, "", git.ErrDenied, 0, 0, false, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBuilder(t, building(nil))
			b.head = func(context.Context, git.Remote) (string, string, error) { return c.head, c.head, c.err }
			b.lag.behind = func(_ context.Context, _ git.Remote, told, shown string) time.Duration {
				if told != commit || shown != c.head {
					t.Errorf("asked is whether the host of %s is behind, which shows %s", told, shown)
				}
				return c.lag
			}
			r := request()
			r.Cause = c.cause
			p, err := b.build(t.Context(), task{request: r, attempt: 1, out: new(record), age: func(context.Context) (time.Duration, error) { return c.age, nil },
				branch: &history{later: c.push, before: other}})
			if s, ok := p.(*messages.BuildSuperseded); c.by != "" && (!ok || s.Head != c.by) {
				t.Errorf("outcome %+v, want superseded by %s", p, c.by)
			}
			var later *builds.LaterError
			if errors.As(err, &later) != c.later || !c.later && err != nil {
				t.Fatalf("outcome %+v, %v", p, err)
			}
			if c.later && (later.After < time.Second || later.After > 30*time.Second || !strings.Contains(err.Error(), commit)) {
				t.Errorf("it is asked again after %s: %v", later.After, err)
			}
		})
	}
}
