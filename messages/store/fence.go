package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// AskFence asks the acting controller about a fleet's fence config, as queue.Question does, and returns its
// answer, whose Error is an error too.
func AskFence(ctx context.Context, c *queue.Client, asked messages.FenceAsked) (messages.FenceAnswered, error) {
	asked.Ask = messages.NewID()
	if err := asked.Validate(); err != nil {
		return messages.FenceAnswered{}, err
	}
	m, err := c.Question(ctx, &asked, c.Space().AnyVersion(messages.TypeFenceAnswered, asked.Fleet, asked.Ask))
	if err != nil {
		return messages.FenceAnswered{}, err
	}
	_, answer, err := messages.DecodeAs[*messages.FenceAnswered](m)
	switch {
	case err != nil:
		return messages.FenceAnswered{}, fmt.Errorf("reading the controller's answer: %w", err)
	case answer.Error != "":
		return *answer, errors.New(answer.Error)
	}
	return *answer, nil
}

// HearFence calls fn with every question about a fence config, until ctx ends, and returns its cause. Only
// the acting controller does.
func HearFence(ctx context.Context, c *queue.Client, fn func(messages.FenceAsked)) error {
	return c.HearHints(ctx, c.Space().AnyVersion(messages.TypeFenceAsked), func() error { return nil }, func(subject string, m messages.Message) error {
		_, asked, err := messages.DecodeAs[*messages.FenceAsked](m)
		if err != nil || subject != c.Space().Subject(asked) {
			c.Logger().Warn().Err(err).Str("subject", subject).Msg("question passed over")
			return nil
		}
		fn(*asked)
		return nil
	})
}

// AnswerFence answers a question. An answer that is lost is one that the asker waits for in vain.
func AnswerFence(c *queue.Client, answer messages.FenceAnswered) error {
	if err := c.Hint(&answer); err != nil {
		return fmt.Errorf("answering about the fence config of fleet %s: %w", answer.Fleet, err)
	}
	return nil
}
