package producer

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/yamlfile"
)

func TestRebuildOnIsRead(t *testing.T) {
	p := load(t, "version: 1\ndefaults:\n  rebuild_on: {base: true, interval: 2h}\npipelines:\n"+
		"  - {name: a, repository: https://h/a.git, image: h.example.com/a, moving_tag: latest, rebuild_on: {token_file: hook, settle: 30s}}\n"+
		"  - {name: b, repository: https://h/b.git, image: h.example.com/b, rebuild_on: {base: false, pipeline: false}}\n")
	a, b := p.byName["a"].rebuild, p.byName["b"].rebuild
	if !a.base || !a.pipeline || a.interval.Std().Hours() != 2 || a.settle.Std().Seconds() != 30 || a.secret == nil || p.byName["a"].pipeline.MovingTag != "latest" {
		t.Errorf("a: %+v", a)
	}
	if b.follows() || b.settle != defaultSettle {
		t.Errorf("b: %+v", b)
	}
	if n := load(t, testFile).byName["base"].rebuild; n != defaultRebuildOn() || n.base || !n.pipeline {
		t.Errorf("where nothing is said: %+v", n)
	}
}

func TestRebuildOnIsRefused(t *testing.T) {
	one := func(lines string) string {
		return "version: 1\npipelines:\n  - {name: a, repository: https://h/a.git, image: h.example.com/a, " + lines + "}\n"
	}
	two := func(a, b string) string {
		return fmt.Sprintf("version: 1\npipelines:\n  - {name: a, repository: https://h/a.git, image: h.example.com/a, build_args: {BASE: %q}}\n"+
			"  - {name: b, repository: https://h/b.git, image: h.example.com/b, build_args: {BASE: %q}%s}\n", "h.example.com/b:latest", a, b)
	}
	for file, want := range map[string]string{
		one("rebuild_on: yes"):                      "rebuild_on",
		one("rebuild_on: {base: yes}"):              "rebuild_on.base",
		one("rebuild_on: {bases: true}"):            "did you mean",
		one("rebuild_on: {interval: 1s}"):           "at least 1m",
		one("rebuild_on: {interval: 1d}"):           "hours",
		one("rebuild_on: {settle: 0s}"):             "at least 1s",
		one("rebuild_on: {token_file: nowhere}"):    "does not exist",
		one("rebuild_on: {token_file: ghp_abcdef}"): "looks like a secret",
		one("moving_tag: a/b"):                      "not an image tag",
		two("h.example.com/a", ""):                  "a builds on b builds on a",
	} {
		_, err := LoadPipelines(writeFile(t, file))
		var invalid *yamlfile.InvalidError
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), want) || invalid.Problems[0].Line == 0 {
			t.Errorf("%s: %v; want %q with a line", file, err, want)
		}
	}
	for _, file := range []string{
		two("h.example.com/a@sha256:"+strings.Repeat("0", 64), ""), two("h.example.com/a", ", rebuild_on: {pipeline: false}"),
		one("build_args: {SELF: h.example.com/a}"), two("h.example.com/c", ""),
	} {
		if _, err := LoadPipelines(writeFile(t, file)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestGraphsWithCircles(t *testing.T) {
	g := imageGraph{}
	for _, e := range []string{"ab", "bc", "cd", "db", "ee", "xa"} {
		g.add(e[:1], e[1:])
	}
	for from, want := range map[string]string{"a": "", "b": "b c d", "c": "c d b", "e": "e", "x": "", "none": ""} {
		if got := strings.Join(g.cycle(from), " "); got != want {
			t.Errorf("from %s: %q; want %q", from, got, want)
		}
	}
	for name, want := range map[string]string{
		"debian": "docker.io/library/debian:latest", "docker.io/debian:1": "docker.io/library/debian:1", "h.example.com:5000/a/b": "h.example.com:5000/a/b:latest",
		"h.example.com/a@sha256:0": "", "": "", "A": "", "a b": "",
	} {
		if got := normalSource(name); got != want {
			t.Errorf("%q is %q; want %q", name, got, want)
		}
	}
}
