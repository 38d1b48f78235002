package cli

import (
	"context"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// answered has whoever asks for a fence config be told that it is value, as a controller would.
func answered(t *testing.T, c *queue.Client, value string) {
	t.Helper()
	background(t, func(ctx context.Context) error {
		return store.HearFence(ctx, c, func(asked messages.FenceAsked) {
			a := messages.FenceAnswered{Ask: asked.Ask, Fleet: asked.Fleet, Store: messages.FenceNATS, Value: value, Previous: value}
			if asked.Set != nil {
				a.Error = "refused: " + value
			}
			if err := store.AnswerFence(c, a); err != nil {
				t.Error(err)
			}
		})
	})
}
