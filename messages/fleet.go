package messages

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// NodeFailed tells that a node could not do its part of a rollout.
type NodeFailed struct {
	Fleet   string `json:"fleet"`
	Node    string `json:"node"`
	Rollout string `json:"rollout,omitempty"`
	Image   Image  `json:"image,omitempty"`
	Step    string `json:"step"` // what it was doing: "pull", "disk", "verify", "engine"
	Reason  string `json:"reason"`
}

// MessageType is TypeNodeFailed.
func (*NodeFailed) MessageType() Type  { return TypeNodeFailed }
func (m *NodeFailed) tokens() []string { return []string{m.Fleet, m.Node} }

// Validate names the first field that can't be acted on.
func (m *NodeFailed) Validate() error {
	if err := checkNode(m.Fleet, m.Node); err != nil {
		return err
	}
	return m.Image.check()
}

func checkNode(fleet, node string) error {
	if err := CheckName("fleet", fleet); err != nil {
		return err
	}
	return CheckName("node", node)
}

// TrialFinished is a canary's verdict on an image.
type TrialFinished struct {
	Fleet   string `json:"fleet"`
	Node    string `json:"node"`
	Rollout string `json:"rollout"`
	Image   Image  `json:"image"`
	TrialResult
}

// TrialResult is how a trial ended.
type TrialResult struct {
	Passed bool      `json:"passed"`
	Hooks  []HookRun `json:"hooks,omitempty"`  // those that ran, in order; the last may have failed
	Reason string    `json:"reason,omitempty"` // why it did not pass
}

// HookRun is one admin hook's run in a trial.
type HookRun struct {
	Hook   string `json:"hook"`
	Exit   int    `json:"exit"`             // exit status; -1 when it did not end
	Output string `json:"output,omitempty"` // the last lines
}

// MessageType is TypeTrialFinished.
func (*TrialFinished) MessageType() Type  { return TypeTrialFinished }
func (m *TrialFinished) tokens() []string { return []string{m.Fleet, m.Node} }

// Validate names the first field that can't be acted on.
func (m *TrialFinished) Validate() error {
	if err := checkNode(m.Fleet, m.Node); err != nil {
		return err
	}
	if err := m.Image.check(); err != nil {
		return err
	}
	return CheckID("rollout", m.Rollout)
}

// RolloutChanged tells of a rollout's new state, or of a decision about its fleet.
type RolloutChanged struct {
	Fleet   string       `json:"fleet"`
	Rollout string       `json:"rollout"`
	Build   string       `json:"build,omitempty"`
	Order   uint64       `json:"order,omitempty"`
	Image   Image        `json:"image,omitempty"`
	State   RolloutState `json:"state"`
	Why     string       `json:"why,omitempty"`
	Epoch   uint64       `json:"epoch,omitempty"` // of the fleet record, when it was changed
	By      string       `json:"by,omitempty"`    // the person, for a person's decision
	Present int          `json:"present,omitempty"`
	Members int          `json:"members,omitempty"`
}

// MessageType is TypeRolloutChanged.
func (*RolloutChanged) MessageType() Type  { return TypeRolloutChanged }
func (m *RolloutChanged) tokens() []string { return []string{m.Fleet, m.Rollout} }

// Validate names the first field that can't be acted on.
func (m *RolloutChanged) Validate() error {
	if err := CheckName("fleet", m.Fleet); err != nil {
		return err
	}
	if err := m.Image.check(); err != nil {
		return err
	}
	return CheckID("rollout", m.Rollout)
}

// FleetChanged announces a fleet's record over core NATS. It is a hint: whoever misses it
// reads the record.
type FleetChanged struct {
	Revision uint64      `json:"revision"` // of the record in its bucket
	Record   FleetRecord `json:"record"`
}

// MessageType is TypeFleetChanged.
func (*FleetChanged) MessageType() Type  { return TypeFleetChanged }
func (m *FleetChanged) tokens() []string { return []string{m.Record.Fleet} }

// Validate names the first field that can't be acted on.
func (m *FleetChanged) Validate() error {
	if m.Revision == 0 {
		return errors.New("revision: is missing")
	}
	return m.Record.Validate()
}

// DeadLetter keeps a message that nobody could handle, with the reason, so that a person
// can look at it and send it again.
type DeadLetter struct {
	Stream     string    `json:"stream"`
	Sequence   uint64    `json:"sequence"` // of the message in its stream; with it, the letter's name
	Subject    string    `json:"subject"`  // where the message was published, and would be again
	Reason     string    `json:"reason"`
	Headers    Headers   `json:"headers,omitempty"`
	Body       []byte    `json:"body,omitempty"`
	Omitted    int       `json:"omitted,omitempty"` // bytes of a body that, with the headers, was too big to be kept
	Deliveries int       `json:"deliveries,omitempty"`
	At         time.Time `json:"at"`
}

// MessageType is TypeDeadLetter.
func (*DeadLetter) MessageType() Type { return TypeDeadLetter }
func (m *DeadLetter) tokens() []string {
	return []string{m.Stream, fmt.Sprint(m.Sequence)}
}

// Validate names the first field that can't be acted on. It takes any subject, as whatever a
// stream stored may have to be kept.
func (m *DeadLetter) Validate() error {
	if m.Stream == "" || m.Sequence == 0 || m.Subject == "" {
		return errors.New("stream, sequence and subject must all be set")
	}
	return CheckID("stream", m.Stream)
}

// Whole tells whether the message can be sent again as it was.
func (m *DeadLetter) Whole() error {
	if m.Omitted > 0 {
		return fmt.Errorf("its message of %d bytes was too big to be kept: drop the letter, and have the message sent again by its source", m.Omitted)
	}
	if !subjectForm.MatchString(m.Subject) {
		return fmt.Errorf("subject: %q is not one that fenceline sends to: drop the letter", clip(m.Subject))
	}
	return nil
}

// subjectForm is printable tokens joined by dots, without NATS' wildcards: sending a dead
// letter again must reach one subject. $ starts the server's own subjects.
var subjectForm = regexp.MustCompile(`^[!-#%-)+\-/-=?-~][!-)+\-/-=?-~]*(\.[!-)+\-/-=?-~]+)*$`)
