package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// askAnother is the pause before another controller is asked than the one that stops.
const askAnother = 250 * time.Millisecond

// AskFence asks the acting controller about a fleet's fence config, as queue.Question does, and returns its
// answer, whose Error is an error too. Where that one stops, the next is asked the same, which may have heard it already: a
// question keeps its name.
func AskFence(ctx context.Context, c *queue.Client, asked messages.FenceAsked) (messages.FenceAnswered, error) {
	asked.Ask = messages.NewID()
	for {
		answer, err := askOnce(ctx, c, asked)
		if err != nil {
			return messages.FenceAnswered{}, err
		}
		switch {
		case answer.Again && queue.Pause(ctx, askAnother):
			continue
		case answer.Error != "":
			return *answer, errors.New(answer.Error)
		}
		return *answer, nil
	}
}

func askOnce(ctx context.Context, c *queue.Client, asked messages.FenceAsked) (*messages.FenceAnswered, error) {
	if err := asked.Validate(); err != nil {
		return nil, err
	}
	m, err := c.Question(ctx, &asked, c.Space().AnyVersion(messages.TypeFenceAnswered, asked.Fleet, asked.Ask))
	if err != nil {
		return nil, err
	}
	_, answer, err := messages.DecodeAs[*messages.FenceAnswered](m)
	if err != nil {
		return nil, fmt.Errorf("reading the controller's answer: %w", err)
	}
	return answer, nil
}

// HearFence calls fn with every question about a fence config, until ctx ends, and with those that had come by
// then, and returns ctx's cause. Only the acting controller does.
func HearFence(ctx context.Context, c *queue.Client, fn func(messages.FenceAsked)) error {
	return c.HearQuestions(ctx, c.Space().AnyVersion(messages.TypeFenceAsked), func(subject string, m messages.Message) {
		_, asked, err := messages.DecodeAs[*messages.FenceAsked](m)
		if err != nil || subject != c.Space().Subject(asked) {
			c.Logger().Warn().Err(err).Str("subject", subject).Msg("question passed over")
			return
		}
		fn(*asked)
	})
}

// AnswerFence answers a question. An answer that is lost is one that the asker waits for in vain.
func AnswerFence(c *queue.Client, answer messages.FenceAnswered) error {
	if err := c.Hint(&answer); err != nil {
		return fmt.Errorf("answering about the fence config of fleet %s: %w", answer.Fleet, err)
	}
	return nil
}
