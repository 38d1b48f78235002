package messages

import "errors"

// About is the CloudEvents subject of a message: the build, rollout, node or fleet that it is
// about.
func About(p Payload) string {
	if r, ok := p.(*BuildRequested); ok {
		return r.Build // its subject ends with the pipeline
	}
	tokens := p.tokens()
	return tokens[len(tokens)-1]
}

// DecodeStored reads a message that a stream keeps under a sequence. A build request gets its
// order; of one of a newer version than this program's it has only what every version has, and
// newer is its type.
func DecodeStored(m Message, sequence uint64) (e Envelope, p Payload, newer Type, err error) {
	e, p, err = Decode(m)
	if errors.Is(err, ErrNewer) {
		if r, ok := NewerRequest(m); ok {
			p, newer, err = r, TypeOf(m), nil
		}
	}
	if r, ok := p.(*BuildRequested); ok {
		r.Accepted(sequence)
	}
	return e, p, newer, err
}
