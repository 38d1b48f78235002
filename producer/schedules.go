package producer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"golang.org/x/sync/semaphore"
)

// A schedule's time leads to one build, however many producers run. Its record says which time was seen to last; whoever
// writes the next one there, by revision, with the ID of the build, asks for that build. If it dies before that is done, another one asks
// for the same build once the record has rested for a while. Times that came while no producer was there, or while the
// repository was away, become one.
//
// The time is that of NATS, by which records are stamped, too: a producer whose clock is wrong has nothing built too soon or twice.

// Clock tells the time that producers share.
type Clock interface {
	Now(ctx context.Context) (time.Time, error)
}

// Schedules are the records that producers share of schedules, by messages.ScheduleKey.
type Schedules interface {
	// Current reads a record as it is now; queue.ErrNotFound where there is none.
	Current(ctx context.Context, key string) (queue.Entry[messages.ScheduleRecord], error)
	// Create writes one that is not there; queue.ErrExists where it is.
	Create(ctx context.Context, key string, r messages.ScheduleRecord) (uint64, error)
	// Update changes one that is at a revision; queue.ErrMoved where it isn't.
	Update(ctx context.Context, key string, r messages.ScheduleRecord, revision uint64) (uint64, error)
	// Delete removes one that is at a revision; queue.ErrMoved where it isn't.
	Delete(ctx context.Context, key string, revision uint64) error
	// List reads all of them.
	List(ctx context.Context) ([]queue.Entry[messages.ScheduleRecord], error)
}

var (
	_ Clock     = (*store.Clock)(nil)
	_ Schedules = (*queue.Records[messages.ScheduleRecord])(nil)
)

const (
	// scheduleLook is the longest pause between looks at the clock, which may be set.
	scheduleLook = 30 * time.Second
	// scheduleRest is how long a record rests until another producer takes its build over; a try is over before.
	scheduleRest = time.Minute
	scheduleTry  = scheduleRest - 10*time.Second
	// scheduleMost is the longest pause between tries that fail. The first is scheduleRest, and doubles.
	scheduleMost = 10 * time.Minute
	// clockSet is how far a time that was seen to can be ahead without the clock having been wrong then.
	clockSet = 5 * time.Minute
	// clockAge is how long a reading of the clock is good for.
	clockAge = 10 * time.Second
	// schedulesAtOnce bounds how many repositories are asked at one time.
	schedulesAtOnce = 8
)

// scheduledBy is who asks for builds whose time has come, for people.
const scheduledBy = "schedule"

// schedules is what a producer knows of its schedules.
type schedules struct {
	records Schedules
	clock   Clock
	changed chan struct{} // has one when other pipelines came into force
	turns   *semaphore.Weighted

	reading  sync.Mutex // of the clock
	read, at time.Time  // what it said, and when
	clockAge time.Duration

	lock  sync.Mutex
	state map[string]ScheduleState // by key
	told  map[string]string        // what was said last of each, by key
}

// begin takes where schedules are kept, if they are.
func (s *schedules) begin(records Schedules, clock Clock) {
	s.records, s.clock = records, clock
	s.changed, s.turns, s.clockAge = make(chan struct{}, 1), semaphore.NewWeighted(schedulesAtOnce), clockAge
	s.state, s.told = map[string]ScheduleState{}, map[string]string{}
}

// now is the time that producers share. It is asked for once for all schedules that look at about the same time.
func (s *schedules) now(ctx context.Context) (time.Time, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if since := time.Since(s.at); !s.at.IsZero() && since < s.clockAge {
		return s.read.Add(since), nil
	}
	now, err := s.clock.Now(ctx)
	if err == nil {
		s.read, s.at = now, time.Now()
	}
	return now, err
}

// followSchedules has built what each schedule's time has come for, and takes in those of other pipelines that come into
// force, until ctx ends.
func (p *Producer) followSchedules(ctx context.Context) {
	if p.schedules.records == nil {
		return
	}
	for ctx.Err() == nil {
		following, stop := context.WithCancel(ctx)
		var all sync.WaitGroup
		pipelines := p.inForce.Load().pipelines
		p.schedules.keep(pipelines)
		all.Go(func() { p.forgetSchedules(following, pipelines) })
		for _, d := range pipelines.declared {
			for i := range d.schedules {
				all.Go(func() { p.followSchedule(following, d, &d.schedules[i]) })
			}
		}
		select {
		case <-ctx.Done():
		case <-p.schedules.changed:
		}
		stop()
		all.Wait()
	}
}

// followSchedule is followSchedules for one.
func (p *Producer) followSchedule(ctx context.Context, d *declared, s *scheduled) {
	var last *messages.ScheduleRecord // as it was seen last
	for {
		wait, err := p.lookAtSchedule(ctx, d, s, &last)
		if ctx.Err() != nil {
			return
		}
		p.schedules.say(p, d, s, err)
		if !queue.Pause(ctx, wait) {
			return
		}
	}
}

// lookAtSchedule sees to a schedule's time if it has come, and says when to look again. seen is the record as it was
// seen last.
func (p *Producer) lookAtSchedule(ctx context.Context, d *declared, s *scheduled, seen **messages.ScheduleRecord) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, scheduleTry)
	defer cancel()
	now, err := p.schedules.now(ctx)
	if err != nil {
		return scheduleLook, err
	}
	next := s.schedule.Next(now)
	p.schedules.note(d, s, *seen, next)
	wait := scheduleLook
	if until := next.Sub(now); !next.IsZero() && until < wait {
		wait = until
	}
	if *seen != nil && !(*seen).Pending() && s.schedule.Last((*seen).Last, now).IsZero() && (*seen).Last.Before(now.Add(clockSet)) {
		return wait, nil
	}
	c, err := p.schedules.claim(ctx, d, s, now, *seen)
	if err == nil && c.ours {
		err = p.askScheduled(ctx, d, s, &c)
	}
	if c.record != nil {
		*seen = c.record
	}
	p.schedules.note(d, s, *seen, next)
	if err == nil && (c.record == nil || !c.ours && !c.record.Pending()) { // others write it, too
		wait = min(wait, time.Second)
	}
	return wait, err
}

// claim is a schedule's record, and whether this producer is the one that asks for its build.
type claim struct {
	record   *messages.ScheduleRecord
	revision uint64
	ours     bool
	again    bool // somebody may have asked for the build already
	now      time.Time
}

// claim reads a schedule's record, makes it where there is none, and writes there that its time has come, where it has.
func (s *schedules) claim(ctx context.Context, d *declared, of *scheduled, now time.Time, seen *messages.ScheduleRecord) (claim, error) {
	key := of.key(d.pipeline.Name)
	e, err := s.records.Current(ctx, key)
	if errors.Is(err, queue.ErrNotFound) {
		r := messages.ScheduleRecord{Pipeline: d.pipeline.Name, Schedule: of.String(), Branch: of.Branch, Last: now.UTC()}
		if seen != nil { // somebody has removed it whose file has no such schedule
			r = *seen
		}
		revision, err := s.records.Create(ctx, key, r)
		if errors.Is(err, queue.ErrExists) {
			return claim{}, nil // by another producer: the next look finds it
		}
		return claim{record: &r, revision: revision}, err
	}
	if err != nil {
		return claim{}, err
	}
	r := e.Value
	c := claim{record: &r, revision: e.Revision, now: now}
	due := of.schedule.Last(r.Last, now)
	switch {
	case r.Last.After(now.Add(clockSet)): // the clock was ahead then, and nothing would come until it is there again
		r.Last = now.UTC()
		if r.Pending() {
			r.Build = ""
		}
		r.Tried = time.Time{}
		return c.write(ctx, s.records, key)
	case r.Pending() && now.Sub(r.Tried) < scheduleWait(r.Tries):
		return c, nil
	case r.Pending():
		c.again = true
	case due.IsZero():
		return c, nil
	default:
		r.Last, r.Build, r.Asked, r.Tries = due, messages.NewBuildID(d.pipeline.Name), false, 0
	}
	r.Tries, r.Tried, c.ours = r.Tries+1, now.UTC(), true
	return c.write(ctx, s.records, key)
}

// write changes the record. Where somebody else has, the claim is theirs.
func (c claim) write(ctx context.Context, to Schedules, key string) (claim, error) {
	revision, err := to.Update(ctx, key, *c.record, c.revision)
	if errors.Is(err, queue.ErrMoved) {
		return claim{}, nil
	}
	if err != nil {
		return claim{}, err
	}
	c.revision = revision
	return c, nil
}

// scheduleWait is how long a record rests after so many tries until its build is tried again.
func scheduleWait(tries int) time.Duration {
	return min(scheduleRest<<min(max(tries-1, 0), 10), scheduleMost)
}

// askScheduled asks for the build of a schedule's time, and writes down what became of that.
func (p *Producer) askScheduled(ctx context.Context, d *declared, s *scheduled, c *claim) error {
	err := p.requestScheduled(ctx, d, s, c)
	next := *c.record
	next.Asked, next.Problem = err == nil, ""
	if err != nil {
		next.Problem = messages.Shorten(err.Error(), mostProblem)
	}
	// Also where the try has used its time up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	moved, writeErr := p.schedules.records.Update(ctx, s.key(d.pipeline.Name), next, c.revision)
	if errors.Is(writeErr, queue.ErrMoved) {
		writeErr = nil // whoever did goes on with it
	}
	if writeErr == nil {
		c.record, c.revision = &next, moved
	}
	return errors.Join(err, writeErr)
}

// mostProblem bounds, in bytes, what a record keeps of an error.
const mostProblem = 1000

// requestScheduled asks for the build of the branch's head as it is now.
func (p *Producer) requestScheduled(ctx context.Context, d *declared, s *scheduled, c *claim) error {
	log := p.log.With().Str("pipeline", d.pipeline.Name).Stringer("schedule", s).Str("build", c.record.Build).Logger()
	if c.again {
		_, err := p.queue.Stored(ctx, c.record.Build)
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			return err
		}
		if err == nil {
			log.Info().Msg("the build whose time has come was asked for by who is gone")
			return nil
		}
		if due := s.schedule.Last(c.record.Last, c.now); !due.IsZero() { // another time has come: the two become one
			c.record.Last = due
		}
	}
	if err := p.schedules.turns.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("waiting for other repositories: %w", err)
	}
	defer p.schedules.turns.Release(1)
	pipeline := d.pipeline.At(branchRefs + s.Branch)
	remote, err := p.remote(&pipeline)
	if err != nil {
		return err
	}
	commit, err := git.Head(ctx, remote)
	if err != nil {
		return err
	}
	r := &messages.BuildRequested{
		Build: c.record.Build, Pipeline: pipeline, Commit: commit, Cause: messages.CausePush, RequestedBy: scheduledBy,
		Reason:  &messages.Reason{Kind: messages.ReasonSchedule, Link: c.record.Last.UTC().Format(time.RFC3339), Detail: s.String()},
		NoCache: true, OnlyIf: s.OnlyIf, Received: p.now().UTC(),
	}
	r.SetRef(branchRefs + s.Branch)
	a, err := p.queue.Request(ctx, r, "")
	if err != nil {
		return err
	}
	c.record.Build = a.Build // an earlier one, where the clock was put back and the time has come once more
	log.Info().Str("asked", a.Build).Uint64("order", a.Order).Str("commit", commit).Time("due", c.record.Last).Msg("a schedule's time has come: a build is asked for")
	return nil
}

// forgetSchedules removes the records of schedules that the pipelines in force don't have. Another producer whose file
// still has one makes it again, as it knew it.
func (p *Producer) forgetSchedules(ctx context.Context, pipelines *Pipelines) {
	kept := map[string]bool{}
	for _, d := range pipelines.declared {
		for i := range d.schedules {
			kept[d.schedules[i].key(d.pipeline.Name)] = true
		}
	}
	all, err := p.schedules.records.List(ctx)
	if err != nil { // said by each schedule, where there are any
		return
	}
	for _, e := range all {
		if kept[e.Key] {
			continue
		}
		if err := p.schedules.records.Delete(ctx, e.Key, e.Revision); err == nil {
			p.log.Info().Str("pipeline", e.Value.Pipeline).Str("schedule", e.Value.Schedule).Msg("the schedule is not in the pipeline file any more: it is forgotten")
		}
	}
}
