package git

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
)

func TestCompare(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	server := gittest.Start(t)
	repo := server.Repository(t, "base")
	first := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n", "docs/a b.md": "a\n", "gone": "x\n"})
	second := repo.Commit(t, "main", map[string]string{"docs/a b.md": "b\n", "images/ä\n.txt": "new\n"})
	third := repo.Commit(t, "main", map[string]string{"docs/a b.md": "a\n"})
	server.RequireToken("tok")
	r := Remote{URL: repo.URL, Token: messages.NewSecret("tok")}
	for name, c := range map[string]struct {
		before, after string
		want          []string
	}{
		"one commit":                       {first, second, []string{"docs/a b.md", "images/ä\n.txt"}},
		"two, which undo in part":          {first, third, []string{"images/ä\n.txt"}},
		"back":                             {second, first, []string{"docs/a b.md", "images/ä\n.txt"}},
		"the same":                         {second, second, nil},
		"the message alone of a first one": {"", first, nil},
	} {
		got, err := Compare(t.Context(), r, c.before, c.after)
		if err != nil || !slices.Equal(got.Paths, c.want) || strings.TrimSpace(got.Message) != "change" {
			t.Errorf("%s: %+v, %v; want %q", name, got, err, c.want)
		}
	}
	if _, err := Compare(t.Context(), r, strings.Repeat("e", 40), first); !errors.Is(err, ErrNoCommit) {
		t.Errorf("with a commit that is gone: %v", err)
	}
	if _, err := Compare(t.Context(), Remote{URL: repo.URL, Token: messages.NewSecret("no")}, first, second); !errors.Is(err, ErrDenied) {
		t.Errorf("with a wrong token: %v", err)
	}
	if _, err := Compare(t.Context(), r, "--upload-pack=x", first); err == nil || errors.Is(err, ErrUnreachable) {
		t.Errorf("with an option for a commit: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Compare(ctx, r, first, second); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context: %v", err)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestAComparisonFetchesNoWorldOfFiles has a host that gives out the contents of files too, and more than is taken.
func TestAComparisonFetchesNoWorldOfFiles(t *testing.T) {
	repo := gittest.Start(t).Repository(t, "large")
	first := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	noise := make([]byte, 3<<20)
	_, _ = rand.Read(noise)
	second := repo.Commit(t, "main", map[string]string{"large": string(noise)})
	r := Remote{URL: repo.URL}
	if got, err := r.compare(t.Context(), first, second, 1<<11); err == nil {
		t.Errorf("it is fetched: %q", got.Paths)
	}
	if got, err := r.compare(t.Context(), first, second, 1<<14); err != nil || len(got.Paths) != 1 {
		t.Errorf("with room for it: %q, %v", got.Paths, err)
	}
}
