package console

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
)

// refusedMost bounds, in bytes, each name in the event of what was refused before anybody looked whether there is such a thing.
const refusedMost = 100

// tellRefused tells, as an event, of a decision that was refused before it was looked at; d is nil where there is none of that name.
func (c *Console) tellRefused(r *http.Request, s *session, d decision, err error) {
	if d == nil {
		return
	}
	told := d.told()
	told.By, told.From = s.person.By(), c.sender(r)
	for _, name := range []*string{&told.Fleet, &told.About, &told.To} {
		*name = messages.Shorten(*name, refusedMost)
	}
	c.tellDecision(r.Context(), &told, err)
}

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
