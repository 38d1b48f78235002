package messages

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
}

// MessageType is TypeBuildLog.
func (*BuildLog) MessageType() Type { return TypeBuildLog }
