package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

func TestClock(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Connect(t)
	if _, err := store.NewClock(c).Now(t.Context()); !errors.Is(err, queue.ErrUndeclared) {
		t.Errorf("without streams the error is %v", err)
	}
	if err := store.Declare(t.Context(), c, store.Layout{}); err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	now, err := store.NewClock(c).Now(t.Context())
	if err != nil || now.Before(before.Add(-time.Second)) || now.After(time.Now().Add(time.Second)) {
		t.Errorf("the clock says %v, %v", now, err)
	}
}
