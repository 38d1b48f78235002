package cli

import (
	"slices"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/nats-io/nats.go/jetstream"
)

// TestAnInstallationWhoseEventsAreNotParted has reports and dead letters among the events, as they are until a controller
// of this version starts: operators' programs are upgraded before.
func TestAnInstallationWhoseEventsAreNotParted(t *testing.T) {
	c := installation(t)
	space := c.Space()
	for _, stream := range []string{space.ReportsStream(), space.LettersStream()} {
		queuetest.Must(t, queuetest.JetStream(t, c).DeleteStream(t.Context(), stream))
	}
	queuetest.Limit(t, c, space.EventsStream(), func(cfg *jetstream.StreamConfig) {
		cfg.Subjects = slices.Concat(cfg.Subjects, space.ReportSubjects(), space.LetterSubjects())
	})
	next := watching(t, c)
	publish(t, c, &messages.DeadLetter{Stream: space.RequestsStream(), Sequence: 7, Subject: space.RequestSubject("base"), Reason: "no"})
	publish(t, c, &messages.NodeFailed{Fleet: "production", Node: "n1", Step: "pull", Reason: "no"})
	next()
	next()
	if found := lettersOf(t, 1); found[0].Sequence != 7 {
		t.Errorf("the dead letter is %+v", found)
	}
	if s := decoded[statusReport](t, "status"); s.DeadLetters != 1 {
		t.Errorf("status counts %+v", s)
	}
	done(t, "dead-letters", "drop", "fenceline-requests-7")
	lettersOf(t, 0)
}
