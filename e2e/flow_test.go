package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/demo/site"
)

// exporting is an image source whose pre-running hook exports EXAMPLECO_RELEASE.
func exporting(release string) map[string]string {
	return map[string]string{
		"Dockerfile": "ARG BASE\nFROM ${BASE}\nRUN echo installed >/etc/exampleco\nADD hooks /etc/stackato/hooks\n",
		"hooks/pre-running": "#!/bin/sh\nexport EXAMPLECO_RELEASE=" + release +
			"\nexport STACKATO_HOOK_ENV=EXAMPLECO_RELEASE\n",
	}
}

// TestFlow is the demo's course: push, prove, push again, a broken hook, roll back, release.
func TestFlow(t *testing.T) {
	s := shared.get(t)
	run := rand.Text()[:6] // no image of this run is one of an earlier
	first := s.flip(t, "flow", exporting(run+"-1"))
	s.showsAllSteps(t, first)
	s.proves(t, first.Image, "EXAMPLECO_RELEASE="+run+"-1")

	second := s.flip(t, "flow", exporting(run+"-2"))
	s.proves(t, second.Image, "EXAMPLECO_RELEASE="+run+"-2")
	if second.Order <= first.Order {
		t.Errorf("the second build has order %d, not above the first's %d", second.Order, first.Order)
	}
	s.tellsApart(t, second, run)
	// An engine may leave out what it fetches in no time, so that 0 is as good as a few hundred.
	if present := s.watch.await(t, second.Build, "present"); present.Bytes > 100_000 {
		t.Errorf("the node fetched %d bytes for one changed hook", present.Bytes)
	}

	broken := exporting(run + "-3")
	broken["hooks/pre-running"] += "if [ -z \"$NEW_RELIC_LICENSE_KEY\" ]; then\n  export NEW_RELIC_LICENSE_KEY=none\n"
	refused := s.ended(t, s.build(t, "flow", broken))
	if refused.State != "failed" || refused.Failure == nil || refused.Failure.Class != "hooks" || len(refused.Failure.Findings) == 0 {
		t.Fatalf("the build with a broken hook ended as %+v", refused)
	}
	if f := refused.Failure.Findings[0]; !strings.HasSuffix(f.File, "pre-running") || f.Line == 0 || f.Fix == "" {
		t.Errorf("the finding lacks file, line or fix: %+v", f)
	}
	if got := s.fence(t); got != second.Image {
		t.Errorf("after a refused build the fence config has %s", got)
	}

	s.must(t, "rollback")
	s.awaitFence(t, first.Image)
	s.holds(t, true)
	s.waitsUnderHold(t, first, exporting(run+"-4"))
	s.onlyOnce(t)
}

// tellsApart sees that a build's image is told apart from the one before it, read from the registry.
func (s *stack) tellsApart(t *testing.T, b build, run string) {
	t.Helper()
	for _, word := range []string{b.Build, fleetOf("shared")} {
		out := s.must(t, "diff", word)
		for _, want := range []string{
			b.Image, "/etc/stackato/hooks/pre-running changed", "-export EXAMPLECO_RELEASE=" + run + "-1", "+export EXAMPLECO_RELEASE=" + run + "-2", "packages: the same", "settings: the same",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("fenceline diff %s does not say %q:\n%s", word, want, out)
			}
		}
	}
}

// waitsUnderHold sees that an image is preloaded but not flipped under a hold, and that a
// release lets it through.
func (s *stack) waitsUnderHold(t *testing.T, current build, files map[string]string) {
	t.Helper()
	waiting := s.ended(t, s.build(t, "flow", files))
	s.watch.await(t, waiting.Build, "present")
	s.waits(t, fleetOf("shared"), waiting, "held by ", "fenceline release "+fleetOf("shared"))
	if got := s.fence(t); got != current.Image {
		t.Errorf("under a hold the fence config moved to %s", got)
	}
	s.must(t, "release")
	s.awaitFence(t, waiting.Image)
	s.holds(t, false)
}

// waits waits until `fenceline status` says why the rollout of a build goes no further.
func (s *stack) waits(t *testing.T, fleet string, b build, words ...string) {
	t.Helper()
	s.awaitStatus(t, "  rollout "+fleet+"-"+b.Build+":", words...)
}

// awaitStatus waits until the lines of `fenceline status` that begin so have all of the words,
// or are none where there are no words.
func (s *stack) awaitStatus(t *testing.T, begin string, words ...string) {
	t.Helper()
	await(t, fmt.Sprintf("status with %q and %q", begin, words), func(ctx context.Context) error {
		out, err := s.Run(ctx, "status")
		if err != nil {
			return err
		}
		var found string
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, begin) {
				found += line
			}
		}
		missing := func(w string) bool { return !strings.Contains(found, w) }
		if slices.ContainsFunc(words, missing) || len(words) == 0 && found != "" {
			return fmt.Errorf("the status is\n%s", out)
		}
		return nil
	})
}

// flip pushes files and waits until the fleet uses what was built.
func (s *stack) flip(t *testing.T, pipeline string, files map[string]string) build {
	t.Helper()
	b := s.ended(t, s.build(t, pipeline, files))
	if b.State != "succeeded" {
		t.Fatalf("build %s ended as %s: %+v", b.Build, b.State, b.Failure)
	}
	s.awaitFence(t, b.Image)
	return b
}

// showsAllSteps sees that watch shows each step of the flow and no other, and in order what is of one stream or
// was caused by the step before: the rest may be stored a moment sooner or later.
func (s *stack) showsAllSteps(t *testing.T, b build) {
	t.Helper()
	chains := [][]string{
		{"received", "queued", "claimed", "built", "hooks checked", "pushed"},
		{"queued", "base pinned", "announced", "present", "flipped"},
		{"announced", "trial passed"},
	}
	want := slices.Concat(chains...)
	for _, step := range want {
		s.watch.await(t, b.Build, step)
	}
	var got []string
	for _, l := range s.watch.steps(b.Build) {
		if l.Step != "rollout" && !slices.Contains(got, l.Step) {
			got = append(got, l.Step)
		}
	}
	for _, chain := range chains {
		if !slices.IsSortedFunc(chain, func(a, b string) int { return slices.Index(got, a) - slices.Index(got, b) }) {
			t.Errorf("watch showed the steps\n %q, which should begin as\n %q", got, chain)
		}
	}
	for _, step := range got {
		if !slices.Contains(want, step) {
			t.Errorf("watch showed a step %q", step)
		}
	}
}

// proves starts a container from an image as fence would, and looks at what its hook exports.
func (s *stack) proves(t *testing.T, image, want string) {
	t.Helper()
	out, err := site.Docker(t.Context(), "run", "--rm", "--network", "none", image, "sh", "-c", ". /etc/stackato/hooks/pre-running; env; cat /etc/exampleco")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []string{want, "installed"} {
		if !strings.Contains(out, w) {
			t.Errorf("a container of %s does not show %q but\n%s", image, w, out)
		}
	}
}

// holds compares the fleet's hold with what it should be.
func (s *stack) holds(t *testing.T, want bool) {
	t.Helper()
	await(t, fmt.Sprintf("hold=%v", want), func(ctx context.Context) error {
		var st struct {
			Fleets []struct {
				Record struct {
					Hold *struct{} `json:"hold"`
				} `json:"record"`
			} `json:"fleets"`
		}
		if err := s.JSON(ctx, &st, "status"); err != nil {
			return err
		}
		if len(st.Fleets) != 1 || (st.Fleets[0].Record.Hold != nil) != want {
			return fmt.Errorf("status: %+v", st)
		}
		return nil
	})
}

// onlyOnce sees that no build was announced twice, and none that failed at all.
func (s *stack) onlyOnce(t *testing.T) {
	t.Helper()
	builds, err := s.builds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range builds {
		want := 0
		if b.State == "succeeded" {
			want = 1
			s.watch.await(t, b.Build, "announced")
		}
		announced := 0
		for _, l := range s.watch.steps(b.Build) {
			if l.Step == "announced" {
				announced++
			}
		}
		if announced != want {
			t.Errorf("%s is %s and was announced %d times", b.Build, b.State, announced)
		}
	}
}
