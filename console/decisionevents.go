package console

import (
	"context"
	"errors"
	"time"

	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
)

// tellTime bounds the telling of a decision.
const tellTime = 5 * time.Second

// tellDecision tells, as an event, of what a person asked for and what became of it. That it can't changes nothing of what was
// decided; the log has it, too.
func (c *Console) tellDecision(ctx context.Context, m *messages.DecisionMade, err error) {
	m.At, m.Via, m.Outcome = time.Now().UTC(), "console", messages.OutcomeAccepted
	for _, text := range []*string{&m.Fleet, &m.About, &m.To, &m.Reason} { // as it was sent
		*text = messages.Shorten(*text, people.MaxReason)
	}
	if err != nil && !errors.Is(err, people.ErrDecided) {
		m.Outcome, m.Why, m.Doubtful = messages.OutcomeRefused, messages.Shorten(err.Error(), people.MaxReason), unsure(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTime)
	defer cancel()
	if err := c.queue.Publish(ctx, "", m); err != nil {
		c.log.Warn().Err(err).Str("action", m.Action).Str("by", m.By).Msg("'fenceline audit' will not show a decision")
	}
}
