package git

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/git/gittest"
)

func TestRefs(t *testing.T) {
	server := gittest.Start(t)
	repo := server.Repository(t, "base")
	if refs, whole, err := Refs(t.Context(), Remote{URL: repo.URL}, Listing{Branches: true, Tags: true}); err != nil || len(refs) != 0 || !whole {
		t.Errorf("of an empty repository: %v, %v, %v", refs, whole, err)
	}
	commits := map[string]string{}
	for _, branch := range []string{"main", "release/1", "a/b/c"} {
		commits["refs/heads/"+branch] = repo.Commit(t, branch, map[string]string{"Dockerfile": "FROM scratch\n# " + branch + "\n"})
	}
	for tag, annotated := range map[string]bool{"v1.10": true, "v1.9": false, "v1.2": true} {
		commits["refs/tags/"+tag] = commits["refs/heads/main"]
		repo.Tag(t, tag, commits["refs/heads/main"], annotated)
	}
	branches := []string{"refs/heads/a/b/c", "refs/heads/main", "refs/heads/release/1"}
	tags := []string{"refs/tags/v1.2", "refs/tags/v1.9", "refs/tags/v1.10"}
	for name, c := range map[string]struct {
		list Listing
		want []string
	}{
		"branches":                     {Listing{Branches: true}, branches},
		"branches, and a tag":          {Listing{Branches: true, Named: []string{"refs/tags/v1.10"}}, append(slices.Clone(branches), "refs/tags/v1.10")},
		"both":                         {Listing{Branches: true, Tags: true, Named: []string{"refs/heads/main", "refs/heads/no"}}, slices.Concat(branches, tags)},
		"one branch":                   {Listing{Named: []string{"refs/heads/main", "refs/heads/main"}}, []string{"refs/heads/main"}},
		"none that is there":           {Listing{Named: []string{"refs/heads/b/c", "refs/tags/v1", "refs/notes/x"}}, nil},
		"names that git takes for all": {Listing{Named: []string{"refs/heads/**", "refs/heads/*"}}, nil},
	} {
		refs, whole, err := Refs(t.Context(), Remote{URL: repo.URL}, c.list)
		var got []string
		for _, r := range refs {
			got = append(got, r.Name)
			if r.Commit != commits[r.Name] || (r.Object != r.Commit) != (r.Name == "refs/tags/v1.2" || r.Name == "refs/tags/v1.10") {
				t.Errorf("%s: %s is at %s, want %s", name, r.Name, r.Commit, commits[r.Name])
			}
		}
		if err != nil || !whole || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, %v; want %v", name, got, whole, err, c.want)
		}
	}
	if _, _, err := Refs(t.Context(), Remote{URL: server.URL + "/nope.git"}, Listing{Branches: true}); !errors.Is(err, ErrNoRepository) {
		t.Errorf("of no repository: %v", err)
	}
	if _, _, err := Refs(t.Context(), Remote{URL: "/etc/base.git"}, Listing{Branches: true}); err == nil {
		t.Error("a local path is read")
	}
}

// TestRefsOfMoreThanAreListed has those that are named among the others.
func TestRefsOfMoreThanAreListed(t *testing.T) {
	repo := gittest.Start(t).Repository(t, "base")
	commit := repo.Commit(t, "z", map[string]string{"Dockerfile": "FROM scratch\n"})
	var branches []string
	for i := range listedMost + 5 {
		branches = append(branches, fmt.Sprintf("a/%06d", i))
	}
	repo.Branches(t, commit, branches...)
	last := "refs/heads/" + branches[listedMost+4]
	refs, whole, err := Refs(t.Context(), Remote{URL: repo.URL}, Listing{Branches: true, Named: []string{"refs/heads/z", "refs/heads/y", last, "refs/heads/" + branches[1]}})
	if err != nil || whole || len(refs) != listedMost+2 || !slices.Contains(refs, Ref{"refs/heads/z", commit, commit}) || !slices.Contains(refs, Ref{last, commit, commit}) {
		t.Errorf("%d heads, all of them %v: %v", len(refs), whole, err)
	}
}

// TestFindOfANameThatTooManyHave says how to write the one that is meant.
func TestFindOfANameThatTooManyHave(t *testing.T) {
	repo := gittest.Start(t).Repository(t, "base")
	commit := repo.Commit(t, "z", map[string]string{"Dockerfile": "FROM scratch\n"})
	var branches []string
	for i := range listedMost + 5 {
		branches = append(branches, fmt.Sprintf("a/%06d/z", i))
	}
	repo.Branches(t, commit, append(branches, "z")...)
	_, err := Find(t.Context(), Remote{URL: repo.URL}, "z")
	if !errors.Is(err, ErrNoBranch) || !strings.HasSuffix(err.Error(), "write it in full, as refs/heads/z") {
		t.Errorf("error %v", err)
	}
	if found, err := Find(t.Context(), Remote{URL: repo.URL}, "refs/heads/z"); err != nil || found != commit {
		t.Errorf("in full it is %s, %v", found, err)
	}
}

// TestRefsOfALargeRepository has annotated tags, whose lines are two.
func TestRefsOfALargeRepository(t *testing.T) {
	repo := gittest.Start(t).Repository(t, "base")
	commit := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	object := repo.Tag(t, "v0", commit, true)
	var tags []string
	for i := range 30_000 {
		tags = append(tags, fmt.Sprintf("v%d", i))
	}
	repo.Tags(t, object, commit, tags...)
	refs, whole, err := Refs(t.Context(), Remote{URL: repo.URL}, Listing{Tags: true})
	if err != nil || !whole || len(refs) != len(tags) {
		t.Fatalf("%d tags, all of them %v: %v", len(refs), whole, err)
	}
	for i, r := range refs {
		if want := (Ref{"refs/tags/" + tags[i], commit, object}); r != want {
			t.Fatalf("%v, want %v", r, want)
		}
	}
}

// TestAListingThatIsCutShort has it end everywhere: no tag may get the object of an annotated one for its commit.
func TestAListingThatIsCutShort(t *testing.T) {
	commit, object := strings.Repeat("a", 40), strings.Repeat("b", 40)
	text := object + "\trefs/tags/v1\n" + commit + "\trefs/tags/v1^{}\n" + commit + "\trefs/tags/v2\n" + commit + "\trefs/heads/main\n"
	for n := range len(text) {
		lines, whole := readListing(text[:n], false)
		if whole {
			t.Fatalf("the first %d bytes are all", n)
		}
		for i, l := range lines {
			if !strings.Contains(text, "\t"+l.name+"\n") || l.hash == object && (i+1 == len(lines) || lines[i+1] != listedRef{l.name + peeled, commit}) {
				t.Fatalf("of the first %d bytes: %v", n, lines)
			}
		}
	}
	if lines, whole := readListing(text, true); !whole || len(lines) != 4 {
		t.Errorf("of all: %v, %v", lines, whole)
	}
}

// TestLag has a host that has more, and less, than was told of.
func TestLag(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	repo := gittest.Start(t).Repository(t, "base")
	first := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	second := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n# 2\n"})
	third := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n# 3\n"})
	other := repo.Commit(t, "other", map[string]string{"Dockerfile": "FROM scratch\n# other\n"})
	for name, c := range map[string]struct {
		told, shown string
		want        time.Duration
	}{
		"an older one":             {third, first, LagBehind},
		"the one before":           {second, first, LagBehind},
		"a newer one":              {second, third, 0},
		"one of another history":   {third, other, 0},
		"one that it doesn't have": {"0123456789abcdef0123456789abcdef01234567", third, LagWithout},
		"no commit":                {"--upload-pack=x", third, 0},
	} {
		if got := Lag(t.Context(), Remote{URL: repo.URL}, c.told, c.shown); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	there, err := urlOf(repo.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: there.Scheme, Host: there.Host})
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Git-Protocol") // so that it gives out no commits but those that its refs name
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(old.Close)
	if got := Lag(t.Context(), Remote{URL: old.URL + there.Path}, second, third); got != LagBehind {
		t.Errorf("of an old server, which doesn't say whether it has the commit: %s", got)
	}
	if got := Lag(t.Context(), Remote{URL: "http://127.0.0.1:1/a.git"}, second, first); got != LagBehind {
		t.Errorf("of a host that is away: %s", got)
	}
}
