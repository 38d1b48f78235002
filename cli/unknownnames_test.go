package cli

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
)

// TestUnknownNames asks each command for what there is not: it says so, and which command
// lists what there is.
func TestUnknownNames(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	if _, err := builds.New(c).Request(t.Context(), &messages.BuildRequested{
		Build: "base-ffffffff", Pipeline: pipeline(), Ref: "refs/heads/main", Commit: commit, Cause: messages.CausePush, Received: noon(),
	}, ""); err != nil {
		t.Fatal(err)
	}
	for line, says := range map[string]string{
		"logs nope-aaaaaaaa":                 "'fenceline builds' lists them",
		"cancel nope-aaaaaaaa":               "'fenceline builds' lists them",
		"cancel nope":                        "'fenceline builds' lists them",
		"retry nope-aaaaaaaa":                "'fenceline builds' lists them",
		"retry nope":                         "'fenceline builds' lists them",
		"retry base-ffffffff":                "it is queued: 'fenceline cancel base-ffffffff'",
		"approve nope":                       "'fenceline rollouts' lists them",
		"abort nope":                         "'fenceline rollouts' lists them",
		"rollback nope":                      "production",
		"promote nope sha256:00":             "production",
		"promote production sha256:00":       "no such image",
		"rollback production --to sha256:00": "no such image",
		"hold nope":                          "production",
		"release nope":                       "production",
		"history nope":                       "production",
		"config get fence docker/image --fleet nope":   "production",
		"config set fence docker/image x --fleet nope": "production",
		"nodes retire nope":                            "node-1",
		"nodes retire node-1 --fleet nope":             "production",
		"lint unknownnames_test.go":                    "'fenceline lint .'",
		"lint nope":                                    "name a folder",
		"dead-letters show nope":                       "'fenceline dead-letters list'",
		"dead-letters requeue nope":                    "'fenceline dead-letters list'",
		"dead-letters requeue fenceline-requests-9":    "'fenceline dead-letters list'",
		"dead-letters drop nope":                       "'fenceline dead-letters list'",
		"dead-letters drop fenceline-requests-9":       "'fenceline dead-letters list'",
	} {
		s := fenceline(t, strings.Fields(line)...)
		if s.status == ExitDone || !strings.Contains(s.err, says) {
			t.Errorf("fenceline %s: status %d, %q, without %q", line, s.status, s.err, says)
		}
	}
}
