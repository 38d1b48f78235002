package messages

import "time"

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

// ForgeStatusKey is the key of what a forge was told of a pipeline's commit.
func ForgeStatusKey(pipeline, commit string) string { return "told." + pipeline + "." + commit }

// ForgeProblemKey is the key of what keeps a pipeline's statuses from its forge.
func ForgeProblemKey(pipeline string) string { return "problem." + pipeline }
