package messages

import (
	"context"
	"errors"
	"time"
)

// DecisionMade tells of what a person asked for by a command or a page, carried out or refused. What was decided stands in
// the records; this says who asked, and from where.
type DecisionMade struct {
	At       time.Time `json:"at"`                 // by the clock of the machine that took it
	Action   string    `json:"action"`             // such as "rollback"
	Fleet    string    `json:"fleet,omitempty"`    // that it was about, where it was about one
	About    string    `json:"about,omitempty"`    // the rollout, build, node or dead letter, as it was named
	To       string    `json:"to,omitempty"`       // the image that was to become current, as it was named
	By       string    `json:"by"`                 // as the one who carried it out knew the person
	Via      string    `json:"via"`                // "command line", "watch" or "console"
	From     string    `json:"from,omitempty"`     // the address of a browser, the name of a machine
	Reason   string    `json:"reason,omitempty"`   // that the person gave
	Outcome  Outcome   `json:"outcome"`            // accepted or refused
	Why      string    `json:"why,omitempty"`      // it was refused
	Doubtful bool      `json:"doubtful,omitempty"` // NATS did not answer in time: it may have been carried out all the same
}

type reasonKey struct{}

// Saying is a context for decisions whose person says why: the reason stands where their name does.
func Saying(ctx context.Context, reason string) context.Context {
	return context.WithValue(ctx, reasonKey{}, reason)
}

// Said is the reason that a person gave, or "".
func Said(ctx context.Context) string {
	reason, _ := ctx.Value(reasonKey{}).(string)
	return reason
}

// MessageType is TypeDecisionMade.
func (*DecisionMade) MessageType() Type { return TypeDecisionMade }

func (*DecisionMade) tokens() []string { return []string{"person"} }

// Validate names the first field that can't be acted on.
func (m *DecisionMade) Validate() error {
	if m.Action == "" || m.Outcome == "" {
		return errors.New("action and outcome must both be set")
	}
	return nil
}
