package console

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/overview"
)

const (
	// followsMost is how many builds' logs are followed at one time, however many pages show them.
	followsMost = 64
	// followsEach is how many of them one person's pages can begin, so that nobody takes all.
	followsEach = 16
	// followIdle is how long one is kept that no page shows any more: a browser that opens a page asks for its changes next.
	followIdle = 30 * time.Second
	// followAgain is when a log that could not be read is tried again.
	followAgain = 5 * time.Second
	// followEvery is how often pages hear of what came of a log at the most.
	followEvery = 300 * time.Millisecond
	// logHead and logTail are how many messages of a log are read, of its beginning and its end: one of 50 MB has some 100,000.
	logHead = 300
	logTail = 3000
	// attemptsMost is how many attempts of a build are listed: the last.
	attemptsMost = 20
)

// errTooMany tells that no other log can be followed.
var errTooMany = fmt.Errorf("the console follows the logs of %d builds already", followsMost)

// errTooManyOwn tells that no other log can be followed for the same person.
var errTooManyOwn = fmt.Errorf("you have pages of %d builds open already: close some", followsEach)

// errEnough ends a reading that has all that it wanted.
var errEnough = errors.New("enough was read")

// follows are the builds whose pages are open.
type follows struct {
	queue *queue.Client

	mu  sync.Mutex
	all map[string]*follow
	ctx context.Context //nolint:containedctx // of the console, once it runs
}

func newFollows(q *queue.Client) *follows { return &follows{queue: q, all: map[string]*follow{}} }

// begin lets builds be followed until ctx ends.
func (f *follows) begin(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ctx = ctx
}

// run drops what no page shows, until ctx ends.
func (f *follows) run(ctx context.Context) error {
	tick := time.NewTicker(followIdle / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.dropIdle(followIdle)
		}
	}
}

// dropIdle ends what no page has shown for so long.
func (f *follows) dropIdle(longer time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for build, one := range f.all {
		if one.pages == 0 && time.Since(one.idle) >= longer {
			one.cancel()
			delete(f.all, build)
		}
	}
}

// get is what is followed of a build for a person's page, which is begun where it was not. Done lets it go.
func (f *follows) get(build, pipeline, person string) (_ *follow, done func(), err error) {
	f.mu.Lock()
	full := len(f.all) >= followsMost && f.all[build] == nil
	f.mu.Unlock()
	if full {
		f.dropIdle(0)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.all[build]
	switch {
	case one != nil:
	case f.ctx == nil:
		return nil, nil, errors.New("the console has not begun")
	case len(f.all) >= followsMost:
		return nil, nil, errTooMany
	case f.shownTo(person) >= followsEach:
		return nil, nil, errTooManyOwn
	default:
		ctx, cancel := context.WithCancel(f.ctx)
		one = &follow{
			queue: f.queue, build: build, pipeline: pipeline, stale: true, cancel: cancel, ready: make(chan struct{}), over: make(chan struct{}),
			made: map[int]madeStep{}, pagesOf: map[string]int{},
		}
		f.all[build] = one
		go one.run(ctx)
	}
	one.pages++
	one.pagesOf[person]++
	return one, sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if one.pages--; one.pages == 0 {
			one.idle = time.Now()
		}
		if one.pagesOf[person]--; one.pagesOf[person] == 0 {
			delete(one.pagesOf, person)
		}
	}), nil
}

// shownTo is how many builds a person's pages show. It is called with mu held.
func (f *follows) shownTo(person string) (n int) {
	for _, one := range f.all {
		if one.pagesOf[person] > 0 {
			n++
		}
	}
	return n
}

// see takes in a build's record as it was read.
func (f *follows) see(r *messages.BuildRecord) {
	f.mu.Lock()
	one := f.all[r.Build]
	f.mu.Unlock()
	if one == nil {
		return
	}
	one.moved()
	if r.Ended() && r.Announced {
		one.end()
	}
}

// follow is the log of one build, read once for all pages that show it.
type follow struct {
	queue           *queue.Client
	build, pipeline string
	cancel          context.CancelFunc
	ready           chan struct{} // closed once what there was is read, or could not be
	caught          sync.Once
	reading         sync.Mutex    // held while what is known beside the log is read
	over            chan struct{} // closed once the build has ended
	once            sync.Once

	pages   int            // that show it; with the lock of all
	pagesOf map[string]int // those of each person who has some; likewise
	idle    time.Time      // since when none does; likewise

	mu       sync.Mutex
	stale    bool // what is known beside the log is to be read anew
	about    aboutBuild
	version  uint64 // of that
	log      overview.Log
	attempts []startedAttempt
	gap      uint64           // messages between the log's beginning and its end that were not read
	problem  string           // why it can't be read
	changed  bool             // since pages were woken last
	made     map[int]madeStep // steps as pages show them, by number

	open  listeners
	heads headCache
}

// startedAttempt is one that was announced.
type startedAttempt struct {
	Attempt int
	Worker  string
	At      time.Time
}

// headCache has what stands above a log as it was made last, for those who decide and those who look.
type headCache struct {
	mu   sync.Mutex
	made map[bool]madePart
}

// get is that as of a change, made where it was not yet.
func (h *headCache) get(decides bool, clock uint64, make func() template.HTML) template.HTML {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m, known := h.made[decides]; known && m.clock == clock {
		return m.html
	}
	if h.made == nil {
		h.made = map[bool]madePart{}
	}
	h.made[decides] = madePart{clock, make()}
	return h.made[decides].html
}

// madeStep is a step as it was made.
type madeStep struct {
	version int
	part    part
}

// end notes that the build has ended: what is there of its log is read, and no more.
func (f *follow) end() { f.once.Do(func() { close(f.over) }) }

// moved notes that the build's record has changed.
func (f *follow) moved() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stale = true
}

// run reads the log until the build has ended, or ctx does, and again where it can't be read.
func (f *follow) run(ctx context.Context) {
	var waking sync.WaitGroup
	defer waking.Wait()
	waking.Go(func() { f.wake(ctx) })
	for {
		err := f.read(ctx)
		f.mu.Lock()
		f.problem, f.changed = "", true
		if err != nil {
			f.problem = err.Error()
		}
		f.mu.Unlock()
		f.isReady()
		if err == nil || !queue.Pause(ctx, followAgain) {
			return
		}
		f.mu.Lock()
		f.log, f.gap, f.made = overview.Log{}, 0, map[int]madeStep{}
		f.mu.Unlock()
	}
}

func (f *follow) isReady() { f.caught.Do(func() { close(f.ready) }) }

// wake wakes pages when something has come.
func (f *follow) wake(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.refresh(ctx)
			f.settle()
		}
	}
}

// refresh reads anew what is known of the build beside its log, where that has changed.
func (f *follow) refresh(ctx context.Context) {
	f.reading.Lock() // who comes meanwhile has what is read
	defer f.reading.Unlock()
	f.mu.Lock()
	stale := f.stale
	f.stale = false
	f.mu.Unlock()
	if !stale {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sideTime)
	defer cancel()
	about, err := readAbout(ctx, f.queue, f.build)
	attempts, startedErr := f.readAttempts(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed = true; err != nil || startedErr != nil {
		f.stale = true // it is tried again
	}
	if about.build != nil {
		f.about = about
		f.version++
	}
	if startedErr == nil {
		f.attempts = attempts
	}
}

func (f *follow) settle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.changed {
		return
	}
	f.changed = false
	f.open.wake()
}

func (f *follow) read(ctx context.Context) error {
	space := f.queue.Space()
	subject := space.AnyVersion(messages.TypeBuildLog, f.pipeline, f.build)
	from, before, err := f.queue.Tail(ctx, space.LogsStream(), subject, logTail)
	if err != nil {
		return err
	}
	o := queue.ReadOptions{Filters: []string{subject}}
	if before > 0 {
		if err := f.readHead(ctx, o, min(before, logHead)); err != nil {
			return err
		}
		f.skip(before)
	}
	f.refresh(ctx)
	last := from
	take := func(r queue.Received) error {
		last = r.Sequence + 1
		f.take(r)
		return nil
	}
	following, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-f.over:
			stop()
		case <-following.Done():
		}
	}()
	o.FromSequence, o.Follow, o.CaughtUp = from, true, f.isReady
	err = f.queue.Read(following, space.LogsStream(), o, take)
	if ctx.Err() != nil || following.Err() == nil {
		return err
	}
	o = queue.ReadOptions{Filters: o.Filters, FromSequence: last} // what came with the end
	err = f.queue.Read(ctx, space.LogsStream(), o, take)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log.End()
	return err
}

// readHead reads the first messages.
func (f *follow) readHead(ctx context.Context, o queue.ReadOptions, most uint64) error {
	n := uint64(0)
	err := f.queue.Read(ctx, f.queue.Space().LogsStream(), o, func(r queue.Received) error {
		f.take(r)
		if n++; n >= most {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// skip notes how much of the log is not read between its beginning and its end.
func (f *follow) skip(before uint64) {
	if before <= logHead {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gap = before - logHead
	f.log.Say(fmt.Sprintf("Here %d messages are left out.", f.gap))
}

// readAttempts reads who began the build when.
func (f *follow) readAttempts(ctx context.Context) (all []startedAttempt, err error) {
	space := f.queue.Space()
	o := queue.ReadOptions{Filters: []string{space.AnyVersion(messages.TypeBuildStarted, f.pipeline, f.build)}}
	err = f.queue.Read(ctx, space.EventsStream(), o, func(r queue.Received) error {
		if s, ok := r.Payload.(*messages.BuildStarted); ok {
			all = append(all, startedAttempt{s.Attempt, s.Worker, r.Stored})
			all = all[max(0, len(all)-attemptsMost):]
		}
		return nil
	})
	return all, err
}

func (f *follow) take(r queue.Received) {
	l, ok := r.Payload.(*messages.BuildLog)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log.Take(l)
	f.changed, f.stale = true, f.stale || l.Step == messages.StepClaimed
}

// parts are what a page shows of the log: what is left out, and each step.
func (f *follow) parts(render func(name string, v any) template.HTML) []part {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []part{{"logsays", render("logsays", logSays{f.build, f.gap, f.log.Dropped, f.log.Cut, f.problem, len(f.log.Steps) == 0})}}
	for _, s := range f.log.Steps {
		m, known := f.made[s.N]
		if !known || m.version != s.Version {
			m = madeStep{s.Version, part{fmt.Sprintf("s-%d", s.N), render("step", s)}}
			f.made[s.N] = m
		}
		out = append(out, m.part)
	}
	if len(f.made) > 2*len(f.log.Steps) {
		for n := range f.made {
			if !slices.ContainsFunc(f.log.Steps, func(s *overview.LogStep) bool { return s.N == n }) {
				delete(f.made, n)
			}
		}
	}
	return out
}

// logSays is what is said of a log before its steps.
type logSays struct {
	Build   string
	Gap     uint64 // messages that were not read
	Dropped int    // steps that are not kept
	Cut     int64  // bytes that are not
	Problem string
	Empty   bool
}

// known is what is known of the build beside its log, and a number that rises when that changes.
func (f *follow) known() (about aboutBuild, began []startedAttempt, version uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.about, slices.Clone(f.attempts), f.version
}
