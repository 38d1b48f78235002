package overview

import (
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// WrongClock is how far a clock is off that a running role, or the list of nodes, warns of. What
// is on its way for long looks like a clock that is off by as much.
const WrongClock = time.Minute

// ClockText says that a clock is off, and what to do.
func ClockText(whose string, ahead time.Duration) string {
	direction := "ahead of"
	if ahead < 0 {
		direction = "behind"
	}
	return fmt.Sprintf("%s is %s %s that of NATS: set both by NTP, or the times shown mislead", whose, ahead.Abs().Round(time.Second), direction)
}

// NodeClock says what is wrong with a node's clock, by what it sent and when that was stored.
func NodeClock(e queue.Entry[messages.NodeStatus]) string {
	if e.Value.At.IsZero() || e.Created.IsZero() {
		return ""
	}
	if off := e.Value.At.Sub(e.Created); off.Abs() > WrongClock {
		return ClockText("its clock", off)
	}
	return ""
}
