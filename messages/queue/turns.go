package queue

import (
	"context"
	"errors"
	"sync"
)

// errAnother ends a turn for one with something else.
var errAnother = errors.New("it goes on with something else")

// Turns is work that begins anew whenever what it is done with is another. The zero value is ready.
type Turns[T any] struct {
	mu   sync.Mutex
	next *T                      // what the next turn is done with; nil for what the last one was
	end  context.CancelCauseFunc // of the turn under way, or the last one
}

// Next has the work go on with v from here on: the turn under way ends.
func (t *Turns[T]) Next(v T) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next = &v; t.end != nil {
		t.end(errAnother)
	}
}

// Pending tells whether what Next was given waits for its turn.
func (t *Turns[T]) Pending() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.next != nil
}

// Run does turns one after the other, until one ends for another reason than Next, and returns its error. Before a turn take is
// given what Next was; an error of it is one of the turn.
func (t *Turns[T]) Run(ctx context.Context, take func(T) error, turn func(context.Context) error) error {
	for {
		err := t.one(ctx, take, turn)
		if !errors.Is(err, errAnother) || ctx.Err() != nil {
			return err
		}
	}
}

// one does a turn. Its error is errAnother where Next has ended it.
func (t *Turns[T]) one(ctx context.Context, take func(T) error, turn func(context.Context) error) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	t.mu.Lock()
	next := t.next
	t.next, t.end = nil, end
	t.mu.Unlock()
	var err error
	if next != nil {
		err = take(*next)
	}
	if err == nil {
		err = turn(ctx)
	}
	if errors.Is(context.Cause(ctx), errAnother) {
		return errAnother
	}
	return err
}
