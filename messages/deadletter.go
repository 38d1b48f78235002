package messages

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// DeadLetter keeps a message that nobody could handle, with the reason, so that a person
// can look at it and send it again.
type DeadLetter struct {
	Stream     string    `json:"stream"`
	Sequence   uint64    `json:"sequence"` // of the message in its stream; with it, the letter's name
	Subject    string    `json:"subject"`  // where the message was published, and would be again
	Reason     string    `json:"reason"`
	Headers    Headers   `json:"headers,omitempty"`
	Body       []byte    `json:"body,omitempty"`
	Omitted    int       `json:"omitted,omitempty"` // bytes of a body that, with the headers, was too big to be kept
	Deliveries int       `json:"deliveries,omitempty"`
	At         time.Time `json:"at"`
}

// MessageType is TypeDeadLetter.
func (*DeadLetter) MessageType() Type { return TypeDeadLetter }

func (m *DeadLetter) tokens() []string {
	return []string{m.Stream, fmt.Sprint(m.Sequence)}
}

// Validate names the first field that can't be acted on. It takes any subject, as whatever a
// stream stored may have to be kept.
func (m *DeadLetter) Validate() error {
	if m.Stream == "" || m.Sequence == 0 || m.Subject == "" {
		return errors.New("stream, sequence and subject must all be set")
	}
	return CheckID("stream", m.Stream)
}

// Whole tells whether the message can be sent again as it was.
func (m *DeadLetter) Whole() error {
	if m.Omitted > 0 {
		return fmt.Errorf("its message of %d bytes was too big to be kept: drop the letter, and have the message sent again by its source", m.Omitted)
	}
	if !subjectForm.MatchString(m.Subject) {
		return fmt.Errorf("subject: %q is not one that fenceline sends to: drop the letter", clip(m.Subject))
	}
	return nil
}

// subjectForm is printable tokens joined by dots, without NATS' wildcards: sending a dead
// letter again must reach one subject. $ starts the server's own subjects.
var subjectForm = regexp.MustCompile(`^[!-#%-)+\-/-=?-~][!-)+\-/-=?-~]*(\.[!-)+\-/-=?-~]+)*$`)
