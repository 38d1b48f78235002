package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Waiting is what waits on one subject of a stream for those who share a consumer.
type Waiting struct {
	Messages uint64
	Oldest   time.Duration // of one that nobody was given yet, by the server's clock; 0 where there is none
}

// Waiting tells for each subject of a Shared what nobody was given yet, and how many messages somebody has or that
// wait for another try. It asks once for each subject that has any, whatever their number.
func (c *Client) Waiting(ctx context.Context, s Shared) (all map[string]Waiting, taken uint64, err error) {
	delivered, taken, err := c.delivered(ctx, s)
	if err != nil {
		return nil, 0, err
	}
	subjects, err := c.Subjects(ctx, s.Stream, c.space.Filter(s.Type))
	if err != nil {
		return nil, 0, err
	}
	info, err := c.Info(ctx, s.Stream)
	if err != nil {
		return nil, 0, err
	}
	all = map[string]Waiting{}
	for subject := range subjects {
		all[subject] = Waiting{}
		if info.Last <= delivered {
			continue
		}
		w, err := c.waitingOn(ctx, s.Stream, subject, delivered, info.Now)
		if err != nil {
			return nil, 0, err
		}
		all[subject] = w
	}
	return all, taken, nil
}

// delivered is the sequence up to which a Shared's messages were given to somebody once, and how many of them are not settled.
func (c *Client) delivered(ctx context.Context, s Shared) (sequence, unsettled uint64, err error) {
	ctx, done := c.denied.guard(ctx, "$JS.API.CONSUMER.INFO."+s.Stream+"."+s.durable())
	defer done()
	consumer, err := c.known(ctx, s.Stream, s.durable())
	if errors.Is(err, jetstream.ErrConsumerNotFound) { // nobody ever took any
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, c.failure(ctx, err)
	}
	info := consumer.CachedInfo()
	return info.Delivered.Stream, uint64(max(info.NumAckPending, 0)), nil
}

// waitingOn asks for the first message of a subject after a sequence. A server says with it how many follow; one before 2.11
// doesn't, and nothing is known then.
func (c *Client) waitingOn(ctx context.Context, stream, subject string, after uint64, now time.Time) (Waiting, error) {
	body, err := json.Marshal(map[string]any{"seq": after + 1, "next_by_subj": subject, "batch": 1})
	if err != nil {
		return Waiting{}, err
	}
	answer, err := c.ask(ctx, "$JS.API.DIRECT.GET."+stream, body)
	if err != nil {
		return Waiting{}, err
	}
	switch status := answer.Header.Get("Status"); status {
	case "":
	case "404":
		return Waiting{}, nil
	default:
		return Waiting{}, c.refused(fmt.Errorf("%w: status %s %s", ErrUnavailable, status, answer.Header.Get("Description")))
	}
	follow, err := strconv.ParseUint(answer.Header.Get("Nats-Num-Pending"), 10, 64)
	if err != nil {
		return Waiting{}, fmt.Errorf("counting what waits on %s: the server does not say: it is older than 2.11", subject)
	}
	first, err := storedBy(stream, answer)
	if err != nil {
		return Waiting{}, c.refused(err)
	}
	return Waiting{follow + 1, max(now.Sub(first.Time), 0)}, nil
}
