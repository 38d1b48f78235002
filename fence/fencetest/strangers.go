package fencetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/fence"
)

func stranger(t *testing.T, s Store) {
	b := s.Open()
	s.Stranger(image(1))
	first := get(t, b)
	if first.Value != image(1) || first.Revision == "" {
		t.Fatalf("somebody set %s, and it is read as %+v", image(1), first)
	}
	ours := set(t, b, image(2), first.Revision)
	s.Stranger("exampleco/newimg")
	theirs := get(t, b)
	if theirs.Value != "exampleco/newimg" || theirs.Revision == ours.Revision {
		t.Fatalf("somebody set exampleco/newimg over %+v, and it is read as %+v", ours, theirs)
	}
	if _, err := b.Set(within(t), image(3), ours.Revision); !errors.Is(err, fence.ErrConflict) {
		t.Fatalf("a write over what somebody else set gave %v, not ErrConflict", err)
	}
	if got := get(t, s.Open()); got != theirs {
		t.Fatalf("after a refused write the setting is %+v, not %+v", got, theirs)
	}
	set(t, b, image(3), theirs.Revision)
}

func unset(t *testing.T, s Store) {
	b := s.Open()
	first := set(t, b, image(1), "")
	s.Stranger("")
	if got := get(t, b); got != (fence.Setting{}) {
		t.Fatalf("a setting that was unset is %+v", got)
	}
	if _, err := b.Set(within(t), image(2), first.Revision); !errors.Is(err, fence.ErrConflict) {
		t.Fatalf("a write over a setting that was unset in between gave %v, not ErrConflict", err)
	}
	second := set(t, b, image(2), "")
	if got := get(t, s.Open()); got != second {
		t.Fatalf("read %+v where %+v was set again", got, second)
	}
}

func badValue(t *testing.T, s Store) {
	b := s.Open()
	first := set(t, b, image(1), "")
	for _, value := range []string{
		"", " ", "--force", "two words", "two\nlines", "a\x00b", "\x1b[31mred", "$(id)", "\xff\xfe", `a"b`, strings.Repeat("a", 10_000),
	} {
		if _, err := b.Set(within(t), value, first.Revision); err == nil || errors.Is(err, fence.ErrConflict) {
			t.Errorf("setting the value %.40q gave %v", value, err)
		}
	}
	if got := get(t, b); got != first {
		t.Fatalf("after refused values the setting is %+v, not %+v", got, first)
	}
}
