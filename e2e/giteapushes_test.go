package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/demo/site"
)

// giteaClone is a work tree of a repository at a Gitea, which git pushes from.
type giteaClone struct {
	*site.Repository
	dir string
}

// clone makes one, whose remote forge is the repository there.
func (g *gitea) clone(t *testing.T, s *stack, name string) giteaClone {
	t.Helper()
	r, err := s.git.Repository(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	c := giteaClone{r, filepath.Join(s.dir, "git", name)}
	c.git(t, "remote", "add", "forge", strings.Replace(g.url, "://", "://"+giteaUser+":"+giteaPassword+"@", 1)+"/"+giteaUser+"/"+name+".git")
	return c
}

func (c giteaClone) git(t *testing.T, args ...string) string {
	t.Helper()
	out, err := site.Git(t.Context(), c.dir, append([]string{"-c", "user.name=Ann", "-c", "user.email=ann@example.com"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// push pushes refs, as git names them for a push.
func (c giteaClone) push(t *testing.T, refs ...string) {
	t.Helper()
	c.git(t, append([]string{"push", "--quiet", "forge"}, refs...)...)
}

// commit commits files.
func (c giteaClone) commit(t *testing.T, message string, files map[string]string) string {
	t.Helper()
	err := c.Write(files)
	var commit string
	if err == nil {
		commit, err = c.Commit(t.Context(), message)
	}
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

// awaitBuilt waits until a pipeline has so many builds of a commit for a ref, all of which have made an image, and
// returns the last.
func (s *stack) awaitBuilt(t *testing.T, pipeline, ref, commit string, n int) (last build) {
	t.Helper()
	await(t, fmt.Sprintf("%d builds of %s at %s", n, commit, ref), func(ctx context.Context) error {
		all, err := s.builds(ctx)
		all = slices.DeleteFunc(all, func(b build) bool { return b.Pipeline != pipeline || b.Ref != ref || b.Commit != commit })
		slices.SortFunc(all, func(a, b build) int { return int(a.Order) - int(b.Order) })
		if len(all) != n || slices.ContainsFunc(all, func(b build) bool { return b.State != "succeeded" }) {
			return errors.Join(err, fmt.Errorf("of them there are %+v", all))
		}
		last = all[n-1]
		return err
	})
	return last
}

// awaitIgnored waits until the audit has webhooks of a forge that led to no build, the last of them for these reasons.
func (s *stack) awaitIgnored(t *testing.T, why ...string) {
	t.Helper()
	await(t, fmt.Sprintf("a webhook that is ignored, as %q", why), func(ctx context.Context) error {
		var audit struct {
			Calls []struct{ Path, Outcome, Why, By string }
		}
		err := s.JSON(ctx, &audit, "audit", "--known")
		for _, c := range audit.Calls {
			if c.Path == "/hooks/gitea" && c.Outcome == "ignored" && !slices.ContainsFunc(why, func(w string) bool { return !strings.Contains(c.Why, w) }) {
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("the audit has %+v", audit.Calls))
	})
}

// pushesOfEachKind pushes by git what people push, and has the forge tell of it: each head that a pipeline takes is built
// once for each push that made it the head, and of all else the audit says why not.
func (g *gitea) pushesOfEachKind(t *testing.T, s *stack) {
	hook := g.hook(t, "refs", "http://"+s.http+"/hooks/gitea")
	c := g.clone(t, s, "refs")
	const main = "refs/heads/main"

	first := c.commit(t, "the first", exporting("refs-1"))
	c.push(t, "HEAD:"+main)
	b := s.awaitBuilt(t, "refs", main, first, 1)
	s.awaitBuilt(t, "notes", main, first, 1)
	if b.Reason.Kind != "push" || b.Reason.Link == "" || b.By != giteaUser {
		t.Errorf("it was built for %+v", b)
	}

	c.push(t, "HEAD:refs/heads/release/1", "HEAD:refs/heads/wip")
	s.awaitBuilt(t, "refs", "refs/heads/release/1", first, 1)
	s.awaitIgnored(t, `builds branch "wip"`, "release/**")

	c.git(t, "tag", "--annotate", "--message", "a release", "v1.0.0")
	c.push(t, "v1.0.0")
	if b := s.awaitBuilt(t, "refs", "refs/tags/v1.0.0", first, 1); b.Reason.Kind != "tag" {
		t.Errorf("a tag was built for %+v", b.Reason)
	}

	// The webhook lists the last few commits alone, and the one that changes what notes looks at is the first.
	c.commit(t, "a note", map[string]string{"notes/1": "1\n"})
	for n := range 40 {
		c.commit(t, fmt.Sprint("step ", n), map[string]string{"step": fmt.Sprintln(n)})
	}
	many := c.git(t, "rev-parse", "HEAD")
	c.push(t, "HEAD:"+main)
	s.awaitBuilt(t, "refs", main, many, 1)
	if b := s.awaitBuilt(t, "notes", main, many, 1); !strings.Contains(b.Matched, "notes/1") {
		t.Errorf("it was taken as %q", b.Matched)
	}

	skipped := c.commit(t, "nothing to see [skip ci]", map[string]string{"step": "skipped\n"})
	c.push(t, "HEAD:"+main)
	s.awaitIgnored(t, "pipeline refs: the commit's message has [skip ci]", "pipeline notes: ")

	c.git(t, "reset", "--quiet", "--hard", first)
	forced := c.commit(t, "another way", exporting("refs-2"))
	c.push(t, "+HEAD:"+main)
	s.awaitBuilt(t, "refs", main, forced, 1)
	c.push(t, "+"+many+":"+main) // back to what was built before
	back := s.awaitBuilt(t, "refs", main, many, 2)
	if last := s.last(t, "refs", main); last != back.Build {
		t.Errorf("the last build of main is %s, not %s of its head", last, back.Build)
	}

	c.push(t, ":refs/heads/release/1", ":refs/tags/v1.0.0")
	s.awaitIgnored(t, `branch "release/1" was deleted`)
	s.awaitIgnored(t, `tag "v1.0.0" was deleted`)

	// The button of its page: a push that changes nothing.
	g.must(t, http.MethodPost, fmt.Sprintf("repos/%s/refs/hooks/%d/tests", giteaUser, hook), nil, nil)
	s.awaitIgnored(t, "a ping: a push would be taken, of ", "for pipeline refs", "for pipeline notes")

	all, err := s.builds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]int{}
	for _, b := range all {
		of[b.Pipeline]++
		if b.Commit == skipped {
			t.Errorf("what was to be skipped was built: %+v", b)
		}
	}
	if of["refs"] != 6 {
		t.Errorf("refs has %d builds, not the 6 that were waited for: %+v", of["refs"], all)
	}
}

// last is the last build of a pipeline's ref.
func (s *stack) last(t *testing.T, pipeline, ref string) string {
	t.Helper()
	all, err := s.builds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var last build
	for _, b := range all {
		if b.Pipeline == pipeline && b.Ref == ref && b.Order > last.Order {
			last = b
		}
	}
	return last.Build
}

// toldOfEachState holds builds up, and reads back from the forge what it was told of one while it was queued, while it was
// built, and of its image. The base of both pipelines is in bases. It returns the commit.
func (g *gitea) toldOfEachState(t *testing.T, s *stack, bases *registry, live string) string {
	t.Helper()
	release := bases.hold()
	defer release()
	c := g.clone(t, s, "refs")
	c.git(t, "fetch", "--quiet", "forge", "main")
	c.git(t, "reset", "--quiet", "--hard", "FETCH_HEAD")
	busy := c.commit(t, "keeps the only slot", exporting("busy"))
	c.push(t, "HEAD:main")
	var first string
	await(t, "a build that is held up", func(ctx context.Context) error {
		all, err := s.builds(ctx)
		for _, b := range all {
			if b.Commit == busy && b.Pipeline == "refs" && b.State == "running" {
				first = b.Build
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("builds: %+v", all))
	})
	commit := g.push(t, "base", exporting("gitea-2"))
	g.awaitTold(t, "base", commit, "fenceline/base pending queued")
	s.must(t, "cancel", first)
	g.awaitTold(t, "base", commit, "fenceline/base pending building")
	release()
	all := g.awaitTold(t, "base", commit, live)
	order := []string{"pending queued", "pending building", "pending ", "success "}
	rank := func(text string) int {
		return slices.IndexFunc(order, func(begin string) bool { return strings.HasPrefix(text, "fenceline/base "+begin) })
	}
	if !slices.IsSortedFunc(all, func(a, b string) int { return rank(a) - rank(b) }) {
		t.Errorf("it was told out of order: %q", all)
	}
	return commit
}
