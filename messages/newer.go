package messages

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// TypeOf is the type that a message says it has; "" for none.
func TypeOf(m Message) Type {
	t, err := percentDecode(m.Headers.get(headerType))
	if err != nil {
		return ""
	}
	return Type(t)
}

// everyRequest is what a build request has in every version, by the same names: which build
// it is, and what makes two requests the same push. A version that changed one of these could
// not run beside the one before it.
type everyRequest struct {
	Build    string `json:"build"`
	Order    uint64 `json:"order"`
	Pipeline struct {
		Name string `json:"name"`
	} `json:"pipeline"`
	Ref         string    `json:"ref"`
	Commit      string    `json:"commit"`
	Context     string    `json:"context"`
	Cause       Cause     `json:"cause"`
	RequestedBy string    `json:"requested_by"`
	Received    time.Time `json:"received"`
}

// NewerRequest reads from a build request of a newer version than this program's what every
// version has. The rest is left zero: it is enough to say which build it is and whether another
// request is the same push, not to build it.
func NewerRequest(m Message) (*BuildRequested, bool) {
	t := TypeOf(m)
	_, version := t.split()
	_, own := TypeBuildRequested.split()
	if t.kind() != TypeBuildRequested.kind() || !newer(version, own) {
		return nil, false
	}
	var r everyRequest
	if json.Unmarshal(m.Body, &r) != nil || CheckID("build", r.Build) != nil || CheckName("pipeline", r.Pipeline.Name) != nil {
		return nil, false
	}
	return &BuildRequested{
		Build: r.Build, Order: r.Order, Pipeline: Pipeline{Name: r.Pipeline.Name}, Ref: r.Ref, Commit: r.Commit,
		Context: r.Context, Cause: r.Cause, RequestedBy: r.RequestedBy, Received: r.Received,
	}, true
}

// WithOrder is a build request that carries an order, as a retry does, in the version that it
// has: it says the same to the workers of that version. One that carries an order keeps it.
func WithOrder(m Message, order uint64) (Message, *BuildRequested, error) {
	_, r, err := DecodeAs[*BuildRequested](m)
	if err != nil || r.Order != 0 {
		return m, r, err
	}
	var fields map[string]json.RawMessage // those of the version, which may be others than this program's
	if err := json.Unmarshal(m.Body, &fields); err != nil {
		return m, r, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	fields["order"] = json.RawMessage(strconv.FormatUint(order, 10))
	r.Order = order
	m.Body, err = json.Marshal(fields)
	return m, r, err
}
