package builds_test

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/nats-io/nats.go/jetstream"
)

// TestWhatNobodyCanHandleWaitsForRoomAmongTheDeadLetters has a request that can't be read while no letter fits.
func TestWhatNobodyCanHandleWaitsForRoomAmongTheDeadLetters(t *testing.T) {
	var log queuetest.Output
	c := queuetest.Start(t).Client(t, log.Logger)
	full := func(want bool) {
		t.Helper()
		if got, err := queueOf(c).LettersFull(within(t)); err != nil || got != want {
			t.Errorf("the dead letters are full: %v, %v", got, err)
		}
	}
	full(false)
	room := func(bytes int64) {
		queuetest.Limit(t, c, c.Space().LettersStream(), func(cfg *jetstream.StreamConfig) { cfg.MaxBytes = bytes })
	}
	room(1)
	full(true)
	_, err := queuetest.JetStream(t, c).Publish(within(t), c.Space().RequestSubject("base"), []byte("{"))
	must(t, err)
	var last builds.Accepted
	for n := 1; n <= 3; n++ {
		last = submit(t, c, request("base", n))
	}
	consume(t, c, work(succeed))
	queuetest.Eventually(t, "a letter that has no room, twice", func() bool {
		return strings.Count(log.String(), "there is no room for a dead letter") >= 2
	})
	ended(t, c, last.Build) // nothing behind it is held up
	if letters, err := queueOf(c).DeadLetters(within(t)); err != nil || len(letters) != 0 {
		t.Errorf("the letters are %v, %v", letters, err)
	}
	room(1 << 30)
	full(false)
	if l := dead(t, c, 1)[0]; l.Stream != c.Space().RequestsStream() || string(l.Body) != "{" {
		t.Errorf("the letter is %+v", l)
	}
	settled(t, c)
}
