package form

import (
	"encoding/json"
	"time"
)

// CloudEventType is the content type of a CloudEvent in structured mode, with its attributes in the body: a signature is over
// the body, and in binary mode, where they are headers, would leave out what the event is.
const CloudEventType = "application/cloudevents+json; charset=utf-8"

// cloudEvent is the JSON form of a CloudEvent 1.0. severity and text are extensions.
type cloudEvent struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Subject     string          `json:"subject,omitempty"`
	Time        string          `json:"time,omitempty"`
	ContentType string          `json:"datacontenttype"`
	Traceparent string          `json:"traceparent,omitempty"`
	Severity    Severity        `json:"severity"`
	Text        string          `json:"text"`
	Data        json.RawMessage `json:"data"`
}

// CloudEvent is the event as a CloudEvent in structured mode: as it was published, with its severity and sentence beside it.
func (e *Event) CloudEvent() ([]byte, error) {
	out := cloudEvent{
		SpecVersion: "1.0", ID: e.envelope.ID, Source: e.envelope.Source, Type: string(e.typ), Subject: e.envelope.Subject,
		ContentType: "application/json", Traceparent: e.envelope.Traceparent, Severity: e.Severity, Text: e.Text, Data: e.body,
	}
	if !e.envelope.Time.IsZero() {
		out.Time = e.envelope.Time.UTC().Format(time.RFC3339Nano)
	}
	return json.Marshal(out)
}
