package buildkit_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/builder/buildkit/buildkittest"
	"github.com/fenceline/fenceline/messages"
)

func catalog(t *testing.T) *buildkit.Catalog {
	t.Helper()
	c, err := buildkit.NewCatalog(buildkit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTheCatalogFindsWhatABuildPins: without a buildkitd the same sources are found, and resolve to the same.
func TestTheCatalogFindsWhatABuildPins(t *testing.T) {
	b := newBench(t)
	other := b.registry.PushBase(t, "other:2", buildkittest.File{Name: "x", Content: "x"})
	third := b.registry.PushBase(t, "third:3", buildkittest.File{Name: "y", Content: "y"})
	never := b.registry.PushBase(t, "never:4")
	digest, err := b.registry.Image(t, third).Digest()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join([]string{
		"ARG BASE=" + never, "FROM " + never + " AS unreached", "FROM scratch AS empty", "FROM ${BASE} AS built",
		"COPY --from=" + other + " /x /x", "RUN --mount=from=" + strings.TrimSuffix(third, ":3") + "@" + digest.String() + ",target=/m cat /m/y",
		"FROM built", "COPY --from=empty . /e", "",
	}, "\n")
	o := b.order(t, map[string]string{"Dockerfile": text})
	o.Pipeline.BuildArgs = map[string]string{"BASE": b.base}
	if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
		t.Fatal(err)
	}
	found, err := catalog(t).Bases(t.Context(), o.Pipeline, []byte(text))
	if err != nil || len(found) != len(o.bases) || len(found) != 3 {
		t.Fatalf("found %v, %v; pinned %v", found, err, o.bases)
	}
	for i, f := range found {
		if f.Err != nil || (messages.PinnedBase{Source: f.Source, Image: f.Image, Fixed: strings.HasSuffix(f.Source, "/third")}) != o.bases[i] {
			t.Errorf("found %v, pinned %v", f, o.bases[i])
		}
	}
}

// TestASourceThatCannotBeResolved keeps the others from nothing.
func TestASourceThatCannotBeResolved(t *testing.T) {
	r := buildkittest.NewRegistry(t)
	there := r.PushBase(t, "there:1")
	digest := "sha256:" + strings.Repeat("a", 64)
	r.Refuse(func(q *http.Request) int {
		if strings.Contains(q.URL.Path, "/secret/") {
			return http.StatusUnauthorized
		}
		return 0
	})
	text := "FROM " + r.Host + "/gone:1 AS a\nFROM " + r.Host + "/secret:1 AS b\nFROM " + r.Host + "/pinned@" + digest + " AS c\nFROM " + there + "\nCOPY --from=a . .\nCOPY --from=b . .\nCOPY --from=c . .\n"
	found, err := catalog(t).Bases(t.Context(), &messages.Pipeline{}, []byte(text))
	if err != nil || len(found) != 4 {
		t.Fatalf("found %v, %v", found, err)
	}
	for i, want := range []struct {
		source, digest string
		fails          bool
	}{{"gone:1", "", true}, {"pinned", digest, true}, {"secret:1", "", true}, {"there:1", "sha256:", false}} {
		f := found[i]
		if f.Source != r.Host+"/"+want.source || !strings.HasPrefix(f.Image.Digest(), want.digest) || (f.Err != nil) != want.fails || want.digest == "" && f.Image != "" {
			t.Errorf("found %+v, want %+v", f, want)
		}
	}
	r.Close()
	if b := catalog(t).Resolve(t.Context(), there); b.Err == nil || b.Source != there {
		t.Errorf("of a registry that is away: %+v", b)
	}
	for _, bad := range []string{"", "FROM\n", "FROM ${X}\n", "RUN x\n", "FROM a:b:c\n", "\x00"} {
		if found, err := catalog(t).Bases(t.Context(), &messages.Pipeline{}, []byte(bad)); err == nil {
			t.Errorf("%q: %v", bad, found)
		}
	}
	if _, err := buildkit.NewCatalog(buildkit.Config{DockerConfig: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("a folder without logins: %v", err)
	}
}
