package messages

import (
	"errors"
	"time"
)

// EventUndelivered is an event that a sink has not taken, and that a person has sent again.
type EventUndelivered struct {
	Sink   string    `json:"sink"`
	Event  Message   `json:"event"`  // as it was stored
	Stored time.Time `json:"stored"` // when that was
}

// MessageType is TypeEventUndelivered.
func (*EventUndelivered) MessageType() Type { return TypeEventUndelivered }

func (m *EventUndelivered) tokens() []string { return []string{m.Sink} }

// Validate names the first field that can't be acted on.
func (m *EventUndelivered) Validate() error {
	if err := CheckName("sink", m.Sink); err != nil {
		return err
	}
	if len(m.Event.Headers) == 0 {
		return errors.New("event: is missing")
	}
	return nil
}

// SinkRecord is how far a sink has been sent what happens, in the statuses bucket under SinkKey.
type SinkRecord struct {
	Sink    string            `json:"sink"`
	Streams map[string]SinkAt `json:"streams"`
	Waiting int               `json:"waiting,omitempty"` // events that are not delivered yet; those that are not read yet count whether the sink wants them or not
	Oldest  time.Time         `json:"oldest,omitzero"`   // when the first of those that were read was stored
	Problem string            `json:"problem,omitempty"` // what keeps events from it
	Since   time.Time         `json:"since,omitzero"`    // when that began
	Next    time.Time         `json:"next,omitzero"`     // nothing is sent before: it was away, or asked for a pause
	Gone    string            `json:"gone,omitempty"`    // it said that it wants no more: a digest of what was configured then
	Sent    time.Time         `json:"sent,omitzero"`     // when it took an event last
	Lost    uint64            `json:"lost,omitempty"`    // events that a stream's limits removed before they were sent; those that were not read count whether the sink wanted them or not
	LostAt  time.Time         `json:"lost_at,omitzero"`  // when that was last seen
	Unnamed bool              `json:"unnamed,omitempty"` // the worker that wrote it has no such sink: it is forgotten unless another one has
	Written time.Time         `json:"written"`
}

// SinkAt is how far a sink has been sent the messages of a stream.
type SinkAt struct {
	Read uint64    `json:"read"`           // the sequence that is read next
	Left []uint64  `json:"left,omitempty"` // those before it that are still to be delivered
	Last time.Time `json:"last,omitzero"`  // when the last one that was read was stored
}

// SinkKey is the key of a sink's record.
func SinkKey(sink string) string { return "sink." + sink }
