package messages

import (
	"strings"
	"time"
)

// ForgeStatus is what a forge was told last of a commit, in the statuses bucket under ForgeStatusKey. It is written
// once the forge has taken it.
type ForgeStatus struct {
	Pipeline string    `json:"pipeline"`
	Commit   string    `json:"commit"`
	Build    string    `json:"build"`
	Request  uint64    `json:"request"` // sequence of the build's request: of two builds of a commit the later one counts
	State    string    `json:"state"`
	Text     string    `json:"text"`
	Context  string    `json:"context"`           // the name of the status at the forge
	Refused  string    `json:"refused,omitempty"` // why the forge has not taken it, and never will
	At       time.Time `json:"at"`
}

// ForgeProblem is why a pipeline's statuses don't reach its forge, in the statuses bucket under ForgeProblemKey. It is
// removed when they do.
type ForgeProblem struct {
	Pipeline string    `json:"pipeline"`
	Forge    string    `json:"forge"` // its address
	Problem  string    `json:"problem"`
	Since    time.Time `json:"since"`
}

// ForgeOwed is a commit of which a forge that is away, or slow, is still to be told, in the statuses bucket under ForgeOwedKey. It
// stands for the messages that told of it, so that these don't wait among those of other forges. It is removed once the forge
// knows.
type ForgeOwed struct {
	Pipeline string    `json:"pipeline"`
	Commit   string    `json:"commit"`
	Ref      string    `json:"ref,omitempty"`
	Build    string    `json:"build"`
	Request  uint64    `json:"request"`          // sequence of the build's request
	Queued   bool      `json:"queued,omitempty"` // nothing but the request is known to tell of it
	Reason   *Reason   `json:"reason,omitempty"` // what led to a build that is queued
	At       time.Time `json:"at"`               // of the message that told of it last
}

// ForgeStatusKey is the key of what a forge was told of a pipeline's commit.
func ForgeStatusKey(pipeline, commit string) string { return "told." + pipeline + "." + commit }

// ForgeProblemKey is the key of what keeps a pipeline's statuses from its forge.
func ForgeProblemKey(pipeline string) string { return "problem." + pipeline }

// ForgeOwedKey is the key of what a forge is still to be told of a pipeline's commit.
func ForgeOwedKey(pipeline, commit string) string { return "owed." + pipeline + "." + commit }

// ForgeOwedOf is the ForgeOwedKey of the commit of a ForgeStatusKey.
func ForgeOwedOf(statusKey string) string { return "owed." + strings.TrimPrefix(statusKey, "told.") }
