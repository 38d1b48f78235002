package producer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// Pushes that came while no producer was there told nobody. So a producer that starts looks at the
// heads of the branches whose pushes it is told of, and asks for a build of what has none. So it does
// when the pipeline file names another branch.

const (
	// headsAtOnce bounds how many repositories are asked at one time.
	headsAtOnce = 4
	// headTimeout bounds one look, and the request that follows.
	headTimeout = git.Timeout + time.Minute
	// headFirstPause and headMostPause are between looks that fail. The first one doubles.
	headFirstPause = 5 * time.Second
	headMostPause  = 10 * time.Minute
)

// lookAtHeads looks at the head of every pipeline that takes webhooks, once, and again where that fails,
// until ctx ends. A pipeline that takes none is built when somebody asks for it.
func (p *Producer) lookAtHeads(ctx context.Context) {
	var all errgroup.Group
	turns := semaphore.NewWeighted(headsAtOnce)
	pipelines := p.inForce.Load().pipelines
	p.heads.keep(pipelines)
	for _, d := range pipelines.declared {
		if d.secret == nil || p.heads.seen(d) {
			continue
		}
		all.Go(func() error {
			p.seeHead(ctx, d, turns)
			if ctx.Err() == nil {
				p.heads.add(d)
			}
			return nil
		})
	}
	_ = all.Wait() // failures are logged where they happen
}

// followHeads looks at the heads, and when other pipelines come into force at those that are new or changed, until ctx ends.
func (p *Producer) followHeads(ctx context.Context) {
	for ctx.Err() == nil {
		looking, stop := context.WithCancel(ctx)
		var done sync.WaitGroup
		done.Go(func() { p.lookAtHeads(looking) })
		select {
		case <-ctx.Done():
		case <-p.heads.changed:
		}
		stop()
		done.Wait()
	}
}

// headsSeen are the pipelines whose heads are known to have a build, as they were then. Where one takes other webhooks
// since, those of pushes may have been refused before.
type headsSeen struct {
	changed   chan struct{} // has one when other pipelines came into force
	lock      sync.Mutex
	pipelines map[string]*declared
}

func (h *headsSeen) seen(d *declared) bool {
	h.lock.Lock()
	defer h.lock.Unlock()
	before, ok := h.pipelines[d.pipeline.Name]
	return ok && d.buildsAs(before) && d.takesAs(before)
}

// keep forgets those that take no webhooks now: if they do again, nobody was told of pushes in between.
func (h *headsSeen) keep(p *Pipelines) {
	h.lock.Lock()
	defer h.lock.Unlock()
	maps.DeleteFunc(h.pipelines, func(name string, _ *declared) bool {
		d, ok := p.byName[name]
		return !ok || d.secret == nil
	})
}

func (h *headsSeen) add(d *declared) {
	h.lock.Lock()
	defer h.lock.Unlock()
	h.pipelines[d.pipeline.Name] = d
}

// seeHead looks at the heads of one pipeline until they are known to have builds.
func (p *Producer) seeHead(ctx context.Context, d *declared, turns *semaphore.Weighted) {
	log := p.log.With().Str("pipeline", d.pipeline.Name).Logger()
	said := ""
	for pause := p.headPause; ; pause = min(2*pause, headMostPause) {
		if turns.Acquire(ctx, 1) != nil {
			return
		}
		err := p.requestHeads(ctx, d)
		turns.Release(1)
		switch {
		case err == nil || ctx.Err() != nil:
			return
		case errors.Is(err, git.ErrNoBranch):
			log.Info().Err(err).Msg("nothing was pushed to the branch yet")
			return
		case err.Error() != said: // the same again would be said for as long as a host is away
			said = err.Error()
			log.Warn().Err(err).Msg("whether pushes came while no producer was there is not known yet: the branch is looked at again")
		}
		if !queue.Pause(ctx, time.Duration(float64(pause)*(0.8+0.4*rand.Float64()))) {
			return
		}
	}
}

// requestHeads asks for builds of the heads of a pipeline's branches that have none.
func (p *Producer) requestHeads(ctx context.Context, d *declared) error {
	ctx, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	built := map[string]string{}
	if d.pipeline.MoreThanOneRef() || d.pathList != nil || d.skipCI {
		var err error
		if built, err = p.queue.Refs(ctx, d.pipeline.Name); err != nil {
			return fmt.Errorf("looking for builds of the pipeline's branches: %w", err)
		}
	}
	heads, err := p.headsOf(ctx, d, built)
	for _, ref := range slices.Sorted(maps.Keys(heads)) {
		e := event{ref: ref, before: built[ref], commit: heads[ref], pusher: messages.SeenAtStart}
		if err := p.requestHead(ctx, d, &e); err != nil {
			return err
		}
	}
	return err
}

// headsOf finds the commits at the heads of a pipeline's branches, by their full refs. Of branches that a pattern alone
// names, it is those that were built before: which of the others were pushed to lately nobody knows. Tags are not looked at
// for the same reason.
func (p *Producer) headsOf(ctx context.Context, d *declared, built map[string]string) (map[string]string, error) {
	remote, err := p.remote(&d.pipeline)
	if err != nil {
		return nil, err
	}
	if !d.pipeline.MoreThanOneRef() {
		commit, err := git.Head(ctx, remote)
		if err != nil {
			return nil, err
		}
		return map[string]string{branchRefs + d.pipeline.Branch: commit}, nil
	}
	named := slices.Clone(d.pipeline.Branches)
	for ref := range built {
		if branch, ok := strings.CutPrefix(ref, branchRefs); ok {
			named = append(named, branch)
		}
	}
	heads, err := git.Heads(ctx, remote, named...)
	if err != nil {
		return nil, err
	}
	found, never := map[string]string{}, []string{}
	for branch, commit := range heads {
		switch _, ok := d.takesRef(branchRefs + branch); {
		case !ok:
		case slices.Contains(d.pipeline.Branches, branch) || built[branchRefs+branch] != "":
			found[branchRefs+branch] = commit
		default:
			never = append(never, clip(branch))
		}
	}
	if len(never) > 0 {
		slices.Sort(never)
		p.log.Info().Str("pipeline", d.pipeline.Name).Int("branches", len(never)).Strs("such_as", never[:min(len(never), 10)]).
			Msg("branches that match and were never built are built with their next push, or by fenceline submit --branch")
	}
	return found, nil
}

// requestHead asks for a build of the commit at the head of a pipeline's branch, if it has none, and if the pipeline
// builds a push that led there from the commit that was built last.
func (p *Producer) requestHead(ctx context.Context, d *declared, e *event) error {
	v := verdict{pipeline: d, build: true}
	if e.before != "" && e.before != e.commit {
		if v = d.judge(e, p.asking(ctx)); !v.build {
			p.log.Info().Str("pipeline", d.pipeline.Name).Str("ref", e.ref).Str("commit", e.commit).Str("reason", v.why).
				Msg("the branch's head has no build, and none is asked for")
			return nil
		}
	}
	r := e.request(v)
	r.Received = p.now().UTC()
	accepted, err := p.queue.RequestHead(ctx, r, "")
	if err != nil {
		return fmt.Errorf("asking for a build of the branch's head: %w", err)
	}
	if !accepted.Duplicate {
		p.log.Info().Str("pipeline", d.pipeline.Name).Str("build", accepted.Build).Uint64("order", accepted.Order).Str("ref", e.ref).Str("commit", e.commit).
			Msg("the branch's head had no build: one is asked for")
	}
	return nil
}

// remote is a pipeline's branch, as git asks for it, with the token of the repository.
func (p *Producer) remote(l *messages.Pipeline) (git.Remote, error) {
	remote := git.Remote{URL: l.Repository, Branch: l.Branch, Rules: p.rules}
	if l.TokenName != "" {
		token, err := messages.NamedSecret(p.secretsDir, l.TokenName)
		if err == nil {
			remote.Token, err = token.Word()
		}
		if err != nil {
			return remote, fmt.Errorf("%w: %w: put a file of that name into the producer's folder of secrets (secrets-dir)", errNoToken, err)
		}
	}
	return remote, nil
}

// errNoToken tells that the repository's token can't be read here.
var errNoToken = errors.New("the pipeline's repository_token")
