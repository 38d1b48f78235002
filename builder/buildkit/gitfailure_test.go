package buildkit

import (
	"errors"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
)

// TestReadGit has BuildKit's own texts, as it gives them for real repositories.
func TestReadGit(t *testing.T) {
	const sha = "abababababababababababababababababababab"
	at := func(doing, said string) string { return doing + ": git stderr:\n" + said + ": exit status 128" }
	for name, c := range map[string]struct {
		text   string
		kind   git.Kind
		folder bool
	}{
		"refused, while planning": {"failed to read dockerfile: " + at("failed to fetch remote http://127.0.0.1:1/a.git", "fatal: unable to access 'http://127.0.0.1:1/a.git/': Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server\n"), git.Unreached, false},
		"refused, while building": {"failed to load cache key: " + at("failed to fetch remote http://subdir.example.com/a.git", "fatal: unable to access 'http://subdir.example.com/a.git/': Could not resolve host: subdir.example.com\n"), git.Unreached, false},
		"a page":                  {at("failed to fetch remote http://h/a.git", "fatal: http://h/a.git/info/refs not valid: is this a git repository?\n"), git.Strange, false},
		"no such commit":          {at("failed to checkout remote http://h/a.git", "fatal: reference is not a tree: "+sha+"\n"), git.NoObject, false},
		"no such branch":          {`failed to load cache key: repository does not contain ref none, output: ""`, git.NoObject, false},
		"no such default branch":  {at("failed to load cache key: error fetching default branch for repository http://h/a.git", "fatal: repository 'http://h/a.git/' not found\n"), git.NoRepository, false},
		"killed":                  {"failed to fetch remote http://h/a.git: git stderr:\n: signal: killed", git.Unknown, false},
		"the machine's disk":      {at("failed to checkout remote http://h/a.git", "error: unable to write file repository 'x' not found: No space left on device\n"), git.Full, false},
		"no such folder":          {`failed to read dockerfile: invalid subdir none: failed to lstat "none": statat none: no such file or directory`, git.Unknown, true},
	} {
		t.Run(name, func(t *testing.T) {
			g, ok := readGit(c.text)
			if !ok || g.Kind != c.kind || g.folder != c.folder || g.Said == "" {
				t.Errorf("%t, %+v", ok, g)
			}
		})
	}
	for name, text := range map[string]string{
		"a step":              `process "/bin/sh -c git fetch" did not complete successfully: exit code: 1`,
		"a file's name":       `failed to calculate checksum of ref x::y: "/failed to fetch remote h: git stderr": not found`,
		"a missing file":      `failed to compute cache key: "/invalid subdir x": not found`,
		"a download":          "failed to load cache key: invalid response status 404",
		"a registry":          "x: failed to resolve source metadata for h/repository-does-not-contain-ref:1: not found",
		"an instruction":      "dockerfile parse error on line 2: unknown instruction: git stderr:",
		"no Dockerfile there": "failed to read dockerfile: open failed to open subdir /Dockerfile: no such file or directory",
	} {
		if g, ok := readGit(text); ok {
			t.Errorf("%s is taken for git's: %+v", name, g)
		}
	}
}

// TestALongFailureEndsWithItsCause: what git and registries say begins with what was asked for, of any length.
func TestALongFailureEndsWithItsCause(t *testing.T) {
	const cause = "Could not resolve host: h.example"
	far := "http://h.example/" + strings.Repeat("a/", 2000) + "b.git"
	said := "git stderr:\nfatal: unable to access '" + far + "/': " + cause + ": exit status 128"
	order := builder.Build{Pipeline: &messages.Pipeline{Image: "r.example:5000/out/image"}}
	r := &run{build: order, progress: newProgress(func(messages.BuildLog) {}, newHider(messages.Secret{}, nil))}
	explained := func(text string) error {
		g, ok := readGit(text)
		if !ok {
			t.Errorf("%.80s is not taken for git's", text)
		}
		return r.explainGit(g)
	}
	for name, err := range map[string]error{
		"the repository":       explained("failed to fetch remote " + far + ": " + said),
		"one that is added":    explained("failed to fetch remote http://h.example/b.git: " + said),
		"a submodule":          r.unfetchedSubmodule(&git.SubmoduleError{Path: "a", URL: far, Err: errors.New(said)}, ""),
		"no room for it":       explained("failed to checkout remote http://h.example/b.git: git stderr:\nerror: unable to write file " + strings.Repeat("a/", 2000) + ": No space left on device: exit status 1"),
		"a push to a registry": r.unpushed(t.Context(), errors.New("failed to push "+far+": dial tcp: lookup h.example: "+cause)),
	} {
		var f *builder.FailedError
		switch {
		case !errors.As(err, &f):
			t.Errorf("%s: %v", name, err)
		case !strings.Contains(f.Reason, cause) && !strings.Contains(f.Reason, "No space left on device") || len(f.Reason) > 2500:
			t.Errorf("%s: a reason of %d bytes: %s", name, len(f.Reason), f.Reason)
		}
	}
}
