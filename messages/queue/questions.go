package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go"
)

// askAgain is the pause before a question that nobody heard is put again.
const askAgain = 250 * time.Millisecond

// askLast is how long before the end of its time a question is put last: so long may the server take to say that
// nobody hears it. Of one that is not heard it must not be said that it may have been acted on.
const askLast = time.Second

// Question puts a question over core NATS and waits for the first message on the subject of its answer, until
// ctx ends. A question that nobody hears is put again; ErrNobody where none did. One that was heard is put
// once: whether it was acted on, where ErrUnanswered says that no answer came, is not known.
//
// The answer comes on a subject of the contract, for which who answers needs a right of its own. The reply
// subject, an inbox of this client's, is for the server alone, to say that nobody listens.
func (c *Client) Question(ctx context.Context, p messages.Payload, answer string) (messages.Message, error) {
	m, err := messages.Encode(c.Envelope(messages.About(p), ""), p)
	if err != nil {
		return messages.Message{}, err
	}
	subject := c.space.Subject(p)
	answered, err := c.question(ctx, natsMessage(subject, m, nil), answer)
	if err != nil {
		return messages.Message{}, fmt.Errorf("asking on %s: %w", subject, err)
	}
	return messages.Message{Headers: messages.Headers(answered.Header), Body: answered.Data}, nil
}

func (c *Client) question(ctx context.Context, m *nats.Msg, answer string) (*nats.Msg, error) {
	guarded, done := c.denied.guard(ctx, m.Subject)
	defer done()
	answers, unheard := make(chan *nats.Msg, 1), make(chan *nats.Msg, 1)
	m.Reply = c.nc.NewInbox()
	for subject, to := range map[string]chan *nats.Msg{answer: answers, m.Reply: unheard} {
		sub, err := c.nc.ChanSubscribe(subject, to)
		if err != nil {
			return nil, c.refused(classify(err))
		}
		defer func() { _ = sub.Unsubscribe() }()
	}
	for {
		if err := c.nc.PublishMsg(m); err != nil {
			return nil, c.refused(classify(err))
		}
		select {
		case got := <-answers:
			return got, nil
		case <-unheard:
			end, ends := guarded.Deadline()
			if ends && time.Until(end) < askLast+askAgain || !Pause(guarded, askAgain) {
				return nil, c.refused(c.failure(guarded, ErrNobody))
			}
		case <-guarded.Done():
			return nil, c.refused(c.failure(guarded, ErrUnanswered))
		}
	}
}
