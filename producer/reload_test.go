package producer

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/rs/zerolog"
)

// reloading is a producer of one file, whose changes are looked for when the test says so.
type reloading struct {
	*follower
	t    *testing.T
	file string
	q    *memoryQueue
}

func startReloading(t *testing.T, file string) *reloading {
	t.Helper()
	pipelines, err := LoadPipelines(file)
	if err != nil {
		t.Fatal(err)
	}
	q := &memoryQueue{}
	p, err := New(Config{Pipelines: pipelines, Queue: q, Tokens: []Token{{Name: "ci", Secret: messages.NewSecret(testToken)}}, SecretsDir: t.TempDir(), Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	return &reloading{p.follower(), t, file, q}
}

// settle looks as often as it takes to see a change that rests.
func (r *reloading) settle() {
	r.look(false)
	r.look(false)
}

func (r *reloading) write(path, content string) {
	r.t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// want tells which pipelines are to be in force, and what is to be wrong with the file.
func (r *reloading) want(problem string, names ...string) {
	r.t.Helper()
	s := r.File()
	if !slices.Equal(s.Pipelines, names) {
		r.t.Errorf("in force are %v; want %v (%s)", s.Pipelines, names, s.Error)
	}
	if (s.Error == "") != (problem == "") || !strings.Contains(s.Error, problem) || s.Since.IsZero() != (problem == "") {
		r.t.Errorf("the problem is %q since %v; want %q", s.Error, s.Since, problem)
	}
}

// pushed is the answer to a push of base, signed with a secret.
func (r *reloading) pushed(secret string) int {
	s := senders()[0]
	status, _, _ := serve(r.Producer, s.hook(secret, s.payload("https://git.example.com/base.git", mainRef, testCommit)))
	return status
}

// second is a file with a pipeline more than item().
func second() string {
	return item("    webhook: {secret_file: hook}", "  - {name: more, repository: 'https://git.example.com/m.git', image: example.com/m}")
}

func hooked() string { return item("    webhook: {secret_file: hook}") }

// TestAChangedFileIsReadAgain however its writer writes.
func TestAChangedFileIsReadAgain(t *testing.T) {
	for name, change := range map[string]func(r *reloading){
		"in place": func(r *reloading) { r.write(r.file, second()) },
		"by another file of the name": func(r *reloading) {
			r.write(r.file+".tmp", second())
			rename(r.t, r.file+".tmp", r.file)
		},
		"by a rename that keeps the old": func(r *reloading) {
			rename(r.t, r.file, r.file+"~")
			r.look(false)
			r.write(r.file, second())
		},
		"with an old time": func(r *reloading) {
			r.write(r.file, second())
			old := time.Now().Add(-time.Hour)
			if err := os.Chtimes(r.file, old, old); err != nil {
				r.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := startReloading(t, writeFile(t, hooked()))
			r.settle()
			r.want("", "base")
			change(r)
			r.settle()
			r.want("", "base", "more")
		})
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// TestAConfigMapIsReadAgain: its files are links through a link to a folder, which is swapped for another.
func TestAConfigMapIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	write := func(version, content string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"fenceline.yaml": content, "hook": testSecret} {
			if err := os.WriteFile(filepath.Join(dir, version, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(version, filepath.Join(dir, "..next")); err != nil {
			t.Fatal(err)
		}
		rename(t, filepath.Join(dir, "..next"), filepath.Join(dir, "..data"))
	}
	write("..1", hooked())
	for _, name := range []string{"fenceline.yaml", "hook"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	r := startReloading(t, filepath.Join(dir, "fenceline.yaml"))
	write("..2", second())
	r.settle()
	r.want("", "base", "more")
}

// TestAFileThatIsBeingWrittenIsNotRead, although what it has so far could be.
func TestAFileThatIsBeingWrittenIsNotRead(t *testing.T) {
	r := startReloading(t, writeFile(t, second()))
	r.write(r.file, hooked())
	r.look(false)
	r.want("", "base", "more")
	r.write(r.file, second()+"  - {name: third, repository: 'https://git.example.com/t.git', image: example.com/t}\n")
	r.look(false)
	r.want("", "base", "more")
	r.look(false)
	r.want("", "base", "more", "third")
}

// TestABadFileChangesNothing, and is said until it is mended.
func TestABadFileChangesNothing(t *testing.T) {
	for name, spoil := range map[string]struct {
		do      func(r *reloading)
		problem string
	}{
		"a mistake":         {func(r *reloading) { r.write(r.file, second()+"    branch: a..b\n") }, "fenceline.yaml:8"},
		"an empty file":     {func(r *reloading) { r.write(r.file, "") }, "the file is empty"},
		"no file":           {func(r *reloading) { remove(r.t, r.file) }, "no such file"},
		"a folder":          {func(r *reloading) { remove(r.t, r.file); mkdir(r.t, r.file) }, "has no file whose name ends in .yaml"},
		"no secret":         {func(r *reloading) { remove(r.t, filepath.Join(filepath.Dir(r.file), "hook")) }, "does not exist"},
		"a spoiled secret":  {func(r *reloading) { r.write(filepath.Join(filepath.Dir(r.file), "hook"), "a\nb\n") }, "several lines"},
		"something unknown": {func(r *reloading) { r.write(r.file, "nope: 1\n"+second()) }, `unknown field "nope"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := startReloading(t, writeFile(t, hooked()))
			spoil.do(r)
			r.settle()
			r.want(spoil.problem, "base")
			since := r.File().Since
			if status := r.pushed(testSecret); status != http.StatusAccepted {
				t.Errorf("a push is answered %d", status)
			}
			r.look(true) // it is still as bad
			r.want(spoil.problem, "base")
			if !r.File().Since.Equal(since) {
				t.Error("it is bad since another time")
			}
			_ = os.Remove(r.file) // it may be a folder
			r.write(r.file, second())
			r.write(filepath.Join(filepath.Dir(r.file), "hook"), testSecret)
			r.settle()
			r.want("", "base", "more")
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

// TestASecretIsReadAgain: the new one counts, the old one no more.
func TestASecretIsReadAgain(t *testing.T) {
	r := startReloading(t, writeFile(t, hooked()))
	r.write(filepath.Join(filepath.Dir(r.file), "hook"), testOther)
	if status := r.pushed(testSecret); status != http.StatusAccepted {
		t.Errorf("before: %d", status)
	}
	r.settle()
	if status := r.pushed(testSecret); status != http.StatusUnauthorized {
		t.Errorf("with the old secret: %d", status)
	}
	if status := r.pushed(testOther); status != http.StatusAccepted {
		t.Errorf("with the new secret: %d", status)
	}
}

// TestAReloadThatIsAskedForIsDoneAtOnce, as by SIGHUP.
func TestAReloadThatIsAskedForIsDoneAtOnce(t *testing.T) {
	r := startReloading(t, writeFile(t, hooked()))
	r.write(r.file, second())
	r.look(true)
	r.want("", "base", "more")
}

// TestCallsAreForThePipelinesInForce.
func TestCallsAreForThePipelinesInForce(t *testing.T) {
	r := startReloading(t, writeFile(t, second()))
	call := func() int {
		req := httptest.NewRequest(http.MethodPost, "/v1/builds", strings.NewReader(`{"pipeline":"more","commit":"`+testCommit+`"}`))
		req.Header.Set("Authorization", "Bearer "+testToken)
		status, _, _ := serve(r.Producer, req)
		return status
	}
	if status := call(); status != http.StatusAccepted {
		t.Errorf("a call is answered %d", status)
	}
	r.write(r.file, hooked())
	r.settle()
	if status := call(); status != http.StatusNotFound {
		t.Errorf("a call for a pipeline that is gone is answered %d", status)
	}
}

// TestServePipelines tells who has the token which pipelines are in force, and what is wrong with the file.
func TestServePipelines(t *testing.T) {
	r := startReloading(t, writeFile(t, hooked()))
	ask := func(token string) (int, FileState) {
		req := httptest.NewRequest(http.MethodGet, "/v1/pipelines", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		r.Handler().ServeHTTP(w, req)
		var s FileState
		_ = json.Unmarshal(w.Body.Bytes(), &s)
		return w.Code, s
	}
	if status, _ := ask("wrong"); status != http.StatusUnauthorized {
		t.Errorf("with another token: %d", status)
	}
	_, before := ask(testToken)
	if before.Path != r.file || !slices.Equal(before.Pipelines, []string{"base"}) || before.Digest == "" || before.Loaded.IsZero() || before.Error != "" {
		t.Errorf("%+v", before)
	}
	r.write(r.file, "nope: 1\n")
	r.settle()
	if _, s := ask(testToken); !strings.Contains(s.Error, "nope") || s.Digest != before.Digest {
		t.Errorf("%+v", s)
	}
	r.write(r.file, second())
	r.settle()
	if _, s := ask(testToken); s.Error != "" || s.Digest == before.Digest {
		t.Errorf("%+v", s)
	}
}

// TestTheDigestIsOfAllThatAPipelineSays, and of nothing that differs between machines.
func TestTheDigestIsOfAllThatAPipelineSays(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"secret", "token"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("a-secret-of-some-length"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]string{}
	for _, lines := range []string{
		"", "    poll: 5m", "    poll: 10m", "    rebuild_on: {base: true}", "    rebuild_on: {base: true, interval: 2h}", "    rebuild_on: {base: true, settle: 1m}",
		"    rebuild_on: {pipeline: false}", "    rebuild_on: {base: true, token_file: " + dir + "/secret}", "    skip_ci: true", "    paths: [a/**]", "    paths: [b/**]",
		"    webhook: {forges: [github], secret_file: " + dir + "/secret}", "    webhook: {forges: [gitea], secret_file: " + dir + "/secret}",
		"    status: {forge: gitea, repository: ops/base, token_file: " + dir + "/token}", "    status: {forge: gitea, repository: ops/base, token_file: " + dir + "/token, context: x}", `    schedule: [{cron: "0 3 * * *"}]`,
	} {
		digest := load(t, item(lines)).digest()
		if was, again := seen[digest]; again {
			t.Errorf("%q has the digest of %q", lines, was)
		}
		seen[digest] = lines
		if digest != load(t, item(lines)).digest() {
			t.Errorf("%q has another digest each time", lines)
		}
	}
	other := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(other, []byte("a-secret-of-some-length"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, same := seen[load(t, item("    status: {forge: gitea, repository: ops/base, token_file: "+other+"}")).digest()]; !same {
		t.Error("the place of a token on this machine changes the digest")
	}
}

// TestRunFollowsTheFile from time to time.
func TestRunFollowsTheFile(t *testing.T) {
	file := writeFile(t, item())
	pipelines, err := LoadPipelines(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Pipelines: pipelines, Queue: &memoryQueue{}, LookInterval: 10 * time.Millisecond, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	if err := os.WriteFile(file, []byte(item("  - {name: more, repository: 'https://git.example.com/m.git', image: example.com/m}")), 0o600); err != nil {
		t.Fatal(err)
	}
	tick, late := time.NewTicker(10*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for len(p.File().Pipelines) != 2 {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the change is not seen within a minute")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestTheHeadOfANewBranchIsAskedFor when the file names another one.
func TestTheHeadOfANewBranchIsAskedFor(t *testing.T) {
	server := gittest.Start(t)
	repo := server.Repository(t, "base")
	first := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	other := repo.Commit(t, "next", map[string]string{"Dockerfile": "FROM scratch\n# next\n"})
	c := queuetest.Start(t).Client(t)
	p := running(t, builds.New(c), watched(repo.URL), zerolog.Nop())
	asked := func(commit string) func() bool {
		return func() bool {
			for _, b := range stored(t, c) {
				if b.Commit == commit {
					return true
				}
			}
			return false
		}
	}
	until(t, "the first head is asked for", asked(first))
	file := p.File().Path
	if err := os.WriteFile(file, []byte(watched(repo.URL, "    branch: next")), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Reload()
	until(t, "the other head is asked for", asked(other))
}

// TestAPipelineThatComesBackHasItsHeadLookedAt: pushes were answered in between that no pipeline builds them.
func TestAPipelineThatComesBackHasItsHeadLookedAt(t *testing.T) {
	server := gittest.Start(t)
	repo := server.Repository(t, "base")
	for name, without := range map[string]string{
		"its webhook":   strings.Replace(item(), "https://git.example.com/base.git", repo.URL, 1),
		"it":            "version: 1\npipelines: []\n",
		"its secret":    strings.Replace(watched(repo.URL), "secret_file: hook", "secret_file: other", 1),
		"its one forge": strings.Replace(watched(repo.URL), "secret_file: hook", "secret_file: hook, forges: [gogs]", 1),
	} {
		t.Run(name, func(t *testing.T) {
			repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n# " + name + "\n"})
			r := startReloading(t, writeFile(t, watched(repo.URL)))
			ctx := t.Context()
			polls := r.poller(nil)
			polls.pass(ctx)
			r.write(r.file, without)
			r.look(true)
			polls.pass(ctx)
			missed := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n# missed\n"})
			r.write(r.file, watched(repo.URL))
			r.look(true)
			polls.pass(ctx)
			if n := len(r.q.stored); r.q.stored[n-1].Commit != missed {
				t.Errorf("of %d requests the last is for %s, not for %s", n, r.q.stored[n-1].Commit, missed)
			}
		})
	}
}

// TestAFileThatCouldNotBeReadIsReadOnceItCan be, also where nothing of it but its owner changed.
func TestAFileThatCouldNotBeReadIsReadOnceItCan(t *testing.T) {
	file := writeFile(t, hooked())
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(file, long, long); err != nil {
		t.Fatal(err)
	}
	is := stampOf(file)
	unread := stamp{info: is.info, at: is.at}
	if again := unread.again(file); again.same(unread) || !again.same(is) {
		t.Error("it counts as it was")
	}
}

// TestWhatLeadsToBuildsIsAChange, too, and is said to be one.
func TestWhatLeadsToBuildsIsAChange(t *testing.T) {
	before := load(t, testFile)
	for _, line := range []string{"poll: 1h", "schedule: [{cron: 0 3 * * *}]", "rebuild_on: {base: true}", "rebuild_on: {base: true, token_file: other}"} {
		next := load(t, strings.Replace(testFile, "- name: base\n", "- name: base\n    "+line+"\n", 1))
		if added, changed, removed := next.since(before); len(added)+len(removed) > 0 || !slices.Equal(changed, []string{"base"}) {
			t.Errorf("%s: added %v, changed %v, removed %v", line, added, changed, removed)
		}
		before = next
		if added, changed, removed := load(t, testFile).since(load(t, testFile)); len(added)+len(changed)+len(removed) > 0 {
			t.Errorf("nothing: added %v, changed %v, removed %v", added, changed, removed)
		}
	}
}
