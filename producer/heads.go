package producer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
)

// Pushes of which nobody told, as no producer was there, or the webhook was lost, show at a repository's branches and tags.
// A look finds them: the heads of the branches that a pipeline names, and of those that it built before, where they have no
// build; and of all others that match, branches and tags, those that were pushed since the look before, by any producer.

const (
	// newsMost bounds how many branches and tags that were never built one look asks for of a pipeline; the rest is for the next.
	newsMost = 500
	// lookTimeout bounds one look, and the requests that follow.
	lookTimeout = git.Timeout + 5*time.Minute
	// doubtPause is between looks at a repository that may be behind, and where one look doesn't do it all.
	doubtPause = 20 * time.Second
	// doubtTold is after how long people are told of one that may be behind.
	doubtTold = time.Minute
)

// glance is one look at a repository, for all pipelines that are built of it.
type glance struct {
	key, url, tokenName string
	pipelines           []*polledPipeline
	failed              bool // the look before failed, too

	remote   git.Remote
	listing  git.Listing
	seen     messages.RepositoryPoll // until now
	refs     []git.Ref
	shown    map[string]bool // the names of these
	left     map[string]bool // of the refs, those that the next look is for
	doubt    string          // why what it shows is not believed yet, or ""
	problem  string          // why pushes may be missed, though it was looked at; or ""
	finished []*polledPipeline
}

// soon tells whether the repository is to be looked at again soon.
func (l *glance) soon() bool { return l.doubt != "" || len(l.left) > 0 }

// glance looks at a repository and asks for builds of what has none.
func (p *Producer) glance(ctx context.Context, polls *SharedPolls, l *glance) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	e, err := polls.seen(ctx, l.key)
	if err != nil {
		return fmt.Errorf("reading what was seen of %s: %w", l.url, err)
	}
	l.seen, l.left = e.Value, map[string]bool{}
	next := l.seen
	next.Repository, next.TokenName = l.url, l.tokenName
	err = p.lookAtAll(ctx, l)
	switch {
	case ctx.Err() != nil:
		return cmp.Or(context.Cause(ctx), err)
	case err == nil:
		l.note(&next)
		next.Trouble(l.problem, p.now())
	case l.failed:
		next.Trouble(err.Error(), p.now())
	}
	if noteErr := polls.keep(ctx, l.key, &next, e); noteErr != nil && err == nil {
		err = fmt.Errorf("keeping what was seen of %s: %w", l.url, noteErr)
	}
	return err
}

// note takes in what the look has seen to.
func (l *glance) note(r *messages.RepositoryPoll) {
	if !l.listing.Branches && !l.listing.Tags {
		return // of branches that are named nothing need be known
	}
	done := map[string]string{}
	for _, ref := range l.refs {
		isTag := strings.HasPrefix(ref.Name, tagRefs)
		if !l.left[ref.Name] && (isTag && l.listing.Tags || !isTag && l.listing.Branches) {
			done[ref.Name] = ref.Commit
		}
	}
	r.Seen = r.Seen.With(done)
	r.Branches, r.Tags = r.Branches || l.listing.Branches, r.Tags || l.listing.Tags
}

// lookAtAll does it for each of the pipelines.
func (p *Producer) lookAtAll(ctx context.Context, l *glance) (err error) {
	if l.remote, err = p.remote(&l.pipelines[0].pipeline); err != nil {
		return err
	}
	built := map[string]map[string]builds.Newest{}
	for _, d := range l.pipelines {
		name := d.pipeline.Name
		if built[name], err = p.queue.Refs(ctx, name); err != nil {
			return fmt.Errorf("looking for builds of the branches of pipeline %s: %w", name, err)
		}
		l.list(d.declared, built[name])
	}
	refs, whole, err := git.Refs(ctx, l.remote, l.listing)
	if err != nil {
		return err
	}
	if l.refs = refs; !whole {
		l.problem = fmt.Sprintf("it has more branches and tags than are listed: of those after the first %d only the ones that pipelines name, or built before, are looked at", len(refs))
	}
	l.shown = map[string]bool{}
	for _, ref := range refs {
		l.shown[ref.Name] = true
	}
	var failures []error
	for _, d := range l.pipelines {
		if err := p.requestHeads(ctx, l, d, built[d.pipeline.Name]); err != nil {
			failures = append(failures, err)
			continue
		}
		l.finished = append(l.finished, d)
		if whole {
			p.queue.ForgetRefs(d.pipeline.Name, l.shows)
		}
	}
	return errors.Join(failures...)
}

// list adds what a pipeline looks at.
func (l *glance) list(d *declared, built map[string]builds.Newest) {
	if !d.pipeline.MoreThanOneRef() {
		l.listing.Named = append(l.listing.Named, branchRefs+d.pipeline.Branch)
		return
	}
	l.listing.Branches = l.listing.Branches || len(d.pipeline.Branches) > 0
	l.listing.Tags = l.listing.Tags || len(d.pipeline.Tags) > 0
	for _, branch := range d.pipeline.Branches {
		if !messages.IsPattern(branch) {
			l.listing.Named = append(l.listing.Named, branchRefs+branch)
		}
	}
	for ref := range built {
		l.listing.Named = append(l.listing.Named, ref)
	}
}

// shows tells whether the repository has a branch or tag, or what is not looked at.
func (l *glance) shows(ref string) bool {
	if strings.HasPrefix(ref, tagRefs) && !l.listing.Tags || strings.HasPrefix(ref, branchRefs) && !l.listing.Branches {
		return true
	}
	return l.shown[ref]
}

// names tells whether the pipeline names a branch or tag by itself, and not by a pattern.
func (d *declared) names(ref string) bool {
	branch, ok := strings.CutPrefix(ref, branchRefs)
	if !d.pipeline.MoreThanOneRef() {
		return ok && branch == d.pipeline.Branch
	}
	return ok && slices.Contains(d.pipeline.Branches, branch)
}

// requestHeads asks for builds of what a pipeline has none of.
func (p *Producer) requestHeads(ctx context.Context, l *glance, d *polledPipeline, built map[string]builds.Newest) error {
	var never []string
	named, news := false, 0
	for _, ref := range l.refs {
		if _, ok := d.takesRef(ref.Name); !ok {
			continue
		}
		before, wasBuilt := built[ref.Name]
		isTag := strings.HasPrefix(ref.Name, tagRefs)
		var err error
		switch {
		case !isTag && (wasBuilt || d.names(ref.Name)):
			named = true
			err = p.seeHead(ctx, l, d, ref, before)
		case isTag && !l.seen.Tags || !isTag && !l.seen.Branches: // when they were pushed nobody knows
			never = append(never, clip(ref.Name))
		case l.seen.Seen.Has(ref.Name, ref.Commit), wasBuilt && (before.Commit == ref.Commit || before.Commit == ref.Object):
		case news == newsMost:
			l.left[ref.Name] = true
		default:
			news++
			err = p.requestHead(ctx, d, &event{ref: ref.Name, before: noCommit, commit: ref.Commit})
		}
		if err != nil {
			return err
		}
	}
	if !d.looked {
		p.tellFirst(d.declared, named, never)
	}
	return nil
}

// noCommit is what was before a branch or tag that is new.
const noCommit = "0000000000000000000000000000000000000000"

// tellFirst says what the first look at a pipeline found and doesn't build.
func (p *Producer) tellFirst(d *declared, named bool, never []string) {
	log := p.log.With().Str("pipeline", d.pipeline.Name).Logger()
	if !named && !d.pipeline.MoreThanOneRef() {
		log.Info().Str("branch", d.pipeline.Branch).Msg("nothing was pushed to the branch yet")
	}
	if len(never) > 0 {
		log.Info().Int("refs", len(never)).Strs("such_as", never[:min(len(never), 10)]).
			Msg("branches and tags that match and were never built are built with their next push, or by fenceline submit")
	}
}

// seeHead asks for a build of a branch's head, once, if the newest build is of another commit.
func (p *Producer) seeHead(ctx context.Context, l *glance, d *polledPipeline, ref git.Ref, before builds.Newest) error {
	judged := judgedHead{before.Commit, ref.Commit}
	if d.looked && (before.Commit == ref.Commit || d.judged[ref.Name] == judged) {
		return nil
	}
	if before.Commit != "" && before.Commit != ref.Commit && before.Age < git.LagWithout && before.Age < git.Lag(ctx, l.remote, before.Commit, ref.Commit) {
		l.doubt = fmt.Sprintf("it shows %s at %s, where %s was told of: a mirror that is behind, or the branch was set back; it is asked again, and believed an hour after that at the latest",
			clip(ref.Name), ref.Commit, before.Commit)
		if before.Age > doubtTold {
			l.problem = l.doubt
		}
		return nil
	}
	err := p.requestHead(ctx, d, &event{ref: ref.Name, before: before.Commit, commit: ref.Commit})
	if err == nil {
		d.judged[ref.Name] = judged
	}
	return err
}

// requestHead asks for a build of the commit at the head of a pipeline's branch, or of a tag, if it has none, and if the pipeline
// builds a push that led there from the commit that was built last.
func (p *Producer) requestHead(ctx context.Context, d *polledPipeline, e *event) error {
	v := verdict{pipeline: d.declared, build: true}
	if e.before != "" && e.before != e.commit {
		if v = d.judge(e, p.asking(ctx)); !v.build {
			p.log.Info().Str("pipeline", d.pipeline.Name).Str("ref", e.ref).Str("commit", e.commit).Str("reason", v.why).
				Msg("the branch's head has no build, and none is asked for")
			return nil
		}
	}
	r := e.request(v)
	r.RequestedBy, r.Reason = messages.SeenByPoll, &messages.Reason{Kind: messages.ReasonPoll, Detail: messages.SeenByPoll}
	if !d.looked {
		r.RequestedBy, r.Reason.Detail = messages.SeenAtStart, messages.SeenAtStart
	}
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
