package builder

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/rs/zerolog"
	"pgregory.net/rapid"
)

// TestMain keeps the property test, whose every case has workers die and leases end, short; -rapid.checks asks for more.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		_ = flag.Set("rapid.checks", "10")
	}
	os.Exit(m.Run())
}

// fate is what becomes of one attempt.
type fate int

const (
	fateBuilt fate = iota
	fateUserFails
	fateKilledAtLook
	fateKilledInSolve
	fateKilledAtTag
	fateCount
)

// mirrorLag is how long a push isn't shown by a mirror.
const mirrorLag = 100 * time.Millisecond

// host is a git host, and what becomes of builds of its repository.
type host struct {
	mu    sync.Mutex
	heads map[string]string    // by full ref
	was   map[string]string    // before the last push
	shown map[string]time.Time // when mirrors show the last push
	fates []fate
	based map[string]uint64 // the order of the last request for a base's change, by full ref
	gate  chan struct{}
}

func (h *host) push(ref, commit string, lag time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.was[ref], h.heads[ref], h.shown[ref] = h.heads[ref], commit, time.Now().Add(lag)
}

func (h *host) look(r git.Remote) (commit, object string, err error) {
	ref := messages.BranchRefs + r.Branch
	if r.Tag != "" {
		ref = messages.TagRefs + r.Tag
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	head := h.heads[ref]
	if time.Now().Before(h.shown[ref]) {
		head = h.was[ref]
	}
	if head == "" {
		return "", "", git.ErrNoBranch
	}
	return head, head, nil
}

func (h *host) fate() fate {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.fates) == 0 {
		return fateBuilt
	}
	f := h.fates[0]
	h.fates = h.fates[1:]
	return f
}

// work has a builder work until it is killed or stop is called.
func (h *host) work(t *testing.T, s *queuetest.Server, space messages.Space) (dead <-chan struct{}, stop func()) {
	p := s.Proxy(t)
	c := s.Connect(t, queuetest.Through(p), func(o *queue.Options) { o.Space = space })
	died := make(chan struct{})
	kill := sync.OnceFunc(func() { p.Cut(); close(died) })
	solver := &solver{tag: func(context.Context, messages.Image, string) error {
		if h.fate() == fateKilledAtTag {
			kill()
		}
		return nil
	}}
	solver.updates = func(messages.Image) (Updates, error) { return Updates{Manager: "apt"}, nil }
	solver.solve = func(ctx context.Context, b Build) (Solved, error) {
		if err := b.Resolved(ctx, nil); err != nil {
			return Solved{}, err
		}
		if err := b.Pinned(ctx, nil, nil); err != nil {
			return Solved{}, err
		}
		f := h.fate()
		if f == fateKilledInSolve {
			kill()
		}
		select {
		case <-h.gate:
		case <-ctx.Done():
			return Solved{}, context.Cause(ctx)
		}
		if f == fateUserFails {
			return Solved{}, &FailedError{messages.Failure{Class: messages.FailureUser, Reason: "no"}}
		}
		return Solved{Image: image}, nil
	}
	b, err := New(Config{Queue: builds.New(c), Solver: solver, Name: "b-" + messages.NewID(), Slots: 2, AckWait: time.Second, Logger: zerolog.Nop()})
	queuetest.Must(t, err)
	b.lag = lag{usual: 2 * mirrorLag, first: 20 * time.Millisecond, most: 50 * time.Millisecond, behind: neverBehind}
	b.head = func(_ context.Context, r git.Remote) (string, string, error) {
		if h.fate() == fateKilledAtLook {
			kill()
		}
		return h.look(r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = b.Run(ctx) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return died, stop
}

// alive keeps n of something going: what dies is replaced.
func alive(n int, start func() (dead <-chan struct{}, stop func())) (stop func()) {
	over := make(chan struct{})
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for {
				dead, stop := start()
				select {
				case <-dead:
				case <-over:
					stop()
					return
				}
			}
		})
	}
	return func() { close(over); all.Wait() }
}

// sweep has a producer sweep until it is killed, where it is to be right after it asked for a build, or stop is called.
func sweep(t *testing.T, s *queuetest.Server, space messages.Space, mortal bool) (dead <-chan struct{}, stop func()) {
	p := s.Proxy(t)
	asked := p.Sent(space.RequestSubject("p"))
	q := builds.New(s.Connect(t, queuetest.Through(p), func(o *queue.Options) { o.Space = space }))
	ctx, cancel := context.WithCancel(t.Context())
	died, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for queue.Pause(ctx, 20*time.Millisecond) {
			_, _ = q.Sweep(ctx)
		}
	}()
	if mortal {
		go func() {
			select {
			case <-asked:
				p.Cut()
				close(died)
			case <-ctx.Done():
			}
		}()
	}
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return died, stop
}

// push is a push whose webhook may be on its way.
type push struct{ ref, commit string }

func (p push) request(pipeline messages.Pipeline) *messages.BuildRequested {
	r := &messages.BuildRequested{
		Build: messages.NewBuildID("p"), Pipeline: pipeline, Commit: p.commit, Cause: messages.CausePush, Received: time.Now().UTC(),
	}
	r.SetRef(p.ref)
	return r
}

// TestTheLastHeadIsBuiltWhateverHappened has pushes, some of them forced back and forth, whose webhooks are lost, doubled and
// reordered, builders and producers that die, and mirrors that lag. Once the last thing that is told is of the last head, or has a
// builder look at it, the newest build of each branch that came to anything is of its head, and is no older than the last change of
// what it builds on.
func TestTheLastHeadIsBuiltWhateverHappened(t *testing.T) {
	s := queuetest.Start(t)
	rapid.Check(t, func(r *rapid.T) { theLastHeadIsBuilt(t, r, s) })
}

func theLastHeadIsBuilt(t *testing.T, r *rapid.T, s *queuetest.Server) {
	space, err := messages.NewSpace("p" + messages.NewID())
	queuetest.Must(t, err)
	c := s.Client(t, func(o *queue.Options) { o.Space = space })
	q := builds.New(c)
	pipeline := request().Pipeline
	mode := rapid.SampledFrom([]string{"latest", "cancel running", "queue"}).Draw(r, "mode")
	pipeline.CancelRunning = mode == "cancel running"
	if mode == "queue" {
		pipeline.Concurrency = messages.ConcurrencyQueue
	}
	refs := []string{"refs/heads/main"}
	if rapid.Bool().Draw(r, "several") {
		refs = append(refs, "refs/heads/release/1", "refs/tags/v1")
		pipeline.Branches, pipeline.Tags = []string{"main", "release/*"}, []string{"v*"}
	}
	h := &host{heads: map[string]string{}, was: map[string]string{}, shown: map[string]time.Time{}, based: map[string]uint64{}, gate: make(chan struct{}, 1000)}
	for _, f := range rapid.SliceOfN(rapid.IntRange(0, int(fateCount)-1), 0, 20).Draw(r, "fates") {
		h.fates = append(h.fates, fate(f))
	}
	sweeps := []func(){
		alive(1, func() (<-chan struct{}, func()) { return sweep(t, s, space, true) }),
		alive(1, func() (<-chan struct{}, func()) { return sweep(t, s, space, false) }),
	}
	stopBuilders := alive(rapid.IntRange(1, 2).Draw(r, "builders"), func() (<-chan struct{}, func()) { return h.work(t, s, space) })

	tell := func(p push) builds.Accepted {
		a, err := q.Request(queuetest.Within(t), p.request(pipeline), "")
		queuetest.Must(t, err)
		return a
	}
	poll := func(ref string) {
		p := push{ref, h.heads[ref]}.request(pipeline)
		p.Reason = &messages.Reason{Kind: messages.ReasonPoll}
		_, err := q.RequestHead(queuetest.Within(t), p, "")
		queuetest.Must(t, err)
	}
	rebase := func(ref string) { // a mirror may show what is no head
		head, _, err := h.look(git.Remote{Branch: strings.TrimPrefix(ref, messages.BranchRefs)})
		queuetest.Must(t, err)
		p := push{ref, head}.request(pipeline)
		p.Reason = &messages.Reason{Kind: messages.ReasonBase, Link: messages.NewID()}
		a, err := q.Request(queuetest.Within(t), p, "")
		queuetest.Must(t, err)
		h.based[ref] = a.Order
	}
	scheduled := func(ref string) { // as a base's change, but that it is built only if something has changed
		head, _, err := h.look(git.Remote{Branch: strings.TrimPrefix(ref, messages.BranchRefs)})
		queuetest.Must(t, err)
		p := push{ref, head}.request(pipeline)
		p.Reason, p.OnlyIf = &messages.Reason{Kind: messages.ReasonSchedule, Link: messages.NewID()}, messages.OnlyIfChanged
		_, err = q.Request(queuetest.Within(t), p, "")
		queuetest.Must(t, err)
	}
	aRef, aCommit := rapid.SampledFrom(refs), rapid.IntRange(1, 4)
	var hooks []push // on their way, or told already
	for _, ref := range refs {
		h.push(ref, strings.Repeat("1", 40), 0)
	}
	for range rapid.IntRange(3, 20).Draw(r, "steps") {
		switch step := rapid.SampledFrom([]string{"push", "push", "push", "hook", "hook", "hook", "hook", "lose", "poll", "base", "schedule", "schedule", "build", "build", "idle"}).Draw(r, "step"); step {
		case "push":
			p := push{aRef.Draw(r, "ref"), strings.Repeat(fmt.Sprint(aCommit.Draw(r, "commit")), 40)}
			h.push(p.ref, p.commit, time.Duration(rapid.IntRange(0, 1).Draw(r, "mirror lags"))*mirrorLag)
			hooks = append(hooks, p)
		case "hook", "lose":
			if len(hooks) == 0 {
				continue
			}
			i := rapid.IntRange(0, len(hooks)-1).Draw(r, "which")
			if step == "hook" {
				tell(hooks[i])
			}
			if step == "lose" || !rapid.Bool().Draw(r, "again") {
				hooks = append(hooks[:i:i], hooks[i+1:]...)
			}
		case "poll":
			if ref := aRef.Draw(r, "ref"); strings.HasPrefix(ref, messages.BranchRefs) {
				poll(ref)
			}
		case "schedule":
			if ref := aRef.Draw(r, "ref"); strings.HasPrefix(ref, messages.BranchRefs) {
				scheduled(ref)
			}
		case "base":
			if ref := aRef.Draw(r, "ref"); strings.HasPrefix(ref, messages.BranchRefs) {
				rebase(ref)
			}
		case "build":
			h.gate <- struct{}{}
		case "idle":
			idle(t, c, h.gate)
		}
	}
	for _, ref := range refs {
		last := push{ref, h.heads[ref]}
		switch how := rapid.SampledFrom([]string{"told", "an older one told", "polled"}).Draw(r, "at last"); {
		case how == "polled" && strings.HasPrefix(ref, messages.BranchRefs):
			poll(ref)
		case how == "an older one told" && mode != "queue":
			if a := tell(push{ref, strings.Repeat("9", 40)}); a.Duplicate {
				tell(last)
			}
		default:
			tell(last)
		}
	}
	close(h.gate)
	idle(t, c, nil)
	stopBuilders()
	for _, stop := range sweeps {
		stop()
	}
	h.check(t, r, c, refs, mode)
}

// idleMost bounds how long builds may go on, where each is tried again and again.
const idleMost = 5 * queuetest.TestTime

// idle waits until nothing is left to do, and lets builds go on for that. On a busy machine leases end too soon, and
// attempts are repeated: that takes time, and is no fault as long as something happens.
func idle(t *testing.T, c *queue.Client, gate chan<- struct{}) {
	began := time.Now()
	for left := unfinished(t, c); left != ""; left = unfinished(t, c) {
		if time.Since(began) > idleMost {
			t.Fatalf("not within %v: all builds have ended and are followed; left are\n%s", idleMost, left)
		}
		queuetest.Eventually(t, "something happens to\n"+left, func() bool {
			select {
			case gate <- struct{}{}:
			default:
			}
			return unfinished(t, c) != left
		})
	}
}

// unfinished lists the builds that have not ended, or are not followed, each with how far it is; "" for none.
func unfinished(t *testing.T, c *queue.Client) string {
	var left []string
	list, err := store.Builds(c).List(t.Context())
	queuetest.Must(t, err)
	for _, e := range list {
		if !e.Value.Finished() {
			left = append(left, fmt.Sprintf("%s: %s, attempt %d, revision %d", e.Key, e.Value.State, e.Value.Attempt, e.Revision))
		}
	}
	asked, err := builds.New(c).Asked(t.Context()) // what follows a build is asked for before that is noted
	queuetest.Must(t, err)
	for _, a := range asked {
		if a.Record == nil || !a.Record.Value.Finished() {
			left = append(left, a.Build+": asked for")
		}
	}
	slices.Sort(left)
	return strings.Join(left, "\n")
}

// check looks at the newest build of each ref that came to something, and at what was superseded.
func (h *host) check(t *testing.T, r *rapid.T, c *queue.Client, refs []string, mode string) {
	list, err := store.Builds(c).List(t.Context())
	queuetest.Must(t, err)
	newest := map[string]messages.BuildRecord{}
	var all []string
	for _, e := range list {
		b := e.Value
		all = append(all, fmt.Sprintf("%d %s %s: %s, head %.4s, overtaken %d, followed by %s", b.Order, b.Ref, b.Commit[:4], b.State, b.Head, b.Overtaken, b.FollowedBy))
		switch {
		case b.State == messages.BuildStateSucceeded || b.State == messages.BuildStateFailed:
			if b.Order >= newest[b.Ref].Order {
				newest[b.Ref] = b
			}
		case mode == "queue" && strings.HasPrefix(b.Ref, messages.BranchRefs) && b.Why().Kind == messages.ReasonPush:
			r.Errorf("build %s of commit %.4s ended as %s", b.Build, b.Commit, b.State)
		case b.Overtaken > overtakenMost:
			r.Errorf("%d builds were superseded in a row", b.Overtaken)
		}
	}
	for _, ref := range refs {
		if got := newest[ref].Commit; got != h.heads[ref] {
			r.Errorf("the head of %s is %.4s, built last was %.4s", ref, h.heads[ref], got)
		}
		if got := newest[ref].Order; got < h.based[ref] {
			r.Errorf("%s was built last for request %d, before what it builds on changed at %d", ref, got, h.based[ref])
		}
	}
	if r.Failed() {
		r.Logf("mode %s, builds:\n%s", mode, strings.Join(all, "\n"))
	}
}
