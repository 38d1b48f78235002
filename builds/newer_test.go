package builds_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats.go"
)

// publishNewer stores a request as a producer of the next version does, and returns its place.
func publishNewer(t *testing.T, c *queue.Client, r *messages.BuildRequested) uint64 {
	t.Helper()
	m := newer(t, c, r)
	ack, err := queuetest.JetStream(t, c).PublishMsg(within(t), &nats.Msg{
		Subject: c.Space().SubjectAs(messages.TypeOf(m), r), Header: nats.Header(m.Headers), Data: m.Body,
	})
	must(t, err)
	return ack.Sequence
}

func TestAPushThatANewerProducerAcceptedIsADuplicate(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	first := submit(t, c, request("base", 1))
	r := request("base", 2)
	place := publishNewer(t, c, r) // behind the back of c, which remembers the first as the last
	if got := submit(t, c, request("base", 2)); !got.Duplicate || got.Build != r.Build || got.Order != place {
		t.Errorf("the push is %+v, not a duplicate of build %s, order %d", got, r.Build, place)
	}
	again := submit(t, s.Client(t), request("base", 1))
	if again.Duplicate || again.Order <= place {
		t.Errorf("a push back to an earlier commit is %+v after %+v and order %d", again, first, place)
	}
	var all sync.WaitGroup
	for range 8 { // nothing that comes at the same time is refused for that
		all.Go(func() { publishNewer(t, c, request("other", 1)) })
		all.Go(func() { submit(t, c, request("other", 2)) })
	}
	all.Wait()
}

// A newer request is told of and left alone, by builders, sweeps and whoever lists.
func TestANewerRequestWaitsForANewerBuilder(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	consume(t, c, work(succeed))
	old := submit(t, c, request("base", 1))
	r := request("base", 2)
	place := publishNewer(t, c, r)
	third := submit(t, c, request("base", 3))
	ended(t, c, old.Build)
	ended(t, c, third.Build)
	settled(t, c)
	_, err := queueOf(c).Sweep(within(t))
	must(t, err)
	queued, err := queueOf(c).Queued(within(t))
	must(t, err)
	if len(queued) != 1 || queued[0].Build != r.Build || queued[0].Order != place || queued[0].Newer != "dev.fenceline.build.requested.v2" {
		t.Errorf("queued are %+v", queued)
	}
	waiting, err := store.Newer(within(t), c)
	must(t, err)
	if len(waiting) != 1 || waiting[0] != (store.NewerWork{Type: "dev.fenceline.build.requested.v2", Waiting: 1, Role: "builder"}) {
		t.Errorf("waiting are %+v", waiting)
	}
	letters, err := queueOf(c).DeadLetters(within(t))
	must(t, err)
	if len(letters) != 0 {
		t.Errorf("dead letters: %+v", letters)
	}
	must(t, queueOf(c).Cancel(within(t), r.Build, "ann"))
	if got := ended(t, c, r.Build); got.State != messages.BuildStateCancelled || got.Request != place || messages.TypeOf(*got.Asked) != waiting[0].Type {
		t.Errorf("cancelled, its record is %+v", got)
	}
	if _, err := queueOf(c).Retry(within(t), r.Build, "ann"); !errors.Is(err, messages.ErrNewer) || !strings.Contains(err.Error(), "a fenceline of that version") {
		t.Errorf("retrying it: %v", err)
	}
}

// What a newer builder left of a build is finished as far as it can be, and else left to it.
func TestASweepOfWhatANewerBuilderLeft(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	consume(t, c, work(succeed))
	first := submit(t, c, request("base", 1))
	ended(t, c, first.Build)
	settled(t, c)

	running := messages.BuildRecord{BuildRef: messages.BuildRef{Build: "base-running", Pipeline: "base", Order: 1}, State: messages.BuildStateRunning, Attempt: 1, Request: 1}
	asked := newer(t, c, request("base", 2))
	running.Asked = &asked
	_, err := store.Builds(c).Create(within(t), running.Build, running)
	must(t, err)

	r := request("base", 3)
	image := ready(r)
	image.BuildRef = messages.BuildRef{Build: "base-ended", Pipeline: "base", Order: 1}
	outcome := newer(t, c, image)
	mine, err := messages.Encode(c.Envelope("x", ""), r)
	must(t, err)
	_, err = store.Builds(c).Create(within(t), image.Build, messages.BuildRecord{
		BuildRef: image.BuildRef, State: messages.BuildStateSucceeded, Attempt: 1, Request: 1, Asked: &mine, Outcome: &outcome,
	})
	must(t, err)

	report, err := queueOf(c).Sweep(within(t))
	must(t, err)
	if report.Announced != 1 || report.Requeued != 0 {
		t.Errorf("the sweep did %+v", report)
	}
	s, err := queuetest.JetStream(t, c).Stream(within(t), c.Space().EventsStream())
	must(t, err)
	m, err := s.GetLastMsgForSubject(within(t), "fenceline.image.ready.v2.base.base-ended")
	if err != nil || !bytes.Equal(m.Data, outcome.Body) {
		t.Errorf("the newer outcome is announced as %v, %v", m, err)
	}
	waiting, err := store.Newer(within(t), c)
	must(t, err)
	if len(waiting) != 1 || waiting[0] != (store.NewerWork{Type: "dev.fenceline.image.ready.v2", Waiting: 1, Role: "controller"}) {
		t.Errorf("waiting are %+v", waiting)
	}
}
