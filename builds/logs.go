package builds

import (
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// logTextMost bounds the text of one log message, in bytes; more is cut off at its start, as
// the end of an output says what went wrong.
const logTextMost = 64 << 10

// Log sends a piece of a build's progress without waiting until it is stored, or longer than a
// moment. Where it is lost, one of the next that pass says how many were.
func (q *Queue) Log(l *messages.BuildLog) error {
	kept := *l
	if cut := len(kept.Text) - logTextMost; cut > 0 {
		kept.Text = fmt.Sprintf("[%d bytes cut off]\n%s", cut, strings.ToValidUTF8(kept.Text[cut:], ""))
	}
	return q.c.PublishLossy(func(lost int64) messages.Payload {
		if lost > 0 {
			kept.Text = fmt.Sprintf("[%d log messages were lost]\n%s", lost, kept.Text)
		}
		return &kept
	})
}
