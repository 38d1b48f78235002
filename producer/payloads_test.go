package producer

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// The objects that testdata/hooks names.
const (
	objectA = "1f0c8a2d6b7e4f5a9c3d2e1b0a9f8e7d6c5b4a39"
	objectB = "7b3e9d1c5a2f4e8d6c0b9a7f3e1d5c2b8a6f4e0d"
	objectC = "c4d8e2f6a1b5c9d3e7f0a4b8c2d6e1f5a9b3c7d0"
	objectT = "e90f12a34b56c78d90e12f34a56b78c90d12e34f" // a tag's own
)

// payloadFile has a pipeline of main for each repository in testdata/hooks, and one of staging.
func payloadFile() string {
	var b strings.Builder
	b.WriteString("version: 1\npipelines:\n")
	item := func(name, repository, branch string) {
		fmt.Fprintf(&b, "  - {name: %s, repository: %s, branch: %s, image: registry.example.com/exampleco/%s, webhook: {secret_file: hook}}\n", name, repository, branch, name)
	}
	for name, repository := range map[string]string{
		"github": "https://github.com/exampleco/base.git", "gitlab": "https://gitlab.example.com/exampleco/base.git",
		"gitea": "https://gitea.example.com/exampleco/base.git", "forgejo": "https://forgejo.example.com/exampleco/base.git",
		"gogs": "https://gogs.example.com/exampleco/base.git", "cloud": "https://bitbucket.org/exampleco/base.git",
		"datacenter": "https://bitbucket.example.com/scm/exco/base.git", "azure": "https://dev.azure.com/exampleco/Base/_git/base.git",
		"codecommit": "https://git.example.com/mirror/codecommit.git",
	} {
		item(name, repository, "main")
	}
	item("cloud-staging", "https://bitbucket.org/exampleco/base.git", "staging")
	item("datacenter-staging", "https://bitbucket.example.com/scm/exco/base.git", "staging")
	return b.String()
}

// tells is an event in a line: what a test expects of it.
func (e *event) tells() string {
	short := strings.NewReplacer(objectA, "A", objectB, "B", objectC, "C", objectT, "T", strings.Repeat("0", 40), "0")
	s := short.Replace(fmt.Sprintf("%s %s→%s by %s", e.ref, e.before, e.commit, e.pusher))
	if e.deleted {
		s += " deleted"
	}
	if e.forced {
		s += " forced"
	}
	if e.message != "" {
		subject, _, _ := strings.Cut(e.message, "\n")
		s += fmt.Sprintf(" %q", subject)
	}
	if e.paths.count() > 0 {
		s += " " + strings.Join(slices.Collect(e.paths.all()), ",")
	}
	if e.pathsComplete {
		s += " and no other"
	}
	return s
}

// TestPayloadsOfForges sends what forges send (testdata/hooks/README.md).
func TestPayloadsOfForges(t *testing.T) {
	github := func(kind string) sender { return senders()[0].with("X-GitHub-Event", kind) }
	gitlab := func(kind string) sender { return senders()[6].with("X-Gitlab-Event", kind) }
	family := func(i int, brand string) func(kind string) sender {
		return func(kind string) sender { return senders()[i].with("X-"+brand+"-Event", kind) }
	}
	gitea, forgejo, gogs := family(1, "Gitea"), family(4, "Forgejo"), family(5, "Gogs")
	bitbucket := func(kind string) sender { return senders()[8].with("X-Event-Key", kind) }
	azure, codecommit := senders()[11], senders()[10]
	const (
		main, wholly = "refs/heads/main A→B by ada", ` "Add the locale" apt.txt,Dockerfile,locale.gen,Dockerfile and no other`
		tag          = `refs/tags/v1.0 0→B by ada "Add the locale"`
		gone         = "refs/heads/main B→ by ada deleted"
		isTag        = `builds tag "v1.0" (`
		tagGone      = `tag "v1.0" was deleted`
		fromGitea    = ` "Add the locale" locale.gen,Dockerfile,apt.txt,Dockerfile`
	)
	for _, c := range []struct {
		file   string
		from   sender
		events []string
		builds string // names of pipelines
		say    string // of what isn't built
	}{
		{"github-push", github("push"), []string{main + wholly}, "github", ""},
		{"github-forced", github("push"), []string{main + ` forced "Add the locale" locale.gen,Dockerfile`}, "github", ""},
		{"github-branch-created", github("push"), []string{`refs/heads/main 0→B by ada "Add the locale" locale.gen,Dockerfile`}, "github", ""},
		{"github-branch-deleted", github("push"), []string{gone}, "", "was deleted"},
		{"github-tag-created", github("push"), []string{tag}, "", isTag},
		{"github-tag-deleted", github("push"), []string{"refs/tags/v1.0 T→ by ada deleted"}, "", tagGone},
		{"github-create", github("create"), nil, "", "is not a push: select the push event"},

		{"gitlab-push", gitlab("Push Hook"), []string{main + ` "Add the locale" apt.txt,Dockerfile,locale.gen,Dockerfile`}, "gitlab", ""},
		{"gitlab-branch-created", gitlab("Push Hook"), []string{"refs/heads/main 0→B by ada"}, "gitlab", ""},
		{"gitlab-branch-deleted", gitlab("Push Hook"), []string{gone}, "", "was deleted"},
		{"gitlab-tag-created", gitlab("Tag Push Hook"), []string{tag + " locale.gen,Dockerfile"}, "", isTag},
		{"gitlab-tag-deleted", gitlab("Tag Push Hook"), []string{"refs/tags/v1.0 T→ by ada deleted"}, "", tagGone},
		{"gitlab-system-push", gitlab("System Hook"), []string{main}, "gitlab", ""},
		{"gitlab-system-repository-update", gitlab("System Hook"), []string{
			"refs/heads/main A→B by Ada Byron", "refs/heads/wip 0→C by Ada Byron", "refs/heads/old C→ by Ada Byron deleted", "refs/tags/v1.0 0→T by Ada Byron",
		}, "gitlab", `builds branch "wip" (gitlab builds branch main); branch "old" was deleted; no pipeline of this webhook's secret builds tag "v1.0" (gitlab`},
		{"gitlab-system-user-create", gitlab("System Hook"), nil, "", `event "user_create" is not a push: select Push events, or Repository update events`},
		{"gitlab-merge-request", gitlab("Merge Request Hook"), nil, "", "is not a push: select Push events"},

		{"gitea-push", gitea("push"), []string{main + fromGitea}, "gitea", ""},
		{"gitea-branch-created", gitea("push"), []string{`refs/heads/main 0→B by ada "Add the locale"`}, "gitea", ""},
		{"gitea-branch-deleted", gitea("push"), []string{gone}, "", "was deleted"},
		{"gitea-delete", gitea("delete"), []string{"refs/heads/main → by ada deleted"}, "", "was deleted"},
		{"gitea-tag-created", gitea("push"), []string{tag}, "", isTag},
		{"gitea-test", gitea("push"), nil, "", "a ping: a push would be taken, of branch main for pipeline gitea"},
		{"gitea-issues", gitea("issues"), nil, "", "is not a push: select push events"},
		{"forgejo-push", forgejo("push"), []string{main + fromGitea}, "forgejo", ""},
		{"forgejo-branch-created", forgejo("push"), []string{`refs/heads/main 0→B by ada "Add the locale"`}, "forgejo", ""},
		{"forgejo-branch-deleted", forgejo("push"), []string{gone}, "", "was deleted"},
		{"forgejo-tag-created", forgejo("push"), []string{tag}, "", isTag},
		{"forgejo-test", forgejo("push"), nil, "", "a ping: a push would be taken, of branch main for pipeline forgejo"},
		{"forgejo-issues", forgejo("issues"), nil, "", "is not a push"},
		{"gogs-push", gogs("push"), []string{main + fromGitea}, "gogs", ""},
		{"gogs-branch-created", gogs("push"), []string{"refs/heads/main 0→B by ada"}, "gogs", ""},
		{"gogs-branch-create", gogs("create"), nil, "", "is told of by a push event, too"},
		{"gogs-branch-deleted", gogs("delete"), []string{"refs/heads/main → by ada deleted"}, "", "was deleted"},
		{"gogs-tag-created", gogs("create"), []string{"refs/tags/v1.0 →B by ada"}, "", isTag},
		{"gogs-test", gogs("push"), nil, "", "a ping: a push would be taken, of branch main for pipeline gogs"},
		{"gogs-issues", gogs("issues"), nil, "", "is not a push"},

		{"bitbucket-cloud-push", bitbucket("repo:push"), []string{main + ` "Add the locale"`}, "cloud", ""},
		{"bitbucket-cloud-forced", bitbucket("repo:push"), []string{main + ` forced "Add the locale"`}, "cloud", ""},
		{"bitbucket-cloud-branch-deleted", bitbucket("repo:push"), []string{gone}, "", "was deleted"},
		{"bitbucket-cloud-many", bitbucket("repo:push"), []string{
			main + ` "Add the locale"`, `refs/heads/staging →C by ada "Take curl out"`, "refs/heads/old A→ by ada deleted", `refs/tags/v1.0 →B by ada "Add the locale"`,
		}, "cloud cloud-staging", `branch "old" was deleted; no pipeline of this webhook's secret builds tag "v1.0" (`},
		{"bitbucket-cloud-pullrequest", bitbucket("pullrequest:created"), nil, "", "is not a push: select Repository: Push"},
		{"bitbucket-datacenter-push", bitbucket("repo:refs_changed"), []string{main + ` "Add the locale"`}, "datacenter", ""},
		{"bitbucket-datacenter-older-push", bitbucket("repo:refs_changed"), []string{main}, "datacenter", ""},
		{"bitbucket-datacenter-many", bitbucket("repo:refs_changed"), []string{
			main, "refs/heads/staging 0→C by ada", "refs/heads/old A→ by ada deleted", "refs/tags/v1.0 0→B by ada",
		}, "datacenter datacenter-staging", `branch "old" was deleted; no pipeline of this webhook's secret builds tag "v1.0" (`},
		{"bitbucket-datacenter-test", bitbucket("diagnostics:ping"), nil, "", "(this test names none)"},

		{"azure-push", azure, []string{`refs/heads/main A→B by Ada Byron "Add the locale"`}, "azure", ""},
		{"azure-test", azure, nil, "", "a push of the repository of one of these pipelines would be taken (this test names none)"},
		{"azure-pull-request", azure, nil, "", "is not a push: choose the trigger Code pushed"},
		{"codecommit-push", codecommit, []string{"refs/heads/main A→B by arn:aws:iam::123456789012:user/ada"}, "codecommit", ""},
	} {
		t.Run(c.file, func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join("testdata", "hooks", c.file+".json"))
			if err != nil {
				t.Fatal(err)
			}
			r := c.from.hook(testSecret, string(body))
			var told []string
			for _, f := range forges() {
				if f.name() == c.from.forge {
					d, err := f.read(r.Header, body)
					if err != nil {
						t.Fatalf("read: %v", err)
					}
					for i := range d.events {
						told = append(told, d.events[i].tells())
					}
				}
			}
			if !slices.Equal(told, c.events) {
				t.Errorf("it tells\n%q, want\n%q", told, c.events)
			}
			q := &memoryQueue{}
			p, err := New(Config{Pipelines: load(t, payloadFile()), Queue: q, Logger: zerolog.Nop()})
			if err != nil {
				t.Fatal(err)
			}
			status, a, _ := serve(p, r)
			builds := q.pipelines()
			slices.Sort(builds)
			want := http.StatusOK
			if c.builds != "" {
				want = http.StatusAccepted
			}
			if status != want || strings.Join(builds, " ") != c.builds || !strings.Contains(a.Ignored, c.say) || c.say == "" && a.Ignored != "" {
				t.Errorf("status %d, %+v, stored %v; want %d saying %q, stored %s", status, a, builds, want, c.say, c.builds)
			}
			var tags, built []string // where tags are built, all of them
			for _, e := range c.events {
				if ref, rest, _ := strings.Cut(e, " "); strings.HasPrefix(ref, tagRefs) && !strings.HasSuffix(rest, " deleted") {
					tags = append(tags, ref)
				}
			}
			q = &memoryQueue{}
			if p, err = New(Config{Pipelines: load(t, strings.ReplaceAll(payloadFile(), "branch: main", `tags: ["v*"]`)), Queue: q}); err != nil {
				t.Fatal(err)
			}
			serve(p, c.from.hook(testSecret, string(body)))
			for _, r := range q.stored {
				if r.Tag != "" {
					built = append(built, r.FullRef())
				}
			}
			if !slices.Equal(tags, built) {
				t.Errorf("of the tags %v, %v are built", tags, built)
			}
		})
	}
}

// with is the sender with another event.
func (s sender) with(header, kind string) sender {
	s.event = func(h http.Header, _ string) { h.Set(header, kind) }
	return s
}
