package overview

import (
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

func TestTheQueueHasPlacesAndTimes(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ended := func(pipeline, state string, took time.Duration) Build {
		return Build{Pipeline: pipeline, State: state, Took: messages.Duration(took)}
	}
	running := func(pipeline string, since time.Duration) Build {
		return Build{Pipeline: pipeline, State: "running", Started: now.Add(-since)}
	}
	queued := func(pipeline string, request uint64) Build {
		return Build{Pipeline: pipeline, State: StateQueued, request: request}
	}
	at := func(d time.Duration) time.Time { return now.Add(d) }
	inTurn := queued("a", 3)
	inTurn.inTurn, inTurn.Ref = true, "refs/heads/main"
	ofBranch := running("a", time.Minute)
	ofBranch.Ref = "refs/heads/main"
	newer := queued("a", 1)
	newer.Newer = "dev.fenceline.build.requested.v9"
	waiting := running("a", time.Minute)
	waiting.Waiting = true
	history := []Build{
		ended("a", "succeeded", 9*time.Minute), ended("a", "succeeded", 3*time.Minute), ended("a", "failed", time.Second), ended("a", "succeeded", 2*time.Minute),
		ended("b", "succeeded", time.Minute),
	}
	type want struct {
		place    int
		expected time.Time
	}
	for name, c := range map[string]struct {
		builds []Build
		want   []want
	}{
		"behind what runs, in the order of the requests": {
			[]Build{queued("b", 9), queued("a", 8), running("a", time.Minute)},
			[]want{{2, at(5 * time.Minute)}, {1, at(2 * time.Minute)}, {0, at(2 * time.Minute)}},
		},
		"the slot that is free first is taken first": {
			[]Build{queued("b", 3), queued("b", 2), running("a", time.Minute), running("b", 30*time.Second)},
			[]want{{2, at(90 * time.Second)}, {1, at(30 * time.Second)}, {0, at(2 * time.Minute)}, {0, at(30 * time.Second)}},
		},
		"one that takes longer than others did ends at any moment": {[]Build{queued("b", 3), running("b", time.Hour)}, []want{{1, now}, {0, now}}},
		"nothing runs":                     {[]Build{queued("b", 3)}, []want{{1, time.Time{}}}},
		"nobody knows how long it takes":   {[]Build{queued("b", 4), queued("new", 3), running("b", 0)}, []want{{2, time.Time{}}, {1, at(time.Minute)}, {0, at(time.Minute)}}},
		"one that nobody has is no slot":   {[]Build{queued("b", 3), waiting}, []want{{1, time.Time{}}, {}}},
		"one of a newer version waits":     {[]Build{newer, running("b", 0)}, []want{{}, {0, at(time.Minute)}}},
		"a branch's builds in their turns": {[]Build{inTurn, ofBranch, running("b", 30*time.Second)}, []want{{1, at(2 * time.Minute)}, {0, at(2 * time.Minute)}, {0, at(30 * time.Second)}}},
	} {
		t.Run(name, func(t *testing.T) {
			all := append(c.builds, history...)
			expect(all, now)
			for i, w := range c.want {
				if b := all[i]; b.Place != w.place || !b.Expected.Equal(w.expected) {
					t.Errorf("build %d: place %d, %s; want %d, %s", i, b.Place, b.Expected, w.place, w.expected)
				}
			}
		})
	}
}

func TestCommitLinksLeadToWebPagesAlone(t *testing.T) {
	const commit = "0123456789012345678901234567890123456789"
	for name, c := range map[string]struct{ repository, forge, want string }{
		"a forge that told of the push": {"https://git.example.com/ops/base.git", "gitea", "https://git.example.com/ops/base/commit/" + commit},
		"GitLab":                        {"https://git.example.com/a/b/c.git", "gitlab", "https://git.example.com/a/b/c/-/commit/" + commit},
		"known by its host":             {"https://github.com/ops/base", "", "https://github.com/ops/base/commit/" + commit},
		"a password is not shown":       {"https://ann:secret@github.com/ops/base", "", "https://github.com/ops/base/commit/" + commit},
		"no forge that is known":        {"https://git.example.com/ops/base.git", "", ""},
		"no web page":                   {"ssh://git@github.com/ops/base.git", "github", ""},
		"a script":                      {"javascript:alert(1)//github.com/", "github", ""},
		"markup in a path":              {`https://github.com/"><script>`, "", "https://github.com/%22%3E%3Cscript%3E/commit/" + commit},
	} {
		r := &messages.BuildRequested{Commit: commit, Pipeline: messages.Pipeline{Repository: c.repository}, Reason: &messages.Reason{Kind: messages.ReasonPush, Detail: c.forge}}
		if got := CommitLink(r); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := CommitLink(&messages.BuildRequested{Context: "x", Pipeline: messages.Pipeline{Repository: "https://github.com/a/b"}}); got != "" {
		t.Errorf("of a folder: %q", got)
	}
}
