package producer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// waitingPause is after how long a pipeline is looked at again whose next build has not pinned its bases yet. It tells when it
// has; one that ends before tells nothing.
const waitingPause = time.Minute

// judge looks what of a pipeline's bases names another image than its last build took, and decides when a rebuild is asked for:
// at once, but for another pipeline's image, which may be followed by others, and for what changes soon after another. The
// caller has the lock.
func (b *baseFollower) judge(p *followedPipeline) {
	if !p.loaded {
		return
	}
	changed, own := b.changes(p)
	now := time.Now()
	switch {
	case len(changed) == 0:
		p.outstanding, p.first, p.last, p.fire = nil, time.Time{}, time.Time{}, time.Time{}
		return
	case maps.Equal(changed, p.outstanding):
		return
	case p.first.IsZero():
		p.first = now
	}
	p.outstanding, p.last = changed, now
	if settle := p.settle(); !own && p.first.Equal(now) && now.Sub(p.askedAt) > settle {
		p.fire = now
	} else {
		p.fire = p.rests()
	}
}

func (p *followedPipeline) settle() time.Duration { return p.declared.rebuild.settle.Std() }

// rests is when the pipeline's changes have come to rest, or have been waited for long enough.
func (p *followedPipeline) rests() time.Time {
	rest, most := p.last.Add(p.settle()), p.first.Add(settleMost*p.settle())
	if most.Before(rest) {
		return most
	}
	return rest
}

// changes are the sources of a pipeline that name another image than its last build took, as far as anybody has looked, with
// the image's digest; own is that one is another pipeline's. The caller has the lock.
func (b *baseFollower) changes(p *followedPipeline) (changed map[string]string, own bool) {
	owners := b.owners()
	changed = map[string]string{}
	for i := range p.bases {
		base := &p.bases[i]
		s := b.sources[base.Source]
		if s == nil || !s.users[p.declared.pipeline.Name] || s.digest == "" || s.digest == base.Image.Digest() || p.asked[base.Source] == s.digest {
			continue
		}
		repository, _ := base.Tagged()
		if b.circular(p, repository) {
			continue
		}
		changed[base.Source] = s.digest
		own = own || len(owners[repository]) > 0
	}
	return changed, own
}

// builtGraph is which pipelines build on which, and whose image each repository has, of those that are declared here and those
// whose builds were heard of.
type builtGraph struct {
	imageGraph
	owners map[string][]string
}

// built is the graph as it is known now. The caller has the lock.
func (b *baseFollower) built() *builtGraph {
	if b.graph != nil {
		return b.graph
	}
	nodes := maps.Clone(b.seen)
	for name, f := range b.pipelines {
		nodes[name] = builtImage{repositoryOf(f.declared.pipeline.Image), f.bases}
	}
	g := &builtGraph{imageGraph{}, map[string][]string{}}
	for name, n := range nodes {
		g.owners[n.repository] = append(g.owners[n.repository], name)
	}
	for name, n := range nodes {
		for i := range n.bases {
			if r, ok := n.bases[i].Tagged(); ok {
				for _, on := range g.owners[r] {
					g.add(name, on)
				}
			}
		}
	}
	b.graph = g
	return g
}

// circular tells whether whose image a repository has builds on the pipeline's own: each of their builds would lead to one of the
// other, for ever. The caller has the lock.
func (b *baseFollower) circular(p *followedPipeline, repository string) bool {
	g, name := b.built(), p.declared.pipeline.Name
	for _, on := range g.owners[repository] {
		if !g.circular(name, on) {
			continue
		}
		if told := name + " " + on; !b.circles[told] {
			b.circles[told] = true
			b.log.Warn().Str("pipeline", name).Str("image", repository).Str("of", on).
				Msg("the pipeline builds on an image that builds on its own: it is not built again when that changes, as that would have no end")
		}
		return true
	}
	return false
}

// rebuildTimeout bounds the look at a pipeline's head, and the request that follows.
const rebuildTimeout = git.Timeout + time.Minute

// rebuild asks for the build of a pipeline's head if what its last build was made from names another image now, by what its
// registry says now and no earlier. accepted is nil where nothing is asked for, or not yet.
func (b *baseFollower) rebuild(ctx context.Context, p *followedPipeline) (accepted *acceptedBuild, err error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	ctx, cancel := context.WithTimeout(ctx, rebuildTimeout)
	defer cancel()
	b.mu.Lock()
	d := p.declared
	b.mu.Unlock()
	accepted, wait, err := b.rebuildOnce(ctx, p, d)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case errors.Is(err, queue.ErrMoved):
		p.fire, err = time.Now().Add(baseGap), nil // something was asked for meanwhile: it is decided anew
	case err != nil:
		p.pause = nextPause(p.pause)
		p.fire = time.Now().Add(jittered(p.pause))
		if ctx.Err() == nil {
			b.log.Warn().Err(err).Str("pipeline", d.pipeline.Name).Dur("again_in", p.pause).Msg("a base has changed, and no rebuild could be asked for: it is tried again")
		}
	case wait > 0:
		p.fire, p.pause = time.Now().Add(wait), 0
	default:
		if p.pause = 0; accepted != nil {
			p.askedAt, p.accepted = time.Now(), accepted
		}
		maps.Copy(p.asked, p.outstanding) // also where there is nothing to build: it is not asked for again
		p.outstanding, p.first, p.last, p.fire = nil, time.Time{}, time.Time{}, time.Time{}
		b.judge(p)
	}
	b.changed()
	return accepted, err
}

// rebuildOnce is rebuild. wait is after how long to look again, 0 where nothing is left to do.
func (b *baseFollower) rebuildOnce(ctx context.Context, p *followedPipeline, d *declared) (asked *acceptedBuild, wait time.Duration, err error) {
	name := d.pipeline.Name
	on, err := b.Builds.BuiltOn(ctx, name)
	if err != nil {
		return nil, 0, err
	}
	b.mu.Lock()
	b.setBases(p, on.Bases)
	b.mu.Unlock()
	changed, err := b.confirmed(ctx, p)
	if err != nil || len(changed) == 0 {
		return nil, 0, err
	}
	if wait := b.waits(ctx, p, on, changed); wait > 0 {
		return nil, wait, nil
	}
	r, err := b.request(ctx, d, on, changed)
	if err != nil || r == nil {
		return nil, 0, err
	}
	a, err := traceRequest(ctx, b.tracer, r, "", func(ctx context.Context, r *messages.BuildRequested, traceparent string) (builds.Accepted, error) {
		return b.Builds.RequestAfter(ctx, r, on.Request, traceparent)
	})
	if err != nil {
		return nil, 0, err
	}
	b.log.Info().Str("pipeline", name).Str("build", a.Build).Uint64("order", a.Order).Bool("duplicate", a.Duplicate).Str("reason", r.Reason.String()).
		Str("commit", r.Commit).Msg("what the pipeline builds on has changed: its head is built again")
	answer := accepted(r, a)
	return &answer, 0, nil
}

// confirmed are a pipeline's changes as registries show them now.
func (b *baseFollower) confirmed(ctx context.Context, p *followedPipeline) (map[string]string, error) {
	b.mu.Lock()
	changed, _ := b.changes(p)
	var old []*followedSource
	for source := range changed {
		if s := b.sources[source]; time.Since(s.seen) > baseFresh {
			old = append(old, s)
		}
	}
	b.mu.Unlock()
	for _, s := range old {
		if err := b.lookNow(ctx, s); err != nil {
			return nil, fmt.Errorf("looking at %s: %w", s.name, err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	changed, _ = b.changes(p)
	p.outstanding = changed
	if p.first.IsZero() {
		p.first, p.last = time.Now(), time.Now()
	}
	return changed, nil
}

// waits is how long a rebuild is put off: where the pipeline's next build will take its bases as they are then, where one was
// asked for a moment ago by whichever producer, and where a build is under way of an image that it builds on.
func (b *baseFollower) waits(ctx context.Context, p *followedPipeline, on builds.BuiltOn, changed map[string]string) time.Duration {
	if on.Waiting {
		return waitingPause
	}
	b.mu.Lock()
	rest, first, settle := time.Until(p.rests()), p.first, p.settle()
	upstream := b.owners()
	b.mu.Unlock()
	afresh := on.Reason == messages.ReasonBase || on.Reason == messages.ReasonCascade
	if afresh && on.Age < settle && rest > 0 {
		return rest
	}
	if time.Since(first) >= settleMost*settle {
		return 0
	}
	for source := range changed {
		base := messages.PinnedBase{Source: source}
		repository, _ := base.Tagged()
		for _, name := range upstream[repository] {
			if u, err := b.Builds.BuiltOn(ctx, name); err == nil && u.Underway {
				return settle
			}
		}
	}
	return 0
}

// request is the request for the head of what a pipeline's last build was of; nil where there is none.
func (b *baseFollower) request(ctx context.Context, d *declared, on builds.BuiltOn, changed map[string]string) (*messages.BuildRequested, error) {
	ref := on.Ref
	if _, ok := d.takesRef(ref); !ok {
		if d.pipeline.MoreThanOneRef() {
			b.log.Info().Str("pipeline", d.pipeline.Name).Str("ref", clip(ref)).Msg("a base has changed, but the last build was of no branch or tag that the pipeline builds now: nothing is built again")
			return nil, nil //nolint:nilnil // there is nothing to ask for
		}
		ref = branchRefs + d.pipeline.Branch
	}
	r := &messages.BuildRequested{Build: messages.NewBuildID(d.pipeline.Name), Pipeline: d.pipeline, Cause: messages.CausePush, Received: b.now().UTC()}
	r.SetRef(ref)
	remote, err := b.remote(&r.Pipeline)
	if err != nil {
		return nil, err
	}
	remote.Tag = r.Tag
	r.Commit, err = git.Head(ctx, remote)
	if errors.Is(err, git.ErrNoBranch) || errors.Is(err, git.ErrNoTag) {
		b.log.Info().Str("pipeline", d.pipeline.Name).Err(err).Msg("a base has changed, but what the last build was of is gone: nothing is built again")
		return nil, nil //nolint:nilnil // as above
	}
	if err != nil {
		return nil, err
	}
	r.Reason, err = b.reason(ctx, changed)
	return r, err
}

// reason says what has changed: another pipeline's image, with the build that made it, or one that somebody else pushed.
func (b *baseFollower) reason(ctx context.Context, changed map[string]string) (*messages.Reason, error) {
	b.mu.Lock()
	owners := b.owners()
	b.mu.Unlock()
	sources := slices.Sorted(maps.Keys(changed))
	detail := sources[0]
	if more := len(sources) - 1; more > 0 {
		detail += fmt.Sprintf(" and %d more", more)
	}
	base := messages.PinnedBase{Source: sources[0]}
	repository, _ := base.Tagged()
	image, err := messages.NewImage(repository, changed[sources[0]])
	if err != nil {
		return nil, err
	}
	for _, name := range owners[repository] {
		build, err := b.Builds.ImageOf(ctx, name, image)
		if err != nil {
			return nil, err
		}
		if build != "" {
			return &messages.Reason{Kind: messages.ReasonCascade, Link: build, Detail: detail}, nil
		}
	}
	return &messages.Reason{Kind: messages.ReasonBase, Link: strings.TrimSpace(string(image)), Detail: detail}, nil
}
