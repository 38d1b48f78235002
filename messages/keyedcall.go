package messages

import "encoding/json"

// KeyedCall is a call with an Idempotency-Key, under a digest of that key and of whose it is: what a producer knows it
// by when it comes again, to whichever producer. It is written before its build is asked for, and once more with the answer.
type KeyedCall struct {
	Fingerprint string          `json:"fingerprint"`      // of the call's body
	Build       string          `json:"build"`            // the ID that its build is asked for with
	Ref         string          `json:"ref,omitempty"`    // the full name of the branch or tag, of which the call meant the head
	Commit      string          `json:"commit,omitempty"` // that it had there
	Answer      json.RawMessage `json:"answer,omitempty"` // what the caller was told; none while that is not known to be stored
}
