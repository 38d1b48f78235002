package producer

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"golang.org/x/sync/semaphore"
)

// A pipeline's head is built again when what its last build was made from names another image now. What it was made from is
// known from what builds pinned, never guessed, and what names another image from the registry alone: whatever else is told
// only has it asked sooner. Nothing is remembered here that records don't have: a producer that starts compares what was
// pinned with what registries show, and so asks for what another left unasked.

// Registry tells which image a tag names now. known is the digest that it named before, or "".
type Registry interface {
	Digest(ctx context.Context, source, known string) (string, error)
}

// Bases is what it takes to follow what pipelines build on.
type Bases struct {
	Builds   *builds.Queue
	Looks    *queue.Records[messages.BaseLook]
	Registry Registry
}

const (
	basesAtOnce    = 4                // looks, loads and requests at one time, beside those that notifications lead to
	baseFirstPause = 5 * time.Second  // after what failed, the first time
	baseMostPause  = 10 * time.Minute // the longest
	baseFresh      = 10 * time.Second // how long what a registry said counts as said now
	baseGap        = time.Second      // between two looks at a base that are not on its own time
)

// baseFollower follows what the pipelines in force build on.
type baseFollower struct {
	*Producer
	Bases
	wake  chan struct{}
	turns *semaphore.Weighted

	mu        sync.Mutex
	hears     bool       // what builds pin from here on, or can't for now: what was built on is read after that began
	of        *Pipelines // those that pipelines are of
	pipelines map[string]*followedPipeline
	sources   map[string]*followedSource
	resting   map[string]time.Time // registries that want to be left alone, until when
	seen      map[string]builtImage
	graph     *builtGraph     // of what is known; nil where that has changed
	circles   map[string]bool // told of
}

// builtImage is an image that a pipeline came to, declared here or not, and what it was made from.
type builtImage struct {
	repository string
	bases      []messages.PinnedBase
}

// followedPipeline is what is known of a pipeline whose bases are followed.
type followedPipeline struct {
	declared *declared
	loaded   bool
	heard    int    // how often a build told what it is made from, or may have
	order    uint64 // of the newest build that did
	bases    []messages.PinnedBase
	asked    map[string]string // the digest of each source that a rebuild was asked for

	// Changes that no rebuild was asked for: when the first and the last were seen, and when one is asked for. Zero for none.
	first, last, fire time.Time
	outstanding       map[string]string
	askedAt           time.Time // when the last rebuild was asked for
	accepted          *acceptedBuild
	pause             time.Duration
	busy              bool

	turn sync.Mutex // of asking for a rebuild
}

// followedSource is a base that pipelines follow, and what is known of it.
type followedSource struct {
	name     string
	tag      pushedTag       // what a registry calls it
	users    map[string]bool // pipelines
	digest   string          // that its registry showed; "" where nobody has looked
	revision uint64          // of its record, as seen last
	read     bool            // whether there is one was looked for
	must     bool            // it is to be looked at whatever others saw
	seen     time.Time       // when it was asked for here
	due      time.Time
	failures int
	busy     bool

	turn sync.Mutex // of asking for it
}

func newBaseFollower(p *Producer, b Bases) *baseFollower {
	return &baseFollower{
		Producer: p, Bases: b, wake: make(chan struct{}, 1), turns: semaphore.NewWeighted(basesAtOnce),
		pipelines: map[string]*followedPipeline{}, sources: map[string]*followedSource{}, resting: map[string]time.Time{},
		seen: map[string]builtImage{}, circles: map[string]bool{},
	}
}

// run follows until ctx ends.
func (b *baseFollower) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { b.hear(ctx) })
	for ctx.Err() == nil {
		wait := time.NewTimer(time.Until(b.step(ctx, &all)))
		select {
		case <-ctx.Done():
		case <-b.wake:
		case <-wait.C:
		}
		wait.Stop()
	}
}

// changed has what is due looked at again.
func (b *baseFollower) changed() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// hear takes in what builds are made from, as they tell it.
func (b *baseFollower) hear(ctx context.Context) {
	for ctx.Err() == nil {
		err := b.Builds.FollowBases(ctx, b.forget, b.pinned)
		if ctx.Err() == nil {
			b.log.Warn().Err(err).Msg("what builds are made from is not heard of: it is tried again")
			b.mu.Lock()
			b.hears = true
			b.mu.Unlock()
			b.changed()
			queue.Pause(ctx, baseFirstPause)
		}
	}
}

// forget has what every pipeline was built on read anew: what was told until now may have been missed.
func (b *baseFollower) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hears = true
	for _, p := range b.pipelines {
		p.loaded, p.fire = false, time.Time{}
		p.heard++ // a load under way may have missed it too
	}
	b.changed()
}

// pinned takes in what a build is made from. An image may be what others are built on, by a tag that names it now.
func (b *baseFollower) pinned(by builds.Pinned) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.pipelines[by.Pipeline]; p != nil {
		if p.heard++; p.loaded && by.Order >= p.order {
			p.order = by.Order
			b.setBases(p, by.Bases)
			b.judge(p)
		}
	}
	if by.Image != "" {
		repository := repositoryOf(by.Image.Name())
		b.seen[by.Pipeline], b.graph = builtImage{repository, by.Bases}, nil
		for _, s := range b.sources {
			if r, _ := (&messages.PinnedBase{Source: s.name}).Tagged(); r == repository {
				s.due, s.must = time.Now(), true
			}
		}
	}
	b.changed()
}

// step begins what is due, and returns when to look again.
func (b *baseFollower) step(ctx context.Context, all *sync.WaitGroup) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.takeForce()
	now := time.Now()
	next := now.Add(time.Minute)
	begin := func(busy *bool, do func(context.Context)) {
		*busy = true
		all.Go(func() {
			if b.turns.Acquire(ctx, 1) == nil {
				do(ctx)
				b.turns.Release(1)
			}
			b.mu.Lock()
			*busy = false
			b.mu.Unlock()
			b.changed()
		})
	}
	for _, p := range b.pipelines {
		switch {
		case p.busy:
		case !p.loaded && b.hears && !p.fire.After(now):
			begin(&p.busy, func(ctx context.Context) { b.load(ctx, p) })
		case !p.fire.IsZero() && !p.fire.After(now):
			begin(&p.busy, func(ctx context.Context) { _, _ = b.rebuild(ctx, p) })
		case !p.fire.IsZero() && p.fire.Before(next):
			next = p.fire
		}
	}
	for _, s := range b.sources {
		switch {
		case s.busy:
		case !s.due.After(now):
			begin(&s.busy, func(ctx context.Context) { b.lookInTime(ctx, s) })
		case s.due.Before(next):
			next = s.due
		}
	}
	return next
}

// takeForce takes in which pipelines are in force. The caller has the lock.
func (b *baseFollower) takeForce() {
	now := b.inForce.Load().pipelines
	if now == b.of {
		return
	}
	b.of, b.graph = now, nil
	for name, p := range b.pipelines {
		if d, ok := now.byName[name]; !ok || !d.rebuild.follows() {
			b.setBases(p, nil)
			delete(b.pipelines, name)
		}
	}
	for _, d := range now.declared {
		if !d.rebuild.follows() {
			continue
		}
		p := b.pipelines[d.pipeline.Name]
		if p == nil {
			p = &followedPipeline{asked: map[string]string{}}
			b.pipelines[d.pipeline.Name] = p
		}
		p.declared, p.pause = d, 0
	}
	for _, p := range b.pipelines { // what is whose image may have changed
		b.setBases(p, p.bases)
		b.judge(p)
	}
}

// load reads what a pipeline was built on last.
func (b *baseFollower) load(ctx context.Context, p *followedPipeline) {
	b.mu.Lock()
	name, heard := p.declared.pipeline.Name, p.heard
	b.mu.Unlock()
	on, err := b.Builds.BuiltOn(ctx, name)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil && heard != p.heard {
		return // what was read may be older than what was heard: it is read again
	}
	if err != nil {
		p.pause = nextPause(p.pause)
		p.fire = time.Now().Add(p.pause)
		if ctx.Err() == nil && p.pause == baseFirstPause {
			b.log.Warn().Err(err).Str("pipeline", name).Msg("what the pipeline builds on is not known yet: it is looked for again")
		}
		return
	}
	p.loaded, p.pause, p.fire, p.order = true, 0, time.Time{}, on.Order
	b.setBases(p, on.Bases)
	b.judge(p)
}

func nextPause(last time.Duration) time.Duration {
	if last == 0 {
		return baseFirstPause
	}
	return min(2*last, baseMostPause)
}

// setBases takes in what a pipeline was built on; of one that is not followed any more, nothing. The caller has the lock.
func (b *baseFollower) setBases(p *followedPipeline, bases []messages.PinnedBase) {
	name := p.declared.pipeline.Name
	if b.pipelines[name] != p { // what was under way when the file changed ends late
		bases = nil
	}
	owners := b.owners()
	wanted := map[string]bool{}
	for i := range bases {
		repository, ok := bases[i].Tagged()
		own := len(owners[repository]) > 0
		if !ok || own && !p.declared.rebuild.pipeline || !own && !p.declared.rebuild.base {
			continue
		}
		source := bases[i].Source
		wanted[source] = true
		if b.sources[source] == nil {
			b.sources[source] = &followedSource{name: source, tag: tagOf(source), users: map[string]bool{}, due: time.Now()}
		}
		b.sources[source].users[name] = true
	}
	for source, s := range b.sources {
		if s.users[name] && !wanted[source] {
			if delete(s.users, name); len(s.users) == 0 {
				delete(b.sources, source)
				b.leave(s)
			}
		}
	}
	maps.DeleteFunc(p.asked, func(source, _ string) bool { return !wanted[source] })
	if !slices.Equal(p.bases, bases) {
		p.bases, b.graph = bases, nil
	}
}

// owners are the pipelines whose image each repository has. The caller has the lock.
func (b *baseFollower) owners() map[string][]string { return b.of.imageOwners() }

// interval is how long a base is left alone. The caller has the lock.
func (b *baseFollower) interval(s *followedSource) time.Duration {
	interval := time.Duration(0)
	for name := range s.users {
		if p := b.pipelines[name]; p != nil && (interval == 0 || p.declared.rebuild.interval.Std() < interval) {
			interval = p.declared.rebuild.interval.Std()
		}
	}
	if interval == 0 {
		interval = defaultBaseInterval.Std()
	}
	return jittered(interval)
}

// jittered varies a time by a fifth, so that producers, and what they look at, don't go in step.
func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

// usersOf are the pipelines that follow a source. The caller has the lock.
func (b *baseFollower) usersOf(s *followedSource) (out []*followedPipeline) {
	for _, name := range slices.Sorted(maps.Keys(s.users)) {
		if p := b.pipelines[name]; p != nil {
			out = append(out, p)
		}
	}
	return out
}

// errLater tells that what was told of is stored, and will be looked at.
var errLater = errors.New("it will be looked at later")
