package console

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
)

const (
	// endedMost is how many of the builds that have ended are listed: those whose records were written last.
	endedMost = 20_000
	// endedEvery is how often what was written since is read at the most.
	endedEvery = 500 * time.Millisecond
	// endedLook is how often the list is held against the records that there are: those that go leave no trace.
	endedLook = 10 * time.Minute
	// whyMost bounds, in bytes, what the list says of a build.
	whyMost = 160
)

// endedBuild is a build that has ended, in short: of ten thousand of them no more is kept.
type endedBuild struct {
	Build, Pipeline, State, Ref, Commit, By, Why string
	Reason                                       messages.Reason // its kind is "" where it is not known
	Order                                        uint64
	Attempt                                      int
	Ended                                        time.Time
	Took                                         time.Duration
}

// endedOf puts a build in short. It holds on to nothing of the record.
func endedOf(r *messages.BuildRecord, t *texts) *endedBuild {
	b := overview.BuildOf(r)
	keep := func(s string) string { return strings.Clone(messages.Shorten(s, whyMost)) }
	shared := func(s string) string { return t.one(messages.Shorten(s, whyMost)) }
	out := &endedBuild{
		Build: keep(b.Build), Pipeline: shared(b.Pipeline), State: shared(b.State), Ref: shared(b.Ref), Commit: keep(b.Commit), By: shared(b.By), Why: shared(b.Why()),
		Order: b.Order, Attempt: b.Attempt, Ended: b.Updated, Took: b.Took.Std(),
	}
	if b.Reason != nil {
		out.Reason = messages.Reason{Kind: messages.ReasonKind(shared(string(b.Reason.Kind))), Detail: shared(b.Reason.Detail), Link: keep(b.Reason.Link)}
	}
	return out
}

// later tells which of two ended later.
func (b *endedBuild) later(than *endedBuild) int {
	return cmp.Or(than.Ended.Compare(b.Ended), cmp.Compare(than.Order, b.Order), strings.Compare(b.Build, than.Build))
}

// endedBuilds are the builds that have ended, in short, the newest first. What has changed is read by revision, so that it costs
// what was written.
type endedBuilds struct {
	queue *queue.Client
	took  func(*messages.BuildRecord) // is given each record as it was read
	asked mark                        // set when one is known to have changed

	mu      sync.RWMutex
	all     []*endedBuild
	by      map[string]*endedBuild
	next    uint64 // the first revision that was not read yet
	texts   texts
	more    bool   // there are older ones, which are not listed
	clock   uint64 // rises with each change
	changed bool   // since it rose last
	problem string // why they could not be read
	ready   chan struct{}
}

func newEndedBuilds(q *queue.Client, took func(*messages.BuildRecord)) *endedBuilds {
	return &endedBuilds{queue: q, took: took, asked: newMark(), by: map[string]*endedBuild{}, ready: make(chan struct{})}
}

// run reads what there is, and then what is written, and tells by note when something has changed.
func (l *endedBuilds) run(ctx context.Context, note func()) error {
	look := time.NewTicker(endedLook)
	defer look.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-l.asked:
			err = l.read(ctx)
		case <-look.C:
			err = l.forgetGone(ctx)
		}
		if l.ended(err) {
			note()
		}
		if err != nil {
			l.asked.set()
		}
		if !queue.Pause(ctx, endedEvery) {
			return nil
		}
	}
}

// ended notes how a reading ended, and tells whether pages show something else now.
func (l *endedBuilds) ended(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.problem
	if l.problem = ""; err != nil {
		l.problem = err.Error()
	} else if !l.caught() {
		close(l.ready)
		l.changed = true
	}
	moved := l.changed || was != l.problem
	if l.changed = false; moved {
		l.clock++
	}
	return moved
}

func (l *endedBuilds) caught() bool {
	select {
	case <-l.ready:
		return true
	default:
		return false
	}
}

// read takes in what was written since it was read last.
func (l *endedBuilds) read(ctx context.Context) error {
	records := store.Builds(l.queue)
	info, err := records.Info(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	if l.next > info.Last+1 { // of a bucket before this one
		l.next, l.all, l.by, l.changed = 0, nil, map[string]*endedBuild{}, true
	}
	if l.next == 0 {
		l.next = info.First
		if info.Messages > endedMost {
			l.more = true
			l.next = max(l.next, info.Last-endedMost*(info.Last-info.First+1)/info.Messages)
		}
	}
	from := l.next
	l.mu.Unlock()
	err = records.Since(ctx, from, func(e queue.Entry[messages.BuildRecord]) bool {
		l.add(e.Revision, &e.Value)
		return true
	}, func(u queue.Broken) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.next = max(l.next, u.Revision+1)
		return true
	})
	l.trim()
	return err
}

// trim puts the list in order, and lets go of what is too much.
func (l *endedBuilds) trim() {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortFunc(l.all, (*endedBuild).later)
	for len(l.all) > endedMost {
		l.more = true
		delete(l.by, l.all[len(l.all)-1].Build)
		l.all = l.all[:len(l.all)-1]
	}
}

// add takes in a record as it was written at a revision.
func (l *endedBuilds) add(revision uint64, r *messages.BuildRecord) {
	l.took(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = max(l.next, revision+1)
	if !r.Ended() {
		return
	}
	b := endedOf(r, &l.texts)
	l.changed = true
	if known := l.by[b.Build]; known != nil {
		*known = *b // who reads the list has copies
		return
	}
	l.by[b.Build] = b
	l.all = append(l.all, b)
}

// forgetGone forgets the builds whose records are gone.
func (l *endedBuilds) forgetGone(ctx context.Context) error {
	records := store.Builds(l.queue)
	there, err := l.queue.Subjects(ctx, "KV_"+l.queue.Space().BuildsBucket(), records.Subject("*"))
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(b *endedBuild) bool {
		gone := there[records.Subject(b.Build)] == 0
		if gone {
			delete(l.by, b.Build)
			l.changed = true
		}
		return gone
	})
	return nil
}

// buildFilter says which of the builds that have ended a page shows.
type buildFilter struct {
	Pipeline, State, Text string
	Page                  int // from 1
}

// buildsPerPage is how many ended builds a page shows.
const buildsPerPage = 50

func (f *buildFilter) takes(b *endedBuild) bool {
	if f.Pipeline != "" && b.Pipeline != f.Pipeline || f.State != "" && b.State != f.State {
		return false
	}
	if f.Text == "" {
		return true
	}
	text := strings.ToLower(f.Text)
	return slices.ContainsFunc([]string{b.Build, b.Pipeline, b.Ref, b.Commit, b.By, b.Why, b.Reason.String()}, func(s string) bool { return strings.Contains(strings.ToLower(s), text) })
}

// endedPage is a page of the builds that have ended.
type endedPage struct {
	Builds             []endedBuild
	Total, First, Last int
	More               bool // there are older ones, which are not listed
	Reading            bool // they have not all been read yet
	Problem            string
	Before, Next       string // addresses of the pages beside this one, or ""
}

// page is a page of what a filter takes.
func (l *endedBuilds) page(f *buildFilter) endedPage {
	l.mu.RLock()
	defer l.mu.RUnlock()
	p := endedPage{More: l.more, Reading: !l.caught(), Problem: l.problem}
	from := (f.Page - 1) * buildsPerPage
	for _, b := range l.all {
		if !f.takes(b) {
			continue
		}
		if p.Total >= from && len(p.Builds) < buildsPerPage {
			p.Builds = append(p.Builds, *b)
		}
		p.Total++
	}
	p.First, p.Last = min(from+1, p.Total), min(from, p.Total)+len(p.Builds)
	return p
}

// durations are some of the last builds of each pipeline, or of one alone, whose time is known, the oldest first.
func (l *endedBuilds) durations(of string, most int) map[string][]endedBuild {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := map[string][]endedBuild{}
	for _, b := range l.all {
		if (of == "" || b.Pipeline == of) && b.Took > 0 && len(out[b.Pipeline]) < most {
			out[b.Pipeline] = append(out[b.Pipeline], *b)
		}
	}
	for _, all := range out {
		slices.Reverse(all)
	}
	return out
}

// pipelines are those that have ended builds.
func (l *endedBuilds) pipelines() []string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	names := map[string]bool{}
	for _, b := range l.all {
		names[b.Pipeline] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// now is the change that the list is of.
func (l *endedBuilds) now() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.clock
}

// laterImage is the newest build of the pipeline of b that has made an image and has a later order, or "".
func (l *endedBuilds) laterImage(b *overview.Build) string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	order, build := b.Order, ""
	for _, o := range l.all {
		if o.Pipeline == b.Pipeline && o.State == string(messages.BuildStateSucceeded) && o.Order > order {
			order, build = o.Order, o.Build
		}
	}
	return build
}
