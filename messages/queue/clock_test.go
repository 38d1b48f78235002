package queue_test

import (
	"errors"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

func TestClock(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Connect(t)
	if _, err := c.Clock(t.Context()); !errors.Is(err, queue.ErrUndeclared) {
		t.Errorf("without streams the error is %v", err)
	}
	if err := c.Declare(t.Context(), queue.Layout{}); err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	now, err := c.Clock(t.Context())
	if err != nil || now.Before(before.Add(-time.Second)) || now.After(time.Now().Add(time.Second)) {
		t.Errorf("the clock says %v, %v", now, err)
	}
}
