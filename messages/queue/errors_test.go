package queue_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

func TestAnOutageIsCalledOne(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	s.Stop()
	eventually(t, "the connection is lost", func() bool {
		err := c.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), "not connected")
	})
	_, err := store.Builds(c).Get(within(t), "base-1")
	if !errors.Is(err, queue.ErrUnavailable) || !strings.Contains(err.Error(), "not connected") || strings.Contains(err.Error(), "buffer") {
		t.Errorf("the error is %v", err)
	}
}
