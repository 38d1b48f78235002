package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats.go/jetstream"
)

// TestANoisyNodePushesOutNothingOfOthers fills what nodes report into several times over.
func TestANoisyNodePushesOutNothingOfOthers(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	image := ready(request("base", 1))
	image.BuildRef = messages.BuildRef{Build: "base-x", Pipeline: "base", Order: 1}
	must(t, c.Publish(within(t), "", image))
	must(t, c.Publish(within(t), "", letter(c, 1)))
	for _, name := range []string{c.Space().EventsStream(), c.Space().ReportsStream(), c.Space().LettersStream()} {
		s.Limit(t, name, func(cfg *jetstream.StreamConfig) { cfg.MaxBytes = 64 << 10 })
	}
	for n := range 40 {
		must(t, c.Publish(within(t), "", &messages.NodeFailed{Fleet: "f", Node: "n1", Reason: fmt.Sprint(n, strings.Repeat("x", 8<<10))}))
	}
	if _, err := c.Last(within(t), c.Space().EventsStream(), c.Space().Subject(image)); err != nil {
		t.Errorf("the announcement: %v", err)
	}
	letters, err := builds.New(c).DeadLetters(within(t))
	if err != nil || len(letters) != 1 {
		t.Errorf("the dead letters are %+v, %v", letters, err)
	}
	for n := uint64(2); err == nil; n++ { // a full stream of letters takes no more, and loses none
		err = c.Publish(within(t), "", letter(c, n))
	}
	if letters, _ := builds.New(c).DeadLetters(within(t)); letters[0].Sequence != 1 {
		t.Errorf("the first letter is %+v", letters[0])
	}
}

func letter(c *queue.Client, sequence uint64) *messages.DeadLetter {
	return &messages.DeadLetter{Stream: c.Space().RequestsStream(), Sequence: sequence, Subject: c.Space().RequestSubject("base"), Reason: "no", Body: make([]byte, 4<<10)}
}

// TestAnOlderInstallationsEventsAreParted declares over a stream that stores events, reports and dead letters
// together, as the first versions had it: it gives up what others store, and no dead letter is lost.
func TestAnOlderInstallationsEventsAreParted(t *testing.T) {
	_, as := guarded(t)
	admin := as("admin")
	js, space := queuetest.JetStream(t, admin), admin.Space()
	_, err := js.CreateStream(within(t), jetstream.StreamConfig{
		Name: space.EventsStream(), Subjects: append(append(space.EventSubjects(), space.ReportSubjects()...), space.LetterSubjects()...),
		Discard: jetstream.DiscardOld, MaxBytes: 64 << 20, AllowDirect: true,
	})
	must(t, err)
	for n := range uint64(3) {
		must(t, admin.Publish(within(t), "", letter(admin, n+1)))
	}
	must(t, admin.Publish(within(t), "", &messages.NodeFailed{Fleet: "f", Node: "n1", Reason: "old"}))
	image := ready(request("base", 1))
	image.BuildRef = messages.BuildRef{Build: "base-x", Pipeline: "base", Order: 1}
	must(t, admin.Publish(within(t), "", image))
	for range 2 {
		must(t, store.Declare(within(t), as("controller"), store.Layout{}))
		letters, err := builds.New(as("operator")).DeadLetters(within(t))
		if err != nil || len(letters) != 3 || letters[0].Sequence != 1 || letters[2].Sequence != 3 {
			t.Errorf("the dead letters are %+v, %v", letters, err)
		}
	}
	if _, err := admin.Last(within(t), space.EventsStream(), space.LetterSubjects()[0]); err == nil {
		t.Error("a dead letter is left among the events")
	}
	if _, err := admin.Last(within(t), space.EventsStream(), space.Subject(image)); err != nil {
		t.Errorf("the announcement: %v", err)
	}
	must(t, admin.Publish(within(t), "", &messages.NodeFailed{Fleet: "f", Node: "n1", Reason: "new"}))
	if _, err := admin.Last(within(t), space.ReportsStream(), space.ReportSubjects()[0]); err != nil {
		t.Errorf("a new report: %v", err)
	}
}
