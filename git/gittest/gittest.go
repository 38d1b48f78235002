// Package gittest serves real git repositories over HTTP to tests.
package gittest

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// Server serves repositories by git's own http-backend.
type Server struct {
	URL string // of the server, without a slash at its end

	root  string
	token atomic.Pointer[string]
}

// Start starts a server that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	path := strings.TrimSpace(run(t, "", "--exec-path"))
	s := &Server{root: t.TempDir()}
	log, err := os.Create(filepath.Join(s.root, "http-backend.log")) // not this program's own: what it left would keep go test waiting
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	backend := &cgi.Handler{
		Stderr: log,
		Path:   filepath.Join(path, "git-http-backend"),
		Env:    []string{"GIT_PROJECT_ROOT=" + s.root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if want := s.token.Load(); want != nil {
			if _, got, _ := r.BasicAuth(); got != *want {
				w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// RequireToken refuses all requests that don't have token as their password from now on.
func (s *Server) RequireToken(token string) { s.token.Store(&token) }

// Repository is a repository on a Server.
type Repository struct {
	URL string // ends in .git

	work string
}

// Repository makes an empty repository called name, without .git.
func (s *Server) Repository(t testing.TB, name string) *Repository {
	t.Helper()
	bare := filepath.Join(s.root, name+".git")
	run(t, "", "init", "--quiet", "--bare", "--initial-branch=main", bare)
	r := &Repository{URL: s.URL + "/" + name + ".git", work: t.TempDir()}
	run(t, r.work, "init", "--quiet", "--initial-branch=main")
	run(t, r.work, "remote", "add", "origin", bare)
	return r
}

// Commit commits files, by path, on top of branch, pushes it and returns the commit. A file
// that begins with #! is executable.
func (r *Repository) Commit(t testing.TB, branch string, files map[string]string) string {
	t.Helper()
	if _, err := exec.Command("git", "-C", r.work, "rev-parse", "--verify", "--quiet", "refs/heads/"+branch).Output(); err == nil {
		run(t, r.work, "checkout", "--quiet", branch)
	} else {
		run(t, r.work, "checkout", "--quiet", "--orphan", branch)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(r.work, filepath.FromSlash(name))
		mode := os.FileMode(0o644)
		if strings.HasPrefix(files[name], "#!") {
			mode = 0o755
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatalf("making the folder of %s: %v", name, err)
		}
		if err := os.WriteFile(path, []byte(files[name]), mode); err != nil {
			t.Fatalf("writing %s: %v", name, err)
		}
	}
	run(t, r.work, "add", "--all")
	run(t, r.work, "-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false",
		"commit", "--quiet", "--allow-empty", "--message=change")
	run(t, r.work, "push", "--quiet", "--force", "origin", branch)
	return strings.TrimSpace(run(t, r.work, "rev-parse", "HEAD"))
}

// CommitSubmodule commits the submodule called path, of url at commit, on top of branch,
// pushes it and returns the new commit.
func (r *Repository) CommitSubmodule(t testing.TB, branch, path, url, commit string) string {
	t.Helper()
	link := fmt.Sprintf("[submodule %q]\n\tpath = %s\n\turl = %s\n", path, path, url)
	r.Commit(t, branch, map[string]string{".gitmodules": link})
	run(t, r.work, "update-index", "--add", "--cacheinfo", "160000,"+commit+","+path)
	if err := os.MkdirAll(filepath.Join(r.work, filepath.FromSlash(path)), 0o755); err != nil {
		t.Fatalf("making the folder of %s: %v", path, err)
	}
	return r.Commit(t, branch, nil)
}

// Branch has a branch of the server's repository point to a commit that it has, whatever the branch's
// name: git's own commands take odd ones for options or refs.
func (r *Repository) Branch(t testing.TB, branch, commit string) {
	t.Helper()
	run(t, r.work, "push", "--quiet", "--force", "origin", commit+":refs/heads/"+branch)
}

// Branches has many branches of the server's repository point to a commit that it has.
func (r *Repository) Branches(t testing.TB, commit string, branches ...string) {
	t.Helper()
	r.pack(t, commit+" refs/heads/%s\n", branches)
}

// Tags has many annotated tags of the server's repository be of one object and its commit.
func (r *Repository) Tags(t testing.TB, object, commit string, tags ...string) {
	t.Helper()
	r.pack(t, object+" refs/tags/%s\n^"+commit+"\n", tags)
}

// pack makes names the packed refs of the server's repository.
func (r *Repository) pack(t testing.TB, form string, names []string) {
	t.Helper()
	var refs strings.Builder
	refs.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for _, n := range slices.Sorted(slices.Values(names)) {
		fmt.Fprintf(&refs, form, n)
	}
	dir := strings.TrimSpace(run(t, r.work, "remote", "get-url", "origin"))
	if err := os.WriteFile(filepath.Join(dir, "packed-refs"), []byte(refs.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Tag has a tag of the server's repository point to a commit that it has, and returns what the tag's ref names: the
// commit, or the object of an annotated tag.
func (r *Repository) Tag(t testing.TB, tag, commit string, annotated bool) string {
	t.Helper()
	args := []string{"-c", "user.name=Test", "-c", "user.email=test@example.com", "tag", "--force"}
	if annotated {
		args = append(args, "--annotate", "--message=a release")
	}
	run(t, r.work, append(args, tag, commit)...)
	run(t, r.work, "push", "--quiet", "--force", "origin", "refs/tags/"+tag)
	return strings.TrimSpace(run(t, r.work, "rev-parse", "refs/tags/"+tag))
}

func run(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s\n(the tests need the program git)", strings.Join(args, " "), err, out)
	}
	return string(out)
}
