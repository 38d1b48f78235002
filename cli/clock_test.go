package cli

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/overview"
	"github.com/rs/zerolog"
)

func TestAhead(t *testing.T) {
	at := func(s int) time.Time { return noon().Add(time.Duration(s) * time.Second) }
	for name, test := range map[string]struct {
		before, there, after int
		want                 time.Duration
	}{
		"the same":                         {0, 0, 0, 0},
		"read between, however slow":       {0, 50, 60, 0},
		"behind":                           {0, 70, 10, -time.Minute},
		"ahead":                            {100, 40, 110, time.Minute},
		"behind, as far as it can be told": {0, 11, 10, -time.Second},
	} {
		if got := ahead(at(test.before), at(test.there), at(test.after)); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// TestAClockThatIsOff has a role look at its clock from time to time.
func TestAClockThatIsOff(t *testing.T) {
	for name, test := range map[string]struct {
		found []time.Duration // at each look; the last goes on
		err   error
		says  []string
		hides string
	}{
		"right":            {[]time.Duration{time.Second}, nil, nil, "clock"},
		"ahead by minutes": {[]time.Duration{5 * time.Minute}, nil, []string{"this machine's clock is 5m0s ahead of that of NATS", "NTP"}, "right again"},
		"behind":           {[]time.Duration{-3 * time.Minute}, nil, []string{"this machine's clock is 3m0s behind that of NATS", "NTP"}, "right again"},
		"mended":           {[]time.Duration{-3 * time.Minute, 0}, nil, []string{"behind", "right again"}, "ahead of"},
		"not to be asked":  {[]time.Duration{time.Hour}, queue.ErrForbidden, nil, "clock"},
		"no answer":        {[]time.Duration{time.Hour}, errors.New("NATS is gone"), nil, "clock"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, looks := new(clitest.Output), 0
				ctx, cancel := context.WithTimeout(t.Context(), 11*time.Minute)
				defer cancel()
				err := watchClock(ctx, func(context.Context) (time.Duration, error) {
					looks++
					return test.found[min(looks, len(test.found))-1], test.err
				}, clockEvery, zerolog.New(log))
				if err != nil || looks != 3 && test.err != queue.ErrForbidden { //nolint:errorlint // it is the very one
					t.Errorf("after %d looks it ends with %v", looks, err)
				}
				for _, say := range test.says {
					if !strings.Contains(log.String(), say) {
						t.Errorf("it does not say %q: %s", say, log)
					}
				}
				if strings.Contains(log.String(), test.hides) {
					t.Errorf("it says %q: %s", test.hides, log)
				}
			})
		})
	}
}

// TestANodesClock is seen by the others: in what it sent, and when that was stored.
func TestANodesClock(t *testing.T) {
	for name, test := range map[string]struct {
		at   time.Time
		want string
	}{
		"right":               {noon().Add(-2 * time.Second), ""},
		"ahead by minutes":    {noon().Add(4 * time.Minute), "its clock is 4m0s ahead of that of NATS"},
		"behind by minutes":   {noon().Add(-4 * time.Minute), "its clock is 4m0s behind that of NATS"},
		"of an older version": {time.Time{}, ""},
	} {
		e := queue.Entry[messages.NodeStatus]{Created: noon(), Value: messages.NodeStatus{At: test.at}}
		if got := overview.NodeClock(e); !strings.HasPrefix(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestANodeThatPeopleHaveToLookAt(t *testing.T) {
	up := func(change func(*overview.Node)) overview.Node {
		n := overview.Node{Fleet: "production", Node: "n1", Up: true, Status: &messages.NodeStatus{}}
		change(&n)
		return n
	}
	for name, test := range map[string]struct {
		node overview.Node
		says string // "" for a node that is well
	}{
		"well":               {up(func(*overview.Node) {}), ""},
		"at work":            {up(func(n *overview.Node) { n.Status.Work = &messages.NodeWork{State: messages.WorkPulling} }), ""},
		"one of two":         {up(func(n *overview.Node) { n.Status.Twin = true }), "two distributors have this name"},
		"its clock is wrong": {up(func(n *overview.Node) { n.Clock = "its clock is 4m0s behind" }), "its clock is 4m0s behind"},
		"without an engine":  {up(func(n *overview.Node) { n.Status.Engine.Error = "gone" }), "engine: gone"},
	} {
		f := overview.Fleet{}
		f.Count([]overview.Node{test.node})
		if problems := strings.Join(f.Problems, "\n"); (problems == "") != (test.says == "") || !strings.Contains(problems, test.says) {
			t.Errorf("%s: the problems are %q", name, problems)
		}
	}
}
