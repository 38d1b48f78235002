package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
)

// Tail is from where on at most so many messages of a subject, which may have wildcards, are left in a stream, and how many
// lie before. It asks some twenty times, however many there are. A server before 2.11 doesn't say how many follow: then
// all are left.
func (c *Client) Tail(ctx context.Context, stream, subject string, most uint64) (from, before uint64, err error) {
	info, err := c.Info(ctx, stream)
	if err != nil {
		return 0, 0, err
	}
	all, err := c.follow(ctx, stream, subject, info.First)
	if err != nil || all <= most {
		return info.First, 0, err
	}
	low, high := info.First, info.Last+1 // at low more are left than asked for, at high not
	left := uint64(0)
	for low+1 < high {
		middle := low + (high-low)/2
		n, err := c.follow(ctx, stream, subject, middle)
		if err != nil {
			return 0, 0, err
		}
		if n > most {
			low = middle
		} else {
			high, left = middle, n
		}
	}
	return high, all - left, nil
}

// follow counts the messages of a subject from a sequence on.
func (c *Client) follow(ctx context.Context, stream, subject string, from uint64) (uint64, error) {
	body, err := json.Marshal(map[string]any{"seq": from, "next_by_subj": subject, "batch": 1})
	if err != nil {
		return 0, err
	}
	answer, err := c.ask(ctx, "$JS.API.DIRECT.GET."+stream, body)
	if err != nil {
		return 0, err
	}
	switch status := answer.Header.Get("Status"); status {
	case "":
	case "404":
		return 0, nil
	default:
		return 0, c.refused(fmt.Errorf("%w: status %s %s", ErrUnavailable, status, answer.Header.Get("Description")))
	}
	n, err := strconv.ParseUint(answer.Header.Get("Nats-Num-Pending"), 10, 64)
	if err != nil {
		return 0, nil //nolint:nilerr // it does not say
	}
	return n + 1, nil
}
