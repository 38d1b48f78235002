package git

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
)

func TestFile(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	server := gittest.Start(t)
	repo := server.Repository(t, "base")
	first := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n", "images/a b/ä:*": "x\n", "large": strings.Repeat("x", maxOutput)})
	second := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM other\r\n"})
	server.RequireToken("tok")
	r := Remote{URL: repo.URL, Token: messages.NewSecret("tok")}
	for name, c := range map[string]struct{ commit, path, want string }{
		"an earlier commit": {first, "Dockerfile", "FROM scratch\n"},
		"as it is":          {second, "Dockerfile", "FROM other\r\n"},
		"an odd name":       {second, "images/a b/ä:*", "x\n"},
	} {
		if got, err := File(t.Context(), r, c.commit, c.path); err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
	for _, path := range []string{"none", "images", "images/*", ""} {
		if got, err := File(t.Context(), r, second, path); !errors.Is(err, ErrNoFile) {
			t.Errorf("%q: %q, %v", path, got, err)
		}
	}
	if _, err := File(t.Context(), r, second, "large"); err == nil || !strings.Contains(err.Error(), "bytes or more") {
		t.Errorf("a large file: %v", err)
	}
	if _, err := File(t.Context(), r, strings.Repeat("e", 40), "Dockerfile"); !errors.Is(err, ErrNoCommit) {
		t.Errorf("no commit: %v", err)
	}
	if _, err := File(t.Context(), Remote{URL: repo.URL}, second, "Dockerfile"); !errors.Is(err, ErrDenied) {
		t.Errorf("no token: %v", err)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}
