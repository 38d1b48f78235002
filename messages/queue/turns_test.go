package queue_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/fenceline/fenceline/messages/queue"
)

// TestTurnsGoOnWithWhatIsNext, the last of what that was, also where it came before the first turn or between two of them.
func TestTurnsGoOnWithWhatIsNext(t *testing.T) {
	var turns queue.Turns[string]
	turns.Next("a")
	turns.Next("b")
	var took []string
	began := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- turns.Run(ctx, func(s string) error {
			if took = append(took, s); s == "c" {
				turns.Next("d") // while it is taken
			}
			return nil
		}, func(ctx context.Context) error {
			began <- struct{}{}
			<-ctx.Done()
			return context.Cause(ctx)
		})
	}()
	<-began
	turns.Next("c")
	<-began // of c, which ends at once, and of d
	<-began
	if turns.Pending() {
		t.Error("something waits for its turn")
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || !slices.Equal(took, []string{"b", "c", "d"}) {
		t.Errorf("it took %v, and ended with %v", took, err)
	}
}

// TestATurnsErrorEndsThem: that of taking what is next, too, and one that has not to do with it.
func TestATurnsErrorEndsThem(t *testing.T) {
	var turns queue.Turns[string]
	failed := errors.New("failed")
	never := func(context.Context) error { t.Error("there is a turn"); return nil }
	turns.Next("a")
	if err := turns.Run(t.Context(), func(string) error { return failed }, never); !errors.Is(err, failed) {
		t.Errorf("it ended with %v", err)
	}
	if err := turns.Run(t.Context(), nil, func(context.Context) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("it ended with %v", err)
	}
	turns.Next("b") // the last turn is over: this one is not ended by it
	if err := turns.Run(t.Context(), func(string) error { return nil }, func(ctx context.Context) error { return context.Cause(ctx) }); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
