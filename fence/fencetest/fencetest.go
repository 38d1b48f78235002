package fencetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/fence"
)

// Store is a place with one fleet's setting, never set, made for one test. Every kind of backend has all
// of this. One without a compare-and-set of its own is held to the same by its substitute, among the
// writers on this host.
type Store struct {
	// Open returns a backend on the setting; each call a new one on the same setting.
	Open func() fence.Backend
	// Stranger sets the setting as somebody does who knows nothing of fenceline, by the store's own
	// means; "" unsets it.
	Stranger func(value string)
	// Away takes the store away, so that calls of backends fail. What it returns brings the store back,
	// and ends when it can be reached.
	Away func() (back func())
	// Stall has the store answer no more, as one that hangs or is very slow, until the function is called
	// that it returns.
	Stall func() (resume func())
	// LoseAnswer has the store do the next write, and the answer to it get lost. What it returns is
	// called after that write, and ends when the store answers again.
	LoseAnswer func() (restore func())
}

// Run checks a kind of backend. The function makes a new store for each test.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	for _, c := range []struct {
		name  string
		check func(*testing.T, Store)
	}{
		{"a setting that was never set is empty", absent},
		{"what was set is read back, by others too", readBack},
		{"a write at an older revision is refused and changes nothing", conflict},
		{"a first write is refused when another came first", firstWrite},
		{"of writers at one revision exactly one wins", oneWins},
		{"concurrent read-modify-writes lose nothing", noLostWrite},
		{"a change behind our back is seen and not written over", stranger},
		{"a setting that was unset is empty, and can be set", unset},
		{"what is not the name of an image is refused", badValue},
		{"a cancelled call returns", cancelled},
		{"a store that is away is an error, and keeps the setting", away},
		{"a store that hangs is left when the time is over", stalled},
		{"a write whose answer is lost is no conflict", lostAnswer},
		{"the history has every value in order", history},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			if s.Open == nil || s.Stranger == nil || s.Away == nil || s.Stall == nil || s.LoseAnswer == nil {
				t.Fatal("the store lacks what the suite tries backends with: see fencetest.Store")
			}
			c.check(t, s)
		})
	}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// image is the n-th of a row of images.
func image(n int) string { return fmt.Sprintf("registry.example.com/app@sha256:%064x", n) }

func set(t *testing.T, b fence.Backend, value string, expected fence.Revision) fence.Setting {
	t.Helper()
	s, err := b.Set(within(t), value, expected)
	if err != nil {
		t.Fatalf("setting %s at revision %q: %v", value, expected, err)
	}
	if s.Value != value || s.Revision == "" || s.Revision == expected {
		t.Fatalf("setting %s at revision %q returned %+v", value, expected, s)
	}
	return s
}

func get(t *testing.T, b fence.Backend) fence.Setting {
	t.Helper()
	s, err := b.Get(within(t))
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	return s
}

func absent(t *testing.T, s Store) {
	if got := get(t, s.Open()); got != (fence.Setting{}) {
		t.Fatalf("a setting that was never set is %+v", got)
	}
}

func readBack(t *testing.T, s Store) {
	b := s.Open()
	first := set(t, b, image(1), "")
	second := set(t, b, image(2), first.Revision)
	for _, reader := range []fence.Backend{b, s.Open()} {
		if got := get(t, reader); got != second {
			t.Fatalf("read %+v where %+v was set", got, second)
		}
	}
}

func conflict(t *testing.T, s Store) {
	b := s.Open()
	first := set(t, b, image(1), "")
	second := set(t, s.Open(), image(2), first.Revision)
	if _, err := b.Set(within(t), image(3), first.Revision); !errors.Is(err, fence.ErrConflict) {
		t.Fatalf("a write at an older revision gave %v, not ErrConflict", err)
	}
	if got := get(t, b); got != second {
		t.Fatalf("after a refused write the setting is %+v, not %+v", got, second)
	}
}

func firstWrite(t *testing.T, s Store) {
	set(t, s.Open(), image(1), "")
	if _, err := s.Open().Set(within(t), image(2), ""); !errors.Is(err, fence.ErrConflict) {
		t.Fatalf("a first write over an existing one gave %v, not ErrConflict", err)
	}
}

func oneWins(t *testing.T, s Store) {
	const writers = 8
	start := set(t, s.Open(), image(0), "")
	won := make([]bool, writers+1)
	var all sync.WaitGroup
	for n := 1; n <= writers; n++ {
		b, ctx := s.Open(), within(t)
		all.Go(func() {
			_, err := b.Set(ctx, image(n), start.Revision)
			if err != nil && !errors.Is(err, fence.ErrConflict) {
				t.Errorf("writer %d: %v", n, err)
			}
			won[n] = err == nil
		})
	}
	all.Wait()
	got := get(t, s.Open())
	wins := 0
	for n, w := range won {
		if w {
			wins++
			if got.Value != image(n) {
				t.Errorf("writer %d was told that it won, but the setting is %s", n, got.Value)
			}
		}
	}
	if wins != 1 {
		t.Fatalf("%d of %d writers at one revision won", wins, writers)
	}
}

func noLostWrite(t *testing.T, s Store) {
	const writers, each = 4, 5
	const name = "registry.example.com/app:"
	var all sync.WaitGroup
	for range writers {
		b, ctx := s.Open(), within(t)
		all.Go(func() {
			for done := 0; done < each; {
				now, err := b.Get(ctx)
				if err == nil {
					count, _ := strconv.Atoi(strings.TrimPrefix(now.Value, name))
					_, err = b.Set(ctx, name+strconv.Itoa(count+1), now.Revision)
				}
				switch {
				case err == nil:
					done++
				case !errors.Is(err, fence.ErrConflict):
					t.Errorf("writing: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
	if got := get(t, s.Open()); got.Value != name+strconv.Itoa(writers*each) {
		t.Fatalf("after %d writes the setting is %s", writers*each, got.Value)
	}
}

func history(t *testing.T, s Store) {
	b, ok := s.Open().(fence.Historian)
	if !ok {
		return // this kind of backend remembers nothing, and doesn't say that it does
	}
	if past, err := b.History(within(t)); err != nil || len(past) != 0 {
		t.Fatalf("a setting that was never set has the history %v, error %v", past, err)
	}
	var at fence.Revision
	for n := range 5 {
		at = set(t, b, image(n), at).Revision
	}
	past, err := b.History(within(t))
	if err != nil || len(past) != 5 {
		t.Fatalf("after 5 writes the history has %d entries, error %v", len(past), err)
	}
	for n, c := range past {
		if c.Value != image(n) || c.At.IsZero() {
			t.Errorf("entry %d of the history is %+v", n, c)
		}
	}
	if past[4].Setting != get(t, b) {
		t.Errorf("the history ends with %+v, the setting is %+v", past[4].Setting, get(t, b))
	}
}
