package fencetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fenceline/fenceline/fence"
)

const (
	// patience is how long calls are given on a store that can't answer.
	patience = 500 * time.Millisecond
	// late is when a call has overstayed it, on a busy machine too.
	late = time.Minute
)

// given calls a backend with little time, and returns its error. It fails the test where the call does
// not come back once the time is over.
func given(t *testing.T, doing string, call func(context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	done := make(chan error, 1)
	go func() { done <- call(ctx) }()
	select {
	case err := <-done:
		return err
	case <-time.After(late):
		t.Fatalf("%s has not come back %s after its time was over", doing, late-patience)
		return nil
	}
}

// failing calls a backend whose store can't answer, both ways.
func failing(t *testing.T, b fence.Backend, over fence.Setting) {
	t.Helper()
	if err := given(t, "reading", func(ctx context.Context) error { _, err := b.Get(ctx); return err }); err == nil {
		t.Error("reading gave no error")
	}
	err := given(t, "setting", func(ctx context.Context) error { _, err := b.Set(ctx, image(2), over.Revision); return err })
	if err == nil || errors.Is(err, fence.ErrConflict) {
		t.Errorf("setting gave %v", err)
	}
}

// goesOn checks that nothing but the two values is there, and that the setting can be set: a write that was
// given up may be done late, and then it is in between.
func goesOn(t *testing.T, s Store, b fence.Backend, one, other string) {
	t.Helper()
	for ctx := within(t); ; {
		got := get(t, b)
		if got.Value != one && got.Value != other {
			t.Fatalf("the setting is %+v, and only %s and %s were set", got, one, other)
		}
		last, err := b.Set(ctx, image(3), got.Revision)
		if errors.Is(err, fence.ErrConflict) {
			continue
		}
		if err != nil {
			t.Fatalf("setting once the store answers again: %v", err)
		}
		if got := get(t, s.Open()); got != last {
			t.Fatalf("read %+v where %+v was set once the store answers again", got, last)
		}
		return
	}
}

func cancelled(t *testing.T, s Store) {
	b := s.Open()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Get(ctx); err == nil {
		t.Error("a cancelled Get gave no error")
	}
	if _, err := b.Set(ctx, image(1), ""); err == nil {
		t.Error("a cancelled Set gave no error")
	}
}

func away(t *testing.T, s Store) { without(t, s, s.Away) }

func stalled(t *testing.T, s Store) { without(t, s, s.Stall) }

// without takes the store from a backend, and gives it back.
func without(t *testing.T, s Store, take func() (giveBack func())) {
	b := s.Open()
	first := set(t, b, image(1), "")
	back := take()
	failing(t, b, first)
	back()
	goesOn(t, s, b, first.Value, image(2))
}

func lostAnswer(t *testing.T, s Store) {
	b := s.Open()
	first := set(t, b, image(1), "")
	restore := s.LoseAnswer()
	second, err := b.Set(within(t), image(2), first.Revision)
	restore()
	got := get(t, s.Open())
	switch {
	case got.Value != image(2):
		t.Fatalf("the write whose answer was lost is not there: the setting is %+v", got)
	case errors.Is(err, fence.ErrConflict):
		t.Fatalf("a write that was done is told as a conflict: %v", err)
	case err == nil && second != got:
		t.Fatalf("a write whose answer was lost returned %+v, and the setting is %+v", second, got)
	}
	goesOn(t, s, b, image(2), image(2))
}
