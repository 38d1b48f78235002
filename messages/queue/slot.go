package queue

import "context"

// Slot lets those who consume different types take one message at a time between them. Nil lets
// always.
type Slot struct {
	taken chan struct{}
	ready func(context.Context) error
	able  func(context.Context) error
}

// NewSlot makes a free slot. Ready waits until a message can be handled; able tells why none can be
// handled now.
func NewSlot(ready, able func(context.Context) error) *Slot {
	return &Slot{make(chan struct{}, 1), ready, able}
}

// await waits until the slot is free and a message can be handled.
func (s *Slot) await(ctx context.Context) error {
	if s == nil {
		return nil
	}
	select {
	case s.taken <- struct{}{}:
		<-s.taken
		return s.ready(ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enter takes the slot, unless it is taken.
func (s *Slot) enter() bool {
	if s == nil {
		return true
	}
	select {
	case s.taken <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *Slot) leave() {
	if s != nil {
		<-s.taken
	}
}
