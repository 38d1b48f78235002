package console

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// TestWhatHasChangedIsSaidInWords: what it was, what it is, and by whom as far as anybody knows.
func TestWhatHasChangedIsSaidInWords(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	free := messages.FleetRecord{Fleet: "f", ID: "id", Epoch: 2, Current: messages.FleetImage{Image: imageOf(2)}}
	held, released := free, free
	held.Hold = &messages.Hold{By: "ann", Reason: "freeze", At: at}
	released.Released = &messages.Released{By: "bob", Reason: "over", At: at.Add(time.Hour), Held: at}
	other := released
	other.Released = &messages.Released{By: "bob", At: at, Held: at.Add(-time.Hour)} // of an earlier hold
	moved := free
	moved.Epoch, moved.Current, moved.Decided = 3, messages.FleetImage{Image: imageOf(1)}, &messages.Decided{Epoch: 3, By: "ann", Reason: "promoted: it leaks"}
	later := moved
	later.Decided = &messages.Decided{Epoch: 2, By: "ann", Reason: "old"}
	const unknown = "Who did that this console doesn't know"
	for name, c := range map[string]struct {
		was, is messages.FleetRecord
		says    []string
		not     string
	}{
		"nothing":                          {free, free, nil, "is"},
		"a hold":                           {free, held, []string{"The hold was none, and is that of ann since 2026-02-03 04:05:06 UTC: freeze."}, unknown},
		"a release":                        {held, released, []string{"and is none (released by bob: over)."}, unknown},
		"a release that says nobody":       {held, free, []string{"and is none.", unknown}, "by bob"},
		"a release after that of another":  {held, other, []string{"and is none.", unknown}, "by bob"},
		"a promotion":                      {free, moved, []string{"(ann: promoted: it leaks)"}, unknown},
		"an image that nobody says who of": {free, later, []string{unknown}, "ann"},
	} {
		said := difference(factsOfFleet(&c.was), factsOfFleet(&c.is), "")
		for _, want := range c.says {
			if !strings.Contains(said, want) {
				t.Errorf("of %s it says %q, not %q", name, said, want)
			}
		}
		if strings.Contains(said, c.not) {
			t.Errorf("of %s it says %q", name, said)
		}
	}
	var l lately
	for n := range latelyMost + 5 {
		l.note(strings.Repeat("x", n), "ann", "Drop dead letter x")
	}
	if len(l.said) != latelyMost || len(l.at) != latelyMost || l.about("") != "" || !strings.HasPrefix(l.about("xxxxxxx"), `ann decided "Drop dead letter x" here at `) {
		t.Errorf("%d are remembered", len(l.said))
	}
}

// TestWhoComesSecondWaitsToBeToldOfWhom: what was decided shows in the records before it is noted who did it.
func TestWhoComesSecondWaitsToBeToldOfWhom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lately
		first := l.begin("node a")
		l.begin("node b")   // goes on
		l.begin("node a")() // the second's own, which was refused
		told := make(chan string)
		go func() {
			l.wait(t.Context(), "node a")
			told <- l.about("node a")
		}()
		synctest.Wait()
		l.note("node a", "ada", "Retire node a")
		first()
		if said := <-told; !strings.HasPrefix(said, "ada decided") {
			t.Errorf("the second is told %q", said)
		}
		if len(l.deciding) != 1 {
			t.Errorf("what has ended is kept: %v", l.deciding)
		}
		bounded, cancel := context.WithTimeout(t.Context(), latelyWait)
		defer cancel()
		l.wait(bounded, "node b")
		if bounded.Err() == nil {
			t.Error("it doesn't wait for a decision that is being carried out")
		}
	})
}
