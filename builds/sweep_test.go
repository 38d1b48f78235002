package builds_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// crashed leaves a build as a worker leaves it that died after its outcome was settled and
// whose request is gone.
func crashed(t *testing.T, c *queue.Client) (build string) {
	t.Helper()
	build = submit(t, c, request("base", 1)).Build
	stop := consume(t, c, work(succeed))
	r := ended(t, c, build)
	settled(t, c)
	stop()
	subject := c.Space().BuildSubject(messages.TypeImageReady, "base", build)
	s, err := queuetest.JetStream(t, c).Stream(within(t), c.Space().EventsStream())
	must(t, err)
	m, err := s.GetLastMsgForSubject(within(t), subject)
	must(t, err)
	must(t, s.DeleteMsg(within(t), m.Sequence))
	_, err = store.Builds(c).Modify(within(t), build, func(have *messages.BuildRecord) error {
		*have = r
		have.Announced = false
		return nil
	})
	must(t, err)
	return build
}

// settled waits until no request is out.
func settled(t *testing.T, c *queue.Client) {
	t.Helper()
	js := queuetest.JetStream(t, c)
	eventually(t, "all requests are acknowledged", func() bool {
		consumer, err := js.Consumer(t.Context(), c.Space().RequestsStream(), "builders-build-requested-v1")
		return err == nil && consumer.CachedInfo().NumAckPending == 0 && consumer.CachedInfo().NumPending == 0
	})
}

func TestASweepAnnouncesWhatACrashLeft(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	build := crashed(t, c)
	for want := 1; want >= 0; want-- { // the second finds nothing to do
		report, err := queueOf(c).Sweep(within(t))
		must(t, err)
		if report.Announced != want || report.Requeued != 0 {
			t.Errorf("the sweep did %+v", report)
		}
	}
	if got := endings(t, c); got["image.ready "+build] != 1 || len(got) != 1 {
		t.Errorf("events are %v", got)
	}
}

func TestASweepLeavesQueuedAndRunningBuildsAlone(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	started, finish := make(chan struct{}), make(chan struct{})
	consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if j.Request.Commit == commit(1) {
			close(started)
			<-finish
		}
		return succeed(ctx, j)
	}))
	a := submit(t, c, request("base", 1))
	<-started
	b := submit(t, c, request("base", 2))
	if report, err := queueOf(c).Sweep(within(t)); err != nil || report != (builds.SweepReport{}) {
		t.Errorf("the sweep did %+v, %v", report, err)
	}
	close(finish)
	ended(t, c, a.Build)
	if r := ended(t, c, b.Build); r.Attempt != 1 {
		t.Errorf("record is %+v", r)
	}
}

func TestASweepAsksAgainForABuildWithoutARequest(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	build := crashed(t, c)
	const future = `"channel":"stable"` // a field of the version that asked, which this program does not know
	_, err := store.Builds(c).Modify(within(t), build, func(r *messages.BuildRecord) error {
		r.State, r.Outcome, r.Image = messages.BuildStateRunning, nil, ""
		r.Asked.Body = append([]byte("{"+future+","), r.Asked.Body[1:]...)
		return nil
	})
	must(t, err)
	for want := 1; want >= 0; want-- {
		report, err := queueOf(c).Sweep(within(t))
		must(t, err)
		if report.Requeued != want {
			t.Errorf("the sweep did %+v", report)
		}
	}
	requests, err := queuetest.JetStream(t, c).Stream(within(t), c.Space().RequestsStream())
	must(t, err)
	m, err := requests.GetLastMsgForSubject(within(t), c.Space().RequestSubject("base"))
	if err != nil || !bytes.Contains(m.Data, []byte(future)) {
		t.Errorf("it asked again with %+v, %v", m, err)
	}
	consume(t, c, work(succeed))
	if r := ended(t, c, build); r.State != messages.BuildStateSucceeded || r.Attempt != 2 || r.Request != m.Sequence || r.Order != 1 {
		t.Errorf("record is %+v", r)
	}
}

func TestClearingKeepsEachPipelinesLastRequest(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	var last builds.Accepted
	var first string
	for n := 1; n <= 5; n++ {
		last = submit(t, c, request("base", n))
		if n == 1 {
			first = last.Build
		}
	}
	other := submit(t, c, request("other", 1))
	consume(t, c, work(succeed))
	ended(t, c, last.Build)
	ended(t, c, other.Build)
	settled(t, c)
	if report, err := queueOf(c).Sweep(within(t)); err != nil || report.Cleared != 4 {
		t.Errorf("the sweep did %+v, %v", report, err)
	}
	if again := submit(t, c, request("base", 5)); !again.Duplicate || again.Build != last.Build {
		t.Errorf("the last push again is %+v", again)
	}
	if b, err := queueOf(c).Retry(within(t), first, "ann"); err != nil || b.Order != 1 {
		t.Errorf("retrying a build whose request was cleared: %+v, %v", b, err)
	}
}

func TestOldRecordsAreDroppedWhenNothingAsksForThem(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	s.Limit(t, "fenceline-events", func(cfg *jetstream.StreamConfig) { cfg.MaxAge = 200 * time.Millisecond })
	consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		if j.Request.Commit >= commit(7) {
			return &messages.BuildFailed{Failure: messages.Failure{Class: messages.FailureUser, Reason: "no"}}, nil
		}
		return succeed(ctx, j)
	}))
	var made []string
	for n := range 9 {
		made = append(made, submit(t, c, request("base", n+1)).Build)
		ended(t, c, made[n])
	}
	settled(t, c)
	of := func(n int) messages.FleetImage { return messages.FleetImage{Image: image(n), Build: made[n]} }
	_, err := store.Fleets(c).Create(within(t), "f", messages.FleetRecord{
		Fleet: "f", Current: of(3), Previous: of(2), Keep: []messages.FleetImage{of(1)}, Preload: &messages.Preload{FleetImage: of(4)},
	})
	must(t, err)
	rollout := messages.RolloutRecord{ID: "f-x", Ready: messages.ImageReady{BuildRef: messages.BuildRef{Build: made[0]}}, State: messages.RolloutApproval}
	_, err = store.Rollouts(c).Create(within(t), rollout.ID, rollout)
	must(t, err)
	left := func(want ...int) {
		t.Helper()
		eventually(t, fmt.Sprint("the records that are left are those of ", want), func() bool {
			_, err := queueOf(c).Sweep(within(t))
			must(t, err)
			list, err := store.Builds(c).List(within(t))
			must(t, err)
			var have []int
			for _, e := range list {
				have = append(have, slices.Index(made, e.Key))
			}
			slices.Sort(have)
			return slices.Equal(have, want)
		})
	}
	left(0, 1, 2, 3, 4, 5, 8) // 5 is the last image, 8 the last build; 6 and 7 were no good to anybody
	_, err = store.Rollouts(c).Modify(within(t), rollout.ID, func(r *messages.RolloutRecord) error {
		r.State = messages.RolloutDone
		return nil
	})
	must(t, err)
	left(1, 2, 3, 4, 5, 8)
	stream, err := queuetest.JetStream(t, c).Stream(within(t), "KV_fenceline-builds")
	must(t, err)
	if n := stream.CachedInfo().State.Msgs; n != 6 {
		t.Errorf("%d messages are left of 6 records", n)
	}
	if again := submit(t, c, request("base", 9)); !again.Duplicate || again.Build != made[8] {
		t.Errorf("the last push again is %+v", again)
	}
	if _, err := queueOf(c).Retry(within(t), made[6], "ann"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("retrying a build that is forgotten: %v", err)
	}
}

func TestEventsAreHandledUntilTheyAreDone(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	for _, node := range []string{"good", "slow", "bad"} {
		must(t, c.Publish(within(t), "", &messages.NodeFailed{Fleet: "f", Node: node}))
	}
	subject := c.Space().Subject(&messages.NodeFailed{Fleet: "f", Node: "garbled"})
	_, err := queuetest.JetStream(t, c).Publish(within(t), subject, []byte("{"))
	must(t, err)
	done := make(chan string, 9)
	times := map[string]int{}
	go func() {
		_ = c.ConsumeEvents(t.Context(), "controllers", []messages.Type{messages.TypeNodeFailed},
			func(_ context.Context, r queue.Received) error {
				node := r.Payload.(*messages.NodeFailed).Node
				times[node]++
				switch {
				case node == "slow" && times[node] == 1:
					return errors.New("not now")
				case node == "bad":
					return queue.Permanent(errors.New("never"))
				}
				done <- node
				return nil
			})
	}()
	if a, b := <-done, <-done; a != "good" || b != "slow" {
		t.Errorf("done are %s and %s", a, b)
	}
	eventually(t, "there are two dead letters", func() bool {
		letters, err := queueOf(c).DeadLetters(t.Context())
		return err == nil && len(letters) == 2
	})
}

// TestASweepOfABuildWhoseRecordKeepsNoRequest asks for it again as long as its stream has the request, and else ends it.
func TestASweepOfABuildWhoseRecordKeepsNoRequest(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	build := crashed(t, c)
	unfinish := func() {
		t.Helper()
		_, err := store.Builds(c).Modify(within(t), build, func(r *messages.BuildRecord) error {
			r.State, r.Outcome, r.Image, r.Asked = messages.BuildStateRunning, nil, "", nil
			return nil
		})
		must(t, err)
	}
	unfinish()
	report, err := queueOf(c).Sweep(within(t))
	must(t, err)
	if report.Requeued != 1 {
		t.Errorf("the sweep did %+v", report)
	}
	stop := consume(t, c, work(succeed))
	ended(t, c, build)
	settled(t, c)
	stop()
	must(t, c.Publish(within(t), "", request("base", 2))) // another request is where the build's was
	e, err := store.Builds(c).Get(within(t), build)
	must(t, err)
	requests, err := queuetest.JetStream(t, c).Stream(within(t), c.Space().RequestsStream())
	must(t, err)
	must(t, requests.DeleteMsg(within(t), e.Value.Request))
	unfinish()
	_, err = store.Builds(c).Modify(within(t), build, func(r *messages.BuildRecord) error { r.Announced = false; return nil })
	must(t, err)
	for range 2 { // its end is written, and then announced
		_, err = queueOf(c).Sweep(within(t))
		must(t, err)
	}
	if r := ended(t, c, build); r.State != messages.BuildStateFailed || !strings.Contains(r.Failure.Reason, "request is gone") {
		t.Errorf("the record is %+v", r)
	}
	if _, err := queueOf(c).Retry(within(t), build, "ann"); err == nil || !strings.Contains(err.Error(), "submit the pipeline again") {
		t.Errorf("asked for again: %v", err)
	}
}
