package messages

import (
	"fmt"
	"slices"
	"strings"
)

// The kinds of places where a fleet's fence config can live.
const (
	FenceNATS    = "natskv"  // the installation's own bucket
	FenceKato    = "kato"    // a Stackato cluster, by its kato command
	FenceConfdis = "confdis" // a Stackato cluster, by the Redis behind kato
	FenceExec    = "exec"    // an operator's own commands
)

// FenceKinds lists them, the default first.
func FenceKinds() []string { return []string{FenceNATS, FenceKato, FenceConfdis, FenceExec} }

// CheckFence tells whether kind is a place where a fence config can live.
func CheckFence(kind string) error {
	if slices.Contains(FenceKinds(), kind) {
		return nil
	}
	return fmt.Errorf("%q is no place where a fence config can live: choose one of %s", clip(kind), strings.Join(FenceKinds(), ", "))
}

// FenceAsked asks the acting controller to read a fleet's fence config, or to set it, over core NATS. It
// is answered by a FenceAnswered on the subject of its own, and never on a reply subject, which its sender
// would choose and the controller's rights would write to.
type FenceAsked struct {
	Ask   string    `json:"ask"` // random, for the answer
	Fleet string    `json:"fleet"`
	Set   *FenceSet `json:"set,omitempty"` // nil to read
}

// FenceSet is what a person sets by hand.
type FenceSet struct {
	Value  string `json:"value"`
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// MessageType is TypeFenceAsked.
func (*FenceAsked) MessageType() Type  { return TypeFenceAsked }
func (m *FenceAsked) tokens() []string { return []string{m.Fleet} }

// Validate names the first field that can't be acted on.
func (m *FenceAsked) Validate() error {
	if err := CheckName("fleet", m.Fleet); err != nil {
		return err
	}
	return CheckName("ask", m.Ask)
}

// FenceAnswered is the answer to a FenceAsked.
type FenceAnswered struct {
	Ask      string `json:"ask"`
	Fleet    string `json:"fleet"`
	Store    string `json:"store,omitempty"`    // of FenceKinds
	Value    string `json:"value,omitempty"`    // that is set now; "" where none is
	Previous string `json:"previous,omitempty"` // that was set before
	Held     bool   `json:"held,omitempty"`     // the fleet is held
	Error    string `json:"error,omitempty"`    // why it was not done
	// Again tells that nothing was done because this controller stops: another may do it.
	Again bool `json:"again,omitempty"`
}

// MessageType is TypeFenceAnswered.
func (*FenceAnswered) MessageType() Type  { return TypeFenceAnswered }
func (m *FenceAnswered) tokens() []string { return []string{m.Fleet, m.Ask} }

// Validate names the first field that can't be acted on.
func (m *FenceAnswered) Validate() error {
	if err := CheckName("fleet", m.Fleet); err != nil {
		return err
	}
	return CheckName("ask", m.Ask)
}
