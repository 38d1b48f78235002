package buildkit_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builder/buildkit/buildkittest"
	"github.com/fenceline/fenceline/messages"
)

func TestSolveUsesWhatWasPinned(t *testing.T) {
	b := newBench(t)
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN cat /etc/os-release > /seen\n"})
	moved := false
	o.Pinned = func(context.Context, []messages.PinnedBase, []messages.PinnedBase) error {
		if !moved {
			b.registry.Busybox(t, "base:1", buildkittest.File{Name: "etc/os-release", Content: "NAME=moved\n"})
		}
		moved = true
		return nil
	}
	var seen string
	o.Check = func(_ context.Context, image fs.FS) error {
		text, err := fs.ReadFile(image, "seen")
		seen = string(text)
		return err
	}
	if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
		t.Fatal(err)
	}
	if seen != "NAME=busybox\n" {
		t.Errorf("built on %q after the tag moved", seen)
	}
	if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
		t.Fatal(err)
	}
	if seen != "NAME=moved\n" {
		t.Errorf("the next build used %q, not where the tag is", seen)
	}
}

func TestATagOfTwoDigests(t *testing.T) {
	b := newBench(t)
	before := b.registry.Image(t, b.base)
	old, err := before.Digest()
	if err != nil {
		t.Fatal(err)
	}
	b.registry.Busybox(t, "base:1", buildkittest.File{Name: "new", Content: "text"})
	name := strings.TrimSuffix(b.base, ":1")
	now, err := b.registry.Image(t, b.base).Digest()
	if err != nil {
		t.Fatal(err)
	}
	const rest = "\nCOPY --from=a /etc/os-release /a\n"
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "@" + old.String() + " AS a\nFROM " + b.base + rest})
	b.fails(t, o, messages.FailureUser, "", old.String(), now.String())
	for text, bases := range map[string]int{
		"FROM " + b.base + "@" + now.String() + " AS a\nFROM " + b.base + rest:                  1,
		"FROM " + name + "@" + old.String() + " AS a\nFROM " + b.base + rest:                    2,
		"FROM " + name + "@" + old.String() + " AS a\nFROM " + name + "@" + now.String() + rest: 2,
	} {
		o := b.order(t, map[string]string{"Dockerfile": text})
		if _, err := b.solver.Solve(t.Context(), o.Build); err != nil || len(o.bases) != bases {
			t.Errorf("%s: bases %v, %v", text, o.bases, err)
		}
	}
}
