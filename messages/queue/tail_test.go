package queue_test

import (
	"fmt"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

func TestTheTailOfASubjectAmongOthers(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	space := c.Space()
	if from, before, err := c.Tail(queuetest.Within(t), space.LogsStream(), space.AnyVersion(messages.TypeBuildLog, "base", "base-1"), 3); err != nil || before != 0 || from > 1 {
		t.Errorf("of an empty stream: from %d, %d before, %v", from, before, err)
	}
	for n := range 60 {
		build := fmt.Sprintf("base-%d", n%3)
		queuetest.Must(t, c.Publish(queuetest.Within(t), "", &messages.BuildLog{BuildRef: messages.BuildRef{Build: build, Pipeline: "base"}, Text: fmt.Sprint(n)}))
	}
	for _, most := range []uint64{1, 7, 19, 20, 100} {
		subject := space.AnyVersion(messages.TypeBuildLog, "base", "base-1")
		from, before, err := c.Tail(queuetest.Within(t), space.LogsStream(), subject, most)
		queuetest.Must(t, err)
		n := uint64(0)
		queuetest.Must(t, c.Read(queuetest.Within(t), space.LogsStream(), queue.ReadOptions{Filters: []string{subject}, FromSequence: from}, func(queue.Received) error { n++; return nil }))
		if want := min(most, 20); n != want || before != 20-want {
			t.Errorf("of at most %d: %d are left, %d before; want %d", most, n, before, want)
		}
	}
}
