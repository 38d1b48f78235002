package e2e

import (
	"crypto/rand"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/demo/site"
)

// flipped is what the tests read of `fenceline history -o json`.
type flipped struct {
	Order uint64 `json:"order"`
	Value string `json:"value"`
}

func (s *stack) history(t *testing.T) []flipped {
	t.Helper()
	var out []flipped
	if err := s.JSON(t.Context(), &out, "history"); err != nil {
		t.Fatal(err)
	}
	return out
}

// unharmed has a good push flip and notes what was accepted so far. What it returns is for
// after the bad input: all of that is still there as it was, and the next good push flips.
func (s *stack) unharmed(t *testing.T, pipeline string) func() {
	t.Helper()
	run := rand.Text()[:6]
	s.flip(t, pipeline, exporting(run+"-before"))
	accepted, history := s.allEnded(t), s.history(t)
	return func() {
		t.Helper()
		now := s.allEnded(t)
		for id, was := range accepted {
			if is, ok := now[id]; !ok || !reflect.DeepEqual(is, was) {
				t.Errorf("build %s was\n %+v and is now\n %+v", id, was, is)
			}
		}
		if is := s.history(t); len(is) < len(history) || !slices.Equal(is[:len(history)], history) {
			t.Errorf("the history was\n %+v and is now\n %+v", history, is)
		}
		s.flip(t, pipeline, exporting(run+"-after"))
	}
}

// allEnded are the builds that have ended, by ID.
func (s *stack) allEnded(t *testing.T) map[string]build {
	t.Helper()
	all, err := s.builds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]build{}
	for _, b := range all {
		if b.ended() {
			out[b.Build] = b
		}
	}
	return out
}

// explains sees that a build failed with a class and a fix, and that its record and its log
// match what it has to say, and that the list of builds shows the cause.
func (s *stack) explains(t *testing.T, b build, class string, patterns ...string) {
	t.Helper()
	if b.State != "failed" || b.Failure == nil {
		t.Fatalf("it ended as %+v, not as failed", b)
	}
	if b.Failure.Class != class || b.Failure.Reason == "" || b.Failure.Fix == "" {
		t.Errorf("its failure is %+v; want class %s, a reason and a fix", b.Failure, class)
	}
	said, log := said(b.Failure), s.must(t, "logs", b.Build)
	for _, want := range patterns {
		if pattern := regexp.MustCompile(want); !pattern.MatchString(said) || !pattern.MatchString(log) {
			t.Errorf("it says\n%s\nand its log\n%s\nwithout %s", said, log, want)
		}
	}
	reason, _, _ := strings.Cut(b.Failure.Reason, "\n")
	for line := range strings.Lines(s.must(t, "builds", "--pipeline", b.Pipeline)) {
		if strings.HasPrefix(line, b.Build+" ") {
			if !strings.Contains(line, "failed") || !strings.Contains(line, reason) {
				t.Errorf("fenceline builds shows %q, without the cause %q", line, reason)
			}
			return
		}
	}
	t.Errorf("fenceline builds does not show %s", b.Build)
}

// said is all that a failure says.
func said(f *site.Failure) string {
	return strings.Join([]string{f.Reason, f.Place, f.Detail, f.Fix, fmt.Sprint(f.Findings)}, "\n")
}
