package messages

import "time"

// Step names a step of the flow, for people who watch it.
type Step string

// The steps of a build and a rollout, in order.
const (
	StepReceived     Step = "received"
	StepQueued       Step = "queued"
	StepClaimed      Step = "claimed"
	StepPinned       Step = "base pinned"
	StepBuilt        Step = "built"
	StepHooksChecked Step = "hooks checked"
	StepPushed       Step = "pushed"
	StepAnnounced    Step = "announced"
	StepPresent      Step = "present"
	StepTrialPassed  Step = "trial passed"
	StepFlipped      Step = "flipped"
)

// BuildLog is a piece of a build's progress: a step reached, or output.
type BuildLog struct {
	BuildRef
	Attempt int    `json:"attempt"`
	Step    Step   `json:"step,omitempty"`   // set when a step was reached
	Vertex  string `json:"vertex,omitempty"` // the BuildKit vertex, as people know it: [2/3] RUN …
	Text    string `json:"text,omitempty"`   // output or a remark; may hold several lines
	Error   bool   `json:"error,omitempty"`  // the vertex or the step failed
	// Progress is how far the vertex is, for those who draw it. Older builders tell of none: their logs are lines.
	Progress *VertexProgress `json:"progress,omitempty"`
}

// VertexProgress is how far a BuildKit vertex is: that it began, wrote the message's text, moved on, or ended.
type VertexProgress struct {
	ID        string    `json:"id"` // the vertex's digest, which tells vertices of one name apart
	Started   time.Time `json:"started,omitzero"`
	Completed time.Time `json:"completed,omitzero"`
	Cached    bool      `json:"cached,omitempty"`
	Stopped   bool      `json:"stopped,omitempty"` // it was ended with the build
	Output    bool      `json:"output,omitempty"`  // Text is what it wrote, not a remark about it
	// Parts are what it works on, such as the layers that it fetches. They come with no text, and some are left out.
	Parts []VertexPart `json:"parts,omitempty"`
}

// VertexPart is something that a vertex works on.
type VertexPart struct {
	Name      string    `json:"name"`
	Current   int64     `json:"current,omitempty"` // bytes, or a count
	Total     int64     `json:"total,omitempty"`   // 0 where it is not known
	Started   time.Time `json:"started,omitzero"`
	Completed time.Time `json:"completed,omitzero"`
}

// MessageType is TypeBuildLog.
func (*BuildLog) MessageType() Type { return TypeBuildLog }
