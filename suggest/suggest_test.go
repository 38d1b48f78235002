package suggest

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNearest(t *testing.T) {
	hooks := []string{"pre-staging", "post-staging", "pre-running"}
	for name, c := range map[string]struct {
		word  string
		known []string
		want  string
	}{
		"a letter swapped":             {"dockerfiel", []string{"directory", "dockerfile"}, "dockerfile"},
		"a letter left out":            {"pre-runnin", hooks, "pre-running"},
		"the end left out":             {"pre-stage", hooks, "pre-staging"},
		"the nearest of several":       {"post-stagin", hooks, "post-staging"},
		"a short word":                 {"bass", []string{"tools", "base"}, "base"},
		"letters beyond ASCII":         {"grün", []string{"grün-1"}, "grün-1"},
		"another word":                 {"colour", hooks, ""},
		"a short word, all of it else": {"ab", []string{"xy"}, ""},
		"no word":                      {"", []string{"a", "bc"}, ""},
		"nothing known":                {"base", nil, ""},
		"a word too long to compare":   {strings.Repeat("a", maxLength+1), []string{strings.Repeat("a", maxLength)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Nearest(c.word, c.known); got != c.want {
				t.Errorf("Nearest(%q) = %q; want %q", c.word, got, c.want)
			}
		})
	}
}

func TestDidYouMean(t *testing.T) {
	if got := DidYouMean("githup", []string{"github"}); got != `, did you mean "github"?` {
		t.Errorf("DidYouMean: %q", got)
	}
	if got := DidYouMean("x", []string{"github"}); got != "" {
		t.Errorf("DidYouMean: %q; want nothing", got)
	}
}

// TestDistanceIsOne checks what makes a distance, on any words.
func TestDistanceIsOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.StringMatching(`[abc]{0,6}`)
		a, b, c := words.Draw(t, "a"), words.Draw(t, "b"), words.Draw(t, "c")
		ab := distance(a, b)
		if (ab == 0) != (a == b) || ab != distance(b, a) || ab > max(len(a), len(b)) || distance(a, c) > ab+distance(b, c) {
			t.Errorf("distance(%q, %q) = %d, back %d, by %q %d + %d", a, b, ab, distance(b, a), c, distance(a, c), distance(c, b))
		}
	})
}
