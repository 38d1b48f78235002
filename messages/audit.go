package messages

import (
	"errors"
	"time"
)

// Outcome is what became of a call.
type Outcome string

// The outcomes of calls.
const (
	OutcomeAccepted Outcome = "accepted" // what it asked for is done, or stored
	OutcomeIgnored  Outcome = "ignored"  // it asked for nothing
	OutcomeRefused  Outcome = "refused"
)

// AuditedCall is a call, webhook or notification whose sender had proved who it is.
type AuditedCall struct {
	At       time.Time `json:"at"`                 // by the producer's clock
	What     string    `json:"what"`               // such as "webhook" or "call"
	Path     string    `json:"path"`               // where it came, such as /hooks/github
	By       string    `json:"by,omitempty"`       // whose token it was, or the forge's user
	From     string    `json:"from,omitempty"`     // the sender's address
	Delivery string    `json:"delivery,omitempty"` // the forge's name of it, which is not signed
	Outcome  Outcome   `json:"outcome"`
	Status   int       `json:"status"`           // of HTTP
	Why      string    `json:"why,omitempty"`    // it was refused, or ignored
	Builds   []string  `json:"builds,omitempty"` // that it asked for
	More     int       `json:"more,omitempty"`   // how many others it asked for, which are not listed
}

// CallsAudited tells of calls, in the order in which they were answered. Who sent it is its envelope's source.
type CallsAudited struct {
	Calls []AuditedCall `json:"calls"`
	Lost  int64         `json:"lost,omitempty"` // calls of before that there was no room to tell of
}

// MessageType is TypeCallsAudited.
func (*CallsAudited) MessageType() Type { return TypeCallsAudited }

func (*CallsAudited) tokens() []string { return []string{"producer"} }

// Validate names the first field that can't be acted on.
func (m *CallsAudited) Validate() error {
	if len(m.Calls) == 0 && m.Lost == 0 {
		return errors.New("calls: there is none")
	}
	return nil
}

// Refusals are how often a sender that had not proved who it is was answered alike.
type Refusals struct {
	What   string `json:"what"` // as of an AuditedCall
	Path   string `json:"path"`
	From   string `json:"from,omitempty"` // the sender's address or IPv6 network; "" for others than are told apart
	Status int    `json:"status"`
	Why    string `json:"why,omitempty"` // the first time
	Count  int64  `json:"count"`
}

// RefusalsCounted tells of calls of strangers in a span of time, by address and answer, as they can be as many as
// strangers like.
type RefusalsCounted struct {
	Since    time.Time  `json:"since"` // by the producer's clock
	Until    time.Time  `json:"until"`
	Refusals []Refusals `json:"refusals"`
}

// MessageType is TypeRefusalsCounted.
func (*RefusalsCounted) MessageType() Type { return TypeRefusalsCounted }

func (*RefusalsCounted) tokens() []string { return []string{"producer"} }

// Validate names the first field that can't be acted on.
func (m *RefusalsCounted) Validate() error {
	if len(m.Refusals) == 0 {
		return errors.New("refusals: there is none")
	}
	return nil
}
