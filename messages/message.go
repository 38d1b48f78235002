package messages

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Headers are a message's headers: the attributes of the event, percent-encoded, and what
// travels beside them. It has the shape of nats.Header and http.Header, but its keys are
// written exactly as given.
type Headers map[string][]string

// get returns the first value of a header, matched without regard to case as some clients
// rewrite the case of names.
func (h Headers) get(name string) string {
	if v, ok := h[name]; ok && len(v) > 0 {
		return v[0]
	}
	for k, v := range h {
		if len(v) > 0 && strings.EqualFold(k, name) {
			return v[0]
		}
	}
	return ""
}

// The header names, of the CloudEvents 1.0 NATS protocol binding (binary content mode: the
// attribute's name behind "ce-") and of W3C Trace Context.
const (
	headerSpecVersion = "ce-specversion"
	headerID          = "ce-id"
	headerSource      = "ce-source"
	headerType        = "ce-type"
	headerSubject     = "ce-subject"
	headerTime        = "ce-time"
	headerContentType = "ce-datacontenttype"
	headerTraceparent = "traceparent"
)

// Envelope is what every message carries besides its payload.
type Envelope struct {
	ID          string    // unique for its source; redeliveries and copies keep it
	Source      string    // who sent it, as a URI reference such as "/fenceline/builder/b1"
	Subject     string    // what it is about: a build, rollout or node
	Time        time.Time // when the sender made it, by its own clock; never compared between machines
	Traceparent string    // W3C trace context, or "" for none
}

// validate tells whether a reader could read e again.
func (e *Envelope) validate() error {
	if e.ID == "" || e.Source == "" {
		return errors.New("the envelope needs an ID and a source")
	}
	for _, v := range []string{e.ID, e.Source, e.Subject} {
		if !utf8.ValidString(v) {
			return fmt.Errorf("envelope: %.100q is not UTF-8", v)
		}
	}
	if !writable(e.Time) {
		return fmt.Errorf("envelope: time %s has no four-digit year", e.Time)
	}
	return nil
}

// writable tells whether RFC 3339 has a form for t in UTC.
func writable(t time.Time) bool { y := t.UTC().Year(); return y >= 0 && y <= 9999 }

// Payload is the body of a message: one of this package's types.
type Payload interface {
	// MessageType is the payload's type with its version.
	MessageType() Type
	// Validate tells whether the payload can be acted on. Errors name the field.
	Validate() error
	// tokens end the subject; Validate must have checked every one of them.
	tokens() []string
}

// Message is an encoded message, ready to be sent or kept.
type Message struct {
	Headers Headers         `json:"headers"`
	Body    json.RawMessage `json:"body"`
}

// Errors of Decode. Each is wrapped with what was wrong.
var (
	// ErrNewer is returned for a message of a known kind in a version that this binary
	// does not know: a newer worker should have it.
	ErrNewer = errors.New("message of a newer version")
	// ErrUnknown is returned for a message of an unknown kind.
	ErrUnknown = errors.New("message of an unknown type")
	// ErrMalformed is returned for a message that can't be decoded, now or ever.
	ErrMalformed = errors.New("malformed message")
)

// Encode makes the message that carries p. It refuses a payload that its own Validate
// refuses, so that nobody sends what nobody can read.
func Encode(e Envelope, p Payload) (Message, error) {
	if err := p.Validate(); err != nil {
		return Message{}, fmt.Errorf("encoding %s: %w", p.MessageType(), err)
	}
	if err := e.validate(); err != nil {
		return Message{}, fmt.Errorf("encoding %s: %w", p.MessageType(), err)
	}
	body, err := json.Marshal(p)
	if err != nil {
		return Message{}, fmt.Errorf("encoding %s: %w", p.MessageType(), err)
	}
	h := Headers{
		headerSpecVersion: {"1.0"},
		headerID:          {percentEncode(e.ID)},
		headerSource:      {percentEncode(e.Source)},
		headerType:        {percentEncode(string(p.MessageType()))},
		headerContentType: {"application/json"},
	}
	if e.Subject != "" {
		h[headerSubject] = []string{percentEncode(e.Subject)}
	}
	if !e.Time.IsZero() {
		h[headerTime] = []string{e.Time.UTC().Format(time.RFC3339Nano)}
	}
	if validTraceparent(e.Traceparent) {
		h[headerTraceparent] = []string{e.Traceparent}
	}
	return Message{Headers: h, Body: body}, nil
}

// Decode reads a message of any type of this package. Errors wrap ErrNewer, ErrUnknown or
// ErrMalformed. It never panics, whatever the input.
func Decode(m Message) (Envelope, Payload, error) {
	e, typ, err := decodeEnvelope(m.Headers)
	if err != nil {
		return Envelope{}, nil, err
	}
	p, err := newPayload(typ)
	if err != nil {
		return e, nil, err
	}
	if err := json.Unmarshal(m.Body, p); err != nil {
		return e, nil, fmt.Errorf("%w: %s: body: %w", ErrMalformed, typ, err)
	}
	if err := p.Validate(); err != nil {
		return e, nil, fmt.Errorf("%w: %s: %w", ErrMalformed, typ, err)
	}
	return e, p, nil
}

// DecodeAs reads a message that must be of P's type.
func DecodeAs[P Payload](m Message) (Envelope, P, error) {
	var zero P
	e, p, err := Decode(m)
	if err != nil {
		return e, zero, err
	}
	v, ok := p.(P)
	if !ok {
		return e, zero, fmt.Errorf("%w: %s where %s was expected", ErrUnknown, p.MessageType(), zero.MessageType())
	}
	return e, v, nil
}

// decodeEnvelope reads what the headers say: the envelope and the type.
func decodeEnvelope(h Headers) (Envelope, Type, error) {
	if v := h.get(headerSpecVersion); v != "1.0" {
		return Envelope{}, "", fmt.Errorf("%w: header %s is %q, not \"1.0\"", ErrMalformed, headerSpecVersion, clip(v))
	}
	var e Envelope
	var typ string
	for _, f := range []struct {
		header   string
		to       *string
		required bool
	}{
		{headerID, &e.ID, true},
		{headerSource, &e.Source, true},
		{headerType, &typ, true},
		{headerSubject, &e.Subject, false},
	} {
		v, err := percentDecode(h.get(f.header))
		if err != nil {
			return Envelope{}, "", fmt.Errorf("%w: header %s: %w", ErrMalformed, f.header, err)
		}
		if v == "" && f.required {
			return Envelope{}, "", fmt.Errorf("%w: header %s is missing", ErrMalformed, f.header)
		}
		*f.to = v
	}
	if v := h.get(headerTime); v != "" {
		t, err := time.Parse(time.RFC3339Nano, v)
		if err != nil || !writable(t) {
			return Envelope{}, "", fmt.Errorf("%w: header %s: %q is not an RFC 3339 time", ErrMalformed, headerTime, clip(v))
		}
		e.Time = t
	}
	if v := h.get(headerTraceparent); validTraceparent(v) {
		e.Traceparent = v // a bad one is dropped, as W3C Trace Context asks
	}
	return e, Type(typ), nil
}
