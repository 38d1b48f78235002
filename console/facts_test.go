package console

import (
	"strings"
	"testing"
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
