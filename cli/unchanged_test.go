package cli

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
)

// TestABuildForWhichNothingHasChangedIsShown with why, and one that is built with what has.
func TestABuildForWhichNothingHasChangedIsShown(t *testing.T) {
	why := messages.Reason{Kind: messages.ReasonSchedule, Detail: "@daily UTC"}
	found := why
	found.Changed = "base debian:12 is another digest"
	for name, test := range map[string]struct {
		record messages.BuildRecord
		want   string
	}{
		"unchanged": {messages.BuildRecord{State: messages.BuildStateUnchanged, OnlyIf: "changed", Reason: &why, Unchanged: "nothing has changed since base-1"}, "nothing has changed since base-1"},
		"built":     {messages.BuildRecord{State: messages.BuildStateSucceeded, OnlyIf: "changed", Reason: &found, Image: messages.Image("x@sha256:" + strings.Repeat("0", 64))}, "(base debian:12 is another digest)"},
		"running":   {messages.BuildRecord{State: messages.BuildStateRunning, OnlyIf: "changed", Reason: &why, Worker: "b1", Attempt: 1}, "on b1 (is built only if changed)"},
		"any":       {messages.BuildRecord{State: messages.BuildStateRunning, Reason: &why, Worker: "b1", Attempt: 1}, "on b1"},
	} {
		b := overview.BuildOf(&test.record)
		if got := b.Why(); !strings.HasSuffix(got, test.want) {
			t.Errorf("%s: %q; want %q", name, got, test.want)
		}
	}
	var out strings.Builder
	p := terminal.NewPage(&out)
	r := messages.BuildRecord{State: messages.BuildStateUnchanged, Reason: &found, Unchanged: "nothing \x1b[31mhas changed"}
	r.Build = "base-2"
	writeEnd(p, &r)
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "base-2: unchanged") || !strings.Contains(got, "has changed") || !strings.Contains(got, "reason: schedule @daily UTC: base debian:12 is another digest") || strings.Contains(got, "\x1b") {
		t.Errorf("its end is shown as %q", got)
	}
}

// TestStatusKeepsTheBuildBeforeThoseThatChangedNothing in its list: it made the image, or failed.
func TestStatusKeepsTheBuildBeforeThoseThatChangedNothing(t *testing.T) {
	row := func(build, pipeline string, state messages.BuildState) overview.Build {
		b := overview.Build{Build: build, Pipeline: pipeline, State: string(state)}
		if state == messages.BuildStateUnchanged {
			b.Unchanged = "nothing has changed"
		}
		return b
	}
	var got []string
	for _, b := range lastAndActive([]overview.Build{
		row("5", "a", messages.BuildStateRunning), row("4", "a", messages.BuildStateUnchanged), row("4", "b", messages.BuildStateSucceeded), row("3", "a", messages.BuildStateUnchanged),
		row("3", "b", messages.BuildStateUnchanged), row("2", "a", messages.BuildStateSucceeded), row("1", "a", messages.BuildStateFailed),
	}) {
		got = append(got, b.Pipeline+b.Build)
	}
	if s := strings.Join(got, " "); s != "a5 a4 b4 a2" {
		t.Errorf("it shows %s", s)
	}
}
