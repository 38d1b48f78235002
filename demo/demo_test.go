package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/demo/site"
)

// watched is a stage that reads the given lines of a watch.
func watched(t *testing.T, lines ...site.Line) *stage {
	t.Helper()
	up, err := site.Start(site.Program{Path: "cat"})
	if err != nil {
		t.Fatal(err)
	}
	<-up.Done()
	in := make(chan site.Line, len(lines))
	for _, l := range lines {
		in <- l
	}
	s := &stage{screen: newScreen(io.Discard), lines: in, up: up, watchErr: func() error { return errors.New("its connection is gone") }}
	s.began = time.Now()
	return s
}

func TestFollowEndsWithEveryEndOfABuild(t *testing.T) {
	received := site.Line{Step: "received", Build: "b", Commit: "c"}
	other := site.Line{Step: "flipped", Build: "another", Image: "another"}
	cases := map[string]struct {
		last site.Line
		want string // in the error; "" is none
	}{
		"flipped":            {site.Line{Step: "flipped", Build: "b"}, ""},
		"a build that fails": {site.Line{Step: "failed", Build: "b", Failure: &site.Failure{Reason: "no space", Fix: "free some"}}, "no space\n\nfree some"},
		"a failed trial":     {site.Line{Step: "trial failed", Build: "b", Text: "exit 1"}, "trial failed : exit 1"},
		"a held rollout":     {site.Line{Step: "rollout", State: "held", Build: "b", Text: "a rollback"}, "rollout held: a rollback"},
		"superseded":         {site.Line{Step: "superseded", Build: "b"}, "superseded"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := watched(t, other, received, other, c.last)
			s.up = running(t)
			lines, err := s.follow(t.Context(), "push", "c", "flipped")
			if c.want == "" && (err != nil || lines["flipped"].Build != "b") {
				t.Fatalf("follow: %+v, %v", lines, err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("follow: %v, want %q", err, c.want)
			}
		})
	}
}

// running is a process that does not end before the test.
func running(t *testing.T) *site.Process {
	t.Helper()
	p, err := site.Start(site.Program{Path: "sleep", Args: []string{"600"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestFollowEndsWithFenceline(t *testing.T) {
	if _, err := watched(t).follow(t.Context(), "push", "c", "flipped"); err == nil || !strings.Contains(err.Error(), "fenceline up ended") {
		t.Errorf("follow: %v", err)
	}
	s := watched(t)
	s.up = running(t)
	lines := make(chan site.Line)
	close(lines)
	s.lines = lines
	if _, err := s.follow(t.Context(), "push", "c", "flipped"); err == nil || !strings.Contains(err.Error(), "its connection is gone") {
		t.Errorf("follow: %v", err)
	}
	s.lines = make(chan site.Line)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.follow(ctx, "push", "c", "flipped"); !errors.Is(err, errInterrupted) {
		t.Errorf("follow: %v", err)
	}
}

func TestEveryRunIsToldApart(t *testing.T) {
	for _, hook := range []string{"export EXAMPLECO_RELEASE=1\n", "export EXAMPLECO_SITE=${EXAMPLECO_SITE:-production}\n"} {
		name, _, _ := strings.Cut(hook, "=")
		if got, want := release("#!/bin/sh\n"+hook+"exit 0\n", "now.1"), "#!/bin/sh\n"+name+"=now.1\nexit 0\n"; got != want {
			t.Errorf("release made %q, not %q", got, want)
		}
	}
}

func TestOneChangedHookMovesItsLayerAlone(t *testing.T) {
	for name, c := range map[string]struct {
		lacking, fetched int64
		want             string // in the error; "" is none
	}{
		"its layer":                     {423, 423, ""},
		"bytes that the engine kept":    {423, 0, ""},
		"no new layer":                  {0, 0, "no layer that the one before lacks"},
		"a new layer that is not small": {61e6, 0, "61 MB that the one before lacks"},
		"a node that fetched it all":    {423, 61e6, "fetched 61 MB"},
	} {
		err := onlyTheHook(c.lacking, c.fetched)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestTheTableHasEveryStep(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out)
	s.took("first push", "built", 1500*time.Millisecond)
	s.took("first push", "pushed", time.Second)
	s.table()
	want := "\n             STEP     SECONDS\nfirst push   built    1.500\n             pushed   1.000\n"
	if out.String() != want {
		t.Errorf("the table is\n%q, not\n%q", out.String(), want)
	}
}

// TestScreenIsFiltered: what docker, a build or a commit says orders no terminal about, and forges no scene.
func TestScreenIsFiltered(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out)
	s.begin("a scene")
	s.step("container", "started from %s", "\x1b]52;c;ZXZpbA==\x07\n9. a forged scene")
	s.note("\x1b[2J\n9. a forged scene")
	if strings.ContainsAny(out.String(), "\x1b\x07") || strings.Contains(out.String(), "\n9. ") {
		t.Errorf("it shows %q", out.String())
	}
}
