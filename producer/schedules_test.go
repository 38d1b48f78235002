package producer

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/rs/zerolog"
)

// setClock is a clock that a test sets.
type setClock struct {
	lock sync.Mutex
	time time.Time
	from time.Time // when it was set, where it runs on
}

func (c *setClock) Now(context.Context) (time.Time, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if !c.from.IsZero() {
		return c.time.Add(time.Since(c.from)), nil
	}
	return c.time, nil
}

// set sets it to a time of RFC 3339.
func (c *setClock) set(t *testing.T, text string) {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	c.time = at
}

// timetable is an installation with a repository, and producers of one pipeline file that look when they are told to.
type timetable struct {
	t         *testing.T
	clock     *setClock
	nats      *queuetest.Server
	client    *queue.Client
	repo      *gittest.Repository
	file      string
	producers []*onTime
}

// onTime is a producer, and what it has seen of its schedules.
type onTime struct {
	*Producer
	seen map[*scheduled]**messages.ScheduleRecord
}

const nightly = "    schedule: [{cron: \"0 3 * * *\", time_zone: Europe/Berlin}]"

// newTimetable has n producers, and the lines of a pipeline.
func newTimetable(t *testing.T, n int, lines ...string) *timetable {
	t.Helper()
	tt := &timetable{t: t, clock: &setClock{}, nats: queuetest.Start(t)}
	tt.client = tt.nats.Client(t)
	tt.repo = gittest.Start(t).Repository(t, "base")
	tt.repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	tt.file = strings.Replace(item(lines...), "https://git.example.com/base.git", tt.repo.URL, 1)
	tt.clock.set(t, "2027-06-01T12:00:00Z")
	tt.start(n)
	return tt
}

// start has these producers take the place of those before.
func (tt *timetable) start(n int) {
	tt.producers = nil
	for range n {
		tt.producers = append(tt.producers, tt.producer(tt.nats.Client(tt.t)))
	}
}

func (tt *timetable) producer(c *queue.Client) *onTime {
	p, err := New(Config{Pipelines: load(tt.t, tt.file), Queue: builds.New(c), SecretsDir: tt.t.TempDir(), Schedules: store.Schedules(c), Clock: tt.clock, Logger: zerolog.Nop()})
	if err != nil {
		tt.t.Fatal(err)
	}
	p.schedules.clockAge = 0
	o := &onTime{Producer: p, seen: map[*scheduled]**messages.ScheduleRecord{}}
	for _, d := range p.inForce.Load().pipelines.declared {
		for i := range d.schedules {
			o.seen[&d.schedules[i]] = new(*messages.ScheduleRecord)
		}
	}
	return o
}

// look has a producer look at all of its schedules once.
func (o *onTime) look(ctx context.Context) (errs error) {
	for _, d := range o.inForce.Load().pipelines.declared {
		for i := range d.schedules {
			s := &d.schedules[i]
			_, err := o.lookAtSchedule(ctx, d, s, o.seen[s])
			o.schedules.say(o.Producer, d, s, err)
			errs = errors.Join(errs, err)
		}
	}
	return errs
}

// look has all producers look at one time, more than once, and returns what is asked for.
func (tt *timetable) look() map[string]messages.BuildRequested {
	tt.t.Helper()
	for range 3 {
		var all sync.WaitGroup
		for _, p := range tt.producers {
			all.Go(func() {
				if err := p.look(tt.t.Context()); err != nil {
					tt.t.Errorf("looking: %v", err)
				}
			})
		}
		all.Wait()
	}
	return stored(tt.t, tt.client)
}

func (tt *timetable) at(text string, builds int) map[string]messages.BuildRequested {
	tt.t.Helper()
	tt.clock.set(tt.t, text)
	got := tt.look()
	if len(got) != builds {
		tt.t.Errorf("at %s there are %d builds in place of %d", text, len(got), builds)
	}
	return got
}

// only is the one record of a schedule.
func (tt *timetable) only() queue.Entry[messages.ScheduleRecord] {
	tt.t.Helper()
	all, err := store.Schedules(tt.client).List(tt.t.Context())
	if err != nil || len(all) != 1 {
		tt.t.Fatalf("the records are %+v, %v", all, err)
	}
	return all[0]
}

// TestAConditionOfAScheduleIsInItsRequests and in what producers say of it.
func TestAConditionOfAScheduleIsInItsRequests(t *testing.T) {
	tt := newTimetable(t, 1, strings.Replace(nightly, "}", ", only_if: changed}", 1))
	tt.at("2027-06-01T12:00:00Z", 0)
	for _, b := range tt.at("2027-06-02T01:00:00Z", 1) {
		if b.OnlyIf != messages.OnlyIfChanged || !b.NoCache {
			t.Errorf("it asks for %+v", b)
		}
	}
	if s := tt.producers[0].Schedules()[0]; s.OnlyIf != "changed" || s.Build == "" {
		t.Errorf("it is said to be %+v", s)
	}
}

// TestAScheduleComesOnceHoweverManyProducersRun has four, which all look at one time.
func TestAScheduleComesOnceHoweverManyProducersRun(t *testing.T) {
	tt := newTimetable(t, 4, nightly)
	tt.at("2027-06-01T12:00:00Z", 0)
	tt.at("2027-06-02T00:59:59Z", 0)
	for _, b := range tt.at("2027-06-02T01:00:00Z", 1) {
		want := messages.Reason{Kind: messages.ReasonSchedule, Link: "2027-06-02T01:00:00Z", Detail: "0 3 * * * Europe/Berlin"}
		if b.Reason == nil || *b.Reason != want || b.Ref != "refs/heads/main" || b.Cause != messages.CausePush || !b.NoCache || b.OnlyIf != "" || b.RequestedBy != scheduledBy {
			t.Errorf("it asks for %+v", b)
		}
	}
	tt.at("2027-06-02T01:10:00Z", 1)
	tt.start(4) // all of them anew
	tt.at("2027-06-02T02:00:00Z", 1)
	tt.at("2027-06-03T01:00:05Z", 2) // the same commit again
	for _, s := range tt.producers[0].Schedules() {
		if s.Next.Format(time.RFC3339) != "2027-06-04T01:00:00Z" || s.Last.Format(time.RFC3339) != "2027-06-03T01:00:00Z" || s.Build == "" || s.Problem != "" {
			t.Errorf("it tells %+v", s)
		}
	}
}

// TestMissedTimesBecomeOne has no producer for an hour, and for a week.
func TestMissedTimesBecomeOne(t *testing.T) {
	tt := newTimetable(t, 2, "    schedule: [{cron: \"*/10 * * * *\"}]")
	tt.at("2027-06-01T12:00:00Z", 0)
	tt.start(3)
	tt.at("2027-06-01T13:05:00Z", 1)
	tt.start(3)
	got := tt.at("2027-06-08T13:05:00Z", 2)
	if b, ok := got[tt.only().Value.Build]; !ok || b.Reason.Link != "2027-06-08T13:00:00Z" {
		t.Errorf("it asks for %+v", b)
	}
}

// TestAProducerThatDiesLeavesItsBuildToOthers dies before it asks for the build, and after.
func TestAProducerThatDiesLeavesItsBuildToOthers(t *testing.T) {
	tt := newTimetable(t, 3, nightly)
	tt.at("2027-06-01T12:00:00Z", 0)
	dying := tt.producers[0]
	d := dying.inForce.Load().pipelines.declared[0]
	claim := func(at string) claim {
		t.Helper()
		tt.clock.set(t, at)
		now, _ := tt.clock.Now(t.Context())
		c, err := dying.schedules.claim(t.Context(), d, &d.schedules[0], now, nil)
		if err != nil || !c.ours {
			t.Fatalf("it claims %+v, %v", c, err)
		}
		return c
	}
	before := claim("2027-06-02T01:00:00Z")
	tt.producers = tt.producers[1:]
	tt.at("2027-06-02T01:00:30Z", 0)
	got := tt.at("2027-06-02T01:01:01Z", 1)
	if _, ok := got[before.record.Build]; !ok {
		t.Errorf("another build is asked for: %+v", got)
	}
	after := claim("2027-06-03T01:00:00Z")
	if err := dying.requestScheduled(t.Context(), d, &d.schedules[0], &after); err != nil {
		t.Fatal(err)
	}
	// Others are asked for since, and the next time has come.
	tt.repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n# 2\n"})
	push := &messages.BuildRequested{Build: messages.NewBuildID("base"), Pipeline: d.pipeline, Ref: "refs/heads/main", Commit: testCommit, Cause: messages.CausePush, Received: time.Now()}
	if _, err := builds.New(tt.client).Request(t.Context(), push, ""); err != nil {
		t.Fatal(err)
	}
	got = tt.at("2027-06-04T01:00:00Z", 4) // two, the push, and that of today
	if b := got[tt.only().Value.Build]; b.Reason == nil || b.Reason.Link != "2027-06-04T01:00:00Z" {
		t.Errorf("today's is %+v", b)
	}
}

// TestARepositoryThatIsAwayHasTheBuildComeLater says so meanwhile, and asks for one build once it is back.
func TestARepositoryThatIsAwayHasTheBuildComeLater(t *testing.T) {
	tt := newTimetable(t, 1, "    schedule: [{cron: \"0 * * * *\"}]", "    repository_token: reader")
	if err := tt.producers[0].look(t.Context()); err != nil {
		t.Fatal(err)
	}
	tt.clock.set(t, "2027-06-01T13:00:00Z")
	if err := tt.producers[0].look(t.Context()); !errors.Is(err, errNoToken) {
		t.Errorf("it finds %v", err)
	}
	r := tt.only().Value
	if s := tt.producers[0].Schedules()[0]; r.Problem == "" || !r.Pending() || !strings.Contains(s.Problem, "repository_token") {
		t.Errorf("it tells %+v of %+v", s, r)
	}
	tt.file = strings.Replace(tt.file, "    repository_token: reader\n", "", 1)
	tt.start(2)
	tt.at("2027-06-01T13:00:20Z", 0) // not at once again
	got := tt.at("2027-06-01T14:30:00Z", 1)
	if b := got[r.Build]; b.Reason == nil || b.Reason.Link != "2027-06-01T14:00:00Z" {
		t.Errorf("it asks for %+v", got)
	}
	if s := tt.producers[0].Schedules()[0]; s.Problem != "" || tt.only().Value.Problem != "" {
		t.Errorf("it tells %+v of %+v", s, tt.only().Value)
	}
}

// TestAClockThatIsSet goes back an hour, a year ahead, and back to what it was.
func TestAClockThatIsSet(t *testing.T) {
	tt := newTimetable(t, 3, nightly)
	tt.at("2027-06-01T12:00:00Z", 0)
	tt.at("2027-06-02T01:00:00Z", 1)
	tt.at("2027-06-02T00:59:00Z", 1)
	tt.at("2027-06-02T01:00:00Z", 1)
	tt.at("2027-06-02T00:00:00Z", 1)
	tt.at("2027-06-02T01:00:00Z", 1) // one time is one build
	got := tt.at("2028-06-02T12:00:00Z", 2)
	if _, ok := got[tt.only().Value.Build]; !ok {
		t.Errorf("the record is %+v", tt.only().Value)
	}
	tt.at("2027-06-02T12:00:00Z", 2)
	tt.at("2027-06-03T01:00:00Z", 3)
}

// TestAnotherScheduleBeginsAnew is not asked for what it would have had before.
func TestAnotherScheduleBeginsAnew(t *testing.T) {
	tt := newTimetable(t, 1, nightly)
	tt.at("2027-06-01T12:00:00Z", 0)
	old := tt.producers[0]
	tt.file = strings.Replace(tt.file, "0 3 * * *", "0 4 * * *", 1)
	tt.clock.set(t, "2027-06-10T12:00:00Z")
	tt.start(1)
	tt.producers[0].forgetSchedules(t.Context(), tt.producers[0].inForce.Load().pipelines)
	tt.at("2027-06-10T12:00:00Z", 0)
	if r := tt.only().Value; !strings.HasPrefix(r.Schedule, "0 4") {
		t.Errorf("the record is %+v", r)
	}
	// A producer whose file still has the other one makes its record again, as it knew it.
	tt.producers = []*onTime{old}
	tt.at("2027-06-10T12:00:00Z", 1)
}

// TestProducersThatRun has two of them, of which one ends; they see to one schedule each time.
func TestProducersThatRun(t *testing.T) {
	tt := newTimetable(t, 0, "    schedule: [{cron: \"0 * * * *\"}, {cron: \"30 3 * * *\"}]")
	tt.clock.set(t, "2027-06-01T12:59:59.5Z")
	for range 2 {
		p := tt.producer(tt.nats.Client(t))
		queuetest.Must(t, p.look(t.Context())) // before the hour, however late they run
		tt.producers = append(tt.producers, p)
	}
	tt.clock.from = time.Now()
	var stops []func()
	for _, p := range tt.producers {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = p.Run(ctx) }()
		stops = append(stops, func() { stop(); <-ended })
	}
	t.Cleanup(func() { stops[1]() })
	asked := func(n int) {
		t.Helper()
		until(t, "builds are asked for", func() bool { return len(stored(t, tt.client)) >= n })
	}
	asked(1)
	until(t, "both know", func() bool {
		for _, p := range tt.producers {
			if s := p.Schedules(); len(s) != 2 || s[0].Build == "" || s[0].Next.Hour() != 14 {
				return false
			}
		}
		return true
	})
	stops[0]()
	p := tt.producers[1]
	tt.clock.set(t, "2027-06-02T03:30:10Z")
	p.schedules.changed <- struct{}{} // it looks at once
	asked(3)
	if n := len(stored(t, tt.client)); n != 3 {
		t.Errorf("%d builds are asked for", n)
	}
}

// TestSchedulesOfAnOlderInstallation say what is missing; the rest goes on.
func TestSchedulesOfAnOlderInstallation(t *testing.T) {
	tt := newTimetable(t, 1, nightly)
	queuetest.Must(t, queuetest.JetStream(t, tt.client).DeleteKeyValue(t.Context(), tt.client.Space().TriggersBucket()))
	if err := tt.producers[0].look(t.Context()); !errors.Is(err, queue.ErrUndeclared) {
		t.Errorf("it finds %v", err)
	}
	if s := tt.producers[0].Schedules()[0]; !strings.Contains(s.Problem, "start a controller of this version") || s.Next.IsZero() {
		t.Errorf("it tells %+v", s)
	}
	queuetest.Must(t, store.Declare(t.Context(), tt.client, store.Layout{}))
	tt.at("2027-06-01T12:00:00Z", 0)
	tt.at("2027-06-02T01:00:00Z", 1)
}
