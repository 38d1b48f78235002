package producer

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/rs/zerolog"
)

// Repositories are looked at from time to time, each once for all pipelines that are built of it: when a producer begins to
// poll, when a pipeline is new or changed, and then as often as the pipelines say. Git's protocol knows no "unchanged since",
// so a look costs a listing of names; nothing is stored where that shows nothing new.

const (
	// pollsAtOnce bounds how many repositories are looked at at one time.
	pollsAtOnce = 8
	// pollFirstPause and pollMostPause are between looks at a repository that fail. The first one doubles.
	pollFirstPause = 5 * time.Second
	pollMostPause  = 10 * time.Minute
	// hostFailures is how many looks at repositories of one host have to fail, one after the other, for the others to wait until
	// one of them can be reached.
	hostFailures = 3
)

// polled is a repository that is looked at.
type polled struct {
	key, url, tokenName string
	host                *polledHost
	pipelines           []*polledPipeline
	due                 time.Time
	place               int // among those that are due at some time; -1 for none
	busy                bool
	again               bool // while it was busy its pipelines changed
	deferred            bool // until its host is back
	failures            int  // one after the other
	said                string
}

// polledPipeline is a pipeline whose repository is looked at.
type polledPipeline struct {
	*declared
	looked bool                  // once
	judged map[string]judgedHead // by branch, what was decided about its head; it belongs to the look under way
}

// judgedHead is a branch's newest build, and its head.
type judgedHead struct{ built, head string }

// polledHost is a host of repositories.
type polledHost struct {
	failures int // of repositories that could not be reached, one after the other
	until    time.Time
	probing  bool // one of its repositories is looked at to see whether it is back
}

// away tells whether the host is left alone.
func (h *polledHost) away() bool { return h.failures >= hostFailures }

// poller looks at repositories as long as it runs.
type poller struct {
	*Producer
	polls     *SharedPolls
	repos     map[string]*polled
	hosts     map[string]*polledHost
	pipelines map[string]*polledPipeline
	line      pollLine
	busy      int
	ended     chan lookEnd
	look      func(context.Context, *SharedPolls, *glance) error
}

// lookEnd is how a look ended.
type lookEnd struct {
	*polled
	look *glance
	err  error
}

// poll looks at repositories whenever it is this producer that does, until ctx ends.
func (p *Producer) poll(ctx context.Context) {
	p.polls.lead(ctx, p.log, func(ctx context.Context, polls *SharedPolls) { p.poller(polls).run(ctx) })
}

func (p *Producer) poller(polls *SharedPolls) *poller {
	return &poller{
		Producer: p, polls: polls, repos: map[string]*polled{}, hosts: map[string]*polledHost{}, pipelines: map[string]*polledPipeline{},
		ended: make(chan lookEnd, pollsAtOnce), look: p.glance,
	}
}

// run polls until ctx ends, and waits for the looks under way.
func (w *poller) run(ctx context.Context) {
	defer func() {
		for ; w.busy > 0; w.busy-- {
			<-w.ended
		}
	}()
	w.follow(ctx)
	for {
		wait := w.begin(ctx)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-w.changed:
			w.follow(ctx)
		case end := <-w.ended:
			w.finish(end)
		case <-timer.C:
		}
		timer.Stop()
	}
}

// follow takes in the pipelines that are in force.
func (w *poller) follow(ctx context.Context) {
	before, groups := w.pipelines, map[string][]*polledPipeline{}
	w.pipelines = map[string]*polledPipeline{}
	for _, d := range w.inForce.Load().pipelines.declared {
		if d.secret == nil && d.poll == 0 {
			continue // it is built when somebody asks for it
		}
		next := &polledPipeline{declared: d, judged: map[string]judgedHead{}}
		if old := before[d.pipeline.Name]; old != nil && d.buildsAs(old.declared) && d.takesAs(old.declared) {
			next.looked, next.judged = old.looked, old.judged
		}
		w.pipelines[d.pipeline.Name] = next
		key := messages.PollKey(d.pipeline.Repository, d.pipeline.TokenName)
		groups[key] = append(groups[key], next)
	}
	for key, r := range w.repos {
		if groups[key] == nil {
			w.line.remove(r)
			delete(w.repos, key)
		}
	}
	for key, group := range groups {
		w.followRepository(key, group)
	}
	if err := w.polls.drop(ctx, func(key string) bool { return w.repos[key] != nil }); err != nil && ctx.Err() == nil {
		w.log.Warn().Err(err).Msg("what was seen of repositories that no pipeline has any more stays")
	}
}

func (w *poller) followRepository(key string, group []*polledPipeline) {
	r := w.repos[key]
	if r == nil {
		p := &group[0].pipeline
		r = &polled{key: key, url: p.Repository, tokenName: p.TokenName, host: w.hostOf(p.Repository), place: -1}
		w.repos[key] = r
	}
	r.pipelines = group
	fresh := false
	for _, d := range group {
		fresh = fresh || !d.looked
	}
	switch {
	case r.busy:
		r.again = fresh
	case fresh:
		w.line.put(r, time.Now())
	default:
		w.rest(r)
	}
}

// hostOf is the host of a repository.
func (w *poller) hostOf(repository string) *polledHost {
	name := repository
	if u, err := url.Parse(repository); err == nil {
		name = u.Host
	}
	if w.hosts[name] == nil {
		w.hosts[name] = &polledHost{}
	}
	return w.hosts[name]
}

// begin begins what is due, and returns how long nothing else will be.
func (w *poller) begin(ctx context.Context) time.Duration {
	now := time.Now()
	for len(w.line) > 0 && w.busy < pollsAtOnce {
		r := w.line[0]
		if wait := r.due.Sub(now); wait > 0 {
			return wait
		}
		if h := r.host; h.away() {
			if wait := h.until.Sub(now); wait > 0 || h.probing {
				r.deferred = true
				w.line.put(r, now.Add(max(wait, w.pollPause)+rand.N(w.pollPause)))
				continue
			}
			h.probing = true
		}
		w.line.remove(r)
		w.start(ctx, r)
	}
	return time.Hour
}

func (w *poller) start(ctx context.Context, r *polled) {
	r.busy, r.again, r.deferred = true, false, false
	w.busy++
	l := &glance{key: r.key, url: r.url, tokenName: r.tokenName, pipelines: r.pipelines, failed: r.failures > 0}
	go func() { w.ended <- lookEnd{r, l, w.look(ctx, w.polls, l)} }()
}

// finish takes in how a look ended.
func (w *poller) finish(end lookEnd) {
	r := end.polled
	r.busy = false
	w.busy--
	for _, d := range end.look.finished {
		d.looked = true
		if now := w.pipelines[d.pipeline.Name]; now != nil && now.declared != d.declared && d.buildsAs(now.declared) && d.takesAs(now.declared) {
			now.looked = true
		}
	}
	w.judgeHost(r, end.err)
	log := w.log.With().Str("repository", r.url).Logger()
	if end.err == nil {
		r.failures = 0
		tellOnce(log.Info(), &r.said, end.look.doubt)
	} else {
		r.failures++
		tellOnce(log.Warn(), &r.said, "whether pushes came of which nobody told is not known yet, the repository is looked at again: "+end.err.Error())
	}
	switch {
	case w.repos[r.key] != r: // no pipeline has it any more
	case r.failures > 0:
		w.line.put(r, time.Now().Add(jitter(min(w.pollPause<<min(r.failures-1, 20), pollMostPause))))
	case r.again:
		w.line.put(r, time.Now())
	case end.look.soon():
		w.line.put(r, time.Now().Add(jitter(min(doubtPause, cmp.Or(r.interval(), doubtPause)))))
	default:
		w.rest(r)
	}
}

// tellOnce says something, unless that was said last: the same again would be said for as long as a host is away.
func tellOnce(line *zerolog.Event, said *string, what string) {
	if what != "" && what != *said {
		line.Msg(what)
	}
	*said = what
}

// judgeHost takes in whether a host could be reached. Once it is back those of its repositories that failed are looked at at once.
func (w *poller) judgeHost(r *polled, err error) {
	h := r.host
	h.probing = false
	if errors.Is(err, git.ErrUnreachable) {
		h.failures++
		if h.away() {
			h.until = time.Now().Add(jitter(min(w.pollPause<<min(h.failures-hostFailures, 20), pollMostPause)))
		}
		return
	}
	if h.away() {
		for _, other := range w.repos {
			if other.host == h && other != r && other.place >= 0 && (other.failures > 0 || other.deferred) {
				w.line.put(other, time.Now())
			}
		}
	}
	h.failures = 0
}

// rest has a repository looked at when its pipelines say.
func (w *poller) rest(r *polled) {
	switch interval := r.interval(); {
	case interval == 0:
		w.line.remove(r)
	case r.place < 0 || time.Until(r.due) > interval:
		w.line.put(r, time.Now().Add(jitter(interval)))
	}
}

// interval is the shortest that one of its pipelines has; 0 for none.
func (r *polled) interval() time.Duration {
	shortest := time.Duration(0)
	for _, d := range r.pipelines {
		if every := d.poll.Std(); every > 0 && (shortest == 0 || every < shortest) {
			shortest = every
		}
	}
	return shortest
}

// jitter varies a time by a fifth, so that nothing goes in step.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

// pollLine has the repositories that are due at some time, the first one first.
type pollLine []*polled

var _ heap.Interface = (*pollLine)(nil)

// put has a repository due at a time, whenever it was before.
func (l *pollLine) put(r *polled, due time.Time) {
	r.due = due
	if r.place >= 0 {
		heap.Fix(l, r.place)
		return
	}
	heap.Push(l, r)
}

func (l *pollLine) remove(r *polled) {
	if r.place >= 0 {
		heap.Remove(l, r.place)
	}
}

// Len, Less, Swap, Push and Pop are for container/heap.
func (l *pollLine) Len() int { return len(*l) }

// Less is the order in which they are due.
func (l *pollLine) Less(i, j int) bool { return (*l)[i].due.Before((*l)[j].due) }

// Swap keeps their places.
func (l *pollLine) Swap(i, j int) {
	(*l)[i], (*l)[j] = (*l)[j], (*l)[i]
	(*l)[i].place, (*l)[j].place = i, j
}

// Push adds one at the end.
func (l *pollLine) Push(x any) {
	r := x.(*polled) //nolint:forcetypeassert // there is nothing else in it
	r.place = len(*l)
	*l = append(*l, r)
}

// Pop takes the last one out.
func (l *pollLine) Pop() any {
	r := (*l)[len(*l)-1]
	(*l)[len(*l)-1] = nil
	*l = (*l)[:len(*l)-1]
	r.place = -1
	return r
}
