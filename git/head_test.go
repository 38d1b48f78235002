package git

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/freeport"
	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
)

func TestHead(t *testing.T) {
	server := gittest.Start(t)
	repo := server.Repository(t, "base")
	first := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	release := repo.Commit(t, "release/1.0", map[string]string{"Dockerfile": "FROM scratch\n# 1.0\n"})
	// A ref whose end looks like the branch that is asked for.
	repo.Commit(t, "x/refs/heads/main", map[string]string{"Dockerfile": "FROM scratch\n# other\n"})

	t.Run("the branch's commit", func(t *testing.T) {
		for branch, want := range map[string]string{"main": first, "release/1.0": release} {
			got, err := Head(t.Context(), Remote{URL: repo.URL, Branch: branch})
			if err != nil || got != want {
				t.Errorf("Head of %s: %q, %v; want %s", branch, got, err, want)
			}
		}
	})
	t.Run("it moves with a push", func(t *testing.T) {
		want := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n# 2\n"})
		got, err := Head(t.Context(), Remote{URL: repo.URL, Branch: "main"})
		if err != nil || got != want {
			t.Errorf("Head: %q, %v; want %s", got, err, want)
		}
	})

	t.Run("odd branches", func(t *testing.T) {
		for _, branch := range []string{"-x", "--upload-pack=x", "refs/heads/main", "@", "HEAD", "grün", "$(x)", strings.Repeat("long-", 40) + "x/" + strings.Repeat("y", 100)} {
			repo.Branch(t, branch, release)
			got, err := Head(t.Context(), Remote{URL: repo.URL, Branch: branch})
			if err != nil || got != release {
				t.Errorf("Head of %s: %q, %v; want %s", branch, got, err, release)
			}
		}
		if got, err := Head(t.Context(), Remote{URL: repo.URL, Branch: "main"}); err != nil || got == release {
			t.Errorf("beside them, Head of main: %q, %v", got, err)
		}
	})

	refusing, err := freeport.Of("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "on fire", http.StatusBadGateway)
	}))
	t.Cleanup(broken.Close)
	for name, c := range map[string]struct {
		remote Remote
		want   error
		say    string
	}{
		"a branch that isn't there":         {Remote{URL: repo.URL, Branch: "nope"}, ErrNoBranch, "correct the pipeline's branch"},
		"a repository that isn't there":     {Remote{URL: server.URL + "/nope.git", Branch: "main"}, ErrNoRepository, "correct the pipeline's repository"},
		"a host that refuses connections":   {Remote{URL: "http://" + refusing + "/a.git", Branch: "main"}, ErrUnreachable, "check the address"},
		"a host that answers with an error": {Remote{URL: broken.URL + "/a.git", Branch: "main"}, ErrUnreachable, "502"},
		"a host name that doesn't resolve":  {Remote{URL: "http://nowhere.invalid/a.git", Branch: "main"}, ErrUnreachable, "nowhere.invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Head(t.Context(), c.remote)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.say) {
				t.Errorf("Head: %v; want %v saying %q", err, c.want, c.say)
			}
		})
	}
}

func TestTheHeadOfATagIsItsCommit(t *testing.T) {
	repo := gittest.Start(t).Repository(t, "base")
	commit := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	other := repo.Commit(t, "v1", map[string]string{"Dockerfile": "FROM scratch\n# a branch of a tag's name\n"})
	repo.Tag(t, "x/refs/tags/v1", other, true) // whose end looks like the tag that is asked for
	for name, annotated := range map[string]bool{"v1": false, "v2": true, "release/-x": true} {
		object := repo.Tag(t, name, commit, annotated)
		if (object != commit) != annotated {
			t.Fatalf("%s is an object of its own: %v", name, !annotated)
		}
		head, named, err := TagHead(t.Context(), Remote{URL: repo.URL, Branch: "main", Tag: name})
		if err != nil || head != commit || named != object {
			t.Errorf("%s: commit %q, object %q, %v; want %s and %s", name, head, named, err, commit, object)
		}
		if head, err := Head(t.Context(), Remote{URL: repo.URL, Tag: name}); err != nil || head != commit {
			t.Errorf("Head of %s: %q, %v", name, head, err)
		}
	}
	if _, err := Head(t.Context(), Remote{URL: repo.URL, Tag: "v3"}); !errors.Is(err, ErrNoTag) || !strings.Contains(err.Error(), "looking up tag v3") {
		t.Errorf("a tag that isn't there: %v", err)
	}
	if _, err := Head(t.Context(), Remote{URL: repo.URL, Tag: "a b"}); err == nil || !strings.Contains(err.Error(), "tag:") {
		t.Errorf("what no tag can be called: %v", err)
	}
}

func TestHeadRefusesWhatItWouldHaveToRun(t *testing.T) {
	for name, r := range map[string]Remote{
		"a transport that runs a program": {URL: "ext::sh -c touch% /tmp/x", Branch: "main"},
		"a transport that runs ssh":       {URL: "ssh://git@git.example.com/a.git", Branch: "main"},
		"a local path":                    {URL: "/etc/base.git", Branch: "main"},
		"an option as URL":                {URL: "--upload-pack=x.git", Branch: "main"},
		"an option as branch":             {URL: "https://git.example.com/a.git", Branch: "--upload-pack=x"},
		"a password in the URL":           {URL: "https://me:hunter2@git.example.com/a.git", Branch: "main"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Head(t.Context(), r)
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("Head: %v; want an error without the password", err)
			}
		})
	}
}

func TestHeadToken(t *testing.T) {
	const token = "s3cr3t-token"
	server := gittest.Start(t)
	repo := server.Repository(t, "private")
	want := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	server.RequireToken(token)

	got, err := Head(t.Context(), Remote{URL: repo.URL, Branch: "main", Token: messages.NewSecret(token)})
	if err != nil || got != want {
		t.Errorf("with the right token: %q, %v; want %s", got, err, want)
	}
	_, err = Head(t.Context(), Remote{URL: repo.URL, Branch: "main"})
	if !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "name a token") {
		t.Errorf("with no token: %v; want ErrDenied", err)
	}
	_, err = Head(t.Context(), Remote{URL: repo.URL, Branch: "main", Token: messages.NewSecret("wrong-token")})
	if !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "check the token") || strings.Contains(err.Error(), "wrong-token") {
		t.Errorf("with a wrong token: %v; want ErrDenied without the token", err)
	}
}

// TestTokenStaysWithItsHost redirects to a host that serves the very repository and remembers
// who showed it a credential.
func TestTokenStaysWithItsHost(t *testing.T) {
	const token = "s3cr3t-token"
	server := gittest.Start(t)
	repo := server.Repository(t, "moved")
	repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	there, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	var shown atomic.Bool
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		if r.In.Header.Get("Authorization") != "" {
			shown.Store(true)
		}
		r.SetURL(there)
	}}
	elsewhere := httptest.NewServer(proxy)
	t.Cleanup(elsewhere.Close)
	for status, want := range map[int]error{301: ErrNoRepository, 302: ErrUnreachable, 307: ErrUnreachable, 308: ErrNoRepository} {
		t.Run(fmt.Sprintf("status %d", status), func(t *testing.T) {
			first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, elsewhere.URL+r.URL.String(), status)
			}))
			t.Cleanup(first.Close)
			_, err := Head(t.Context(), Remote{URL: first.URL + "/moved.git", Branch: "main", Token: messages.NewSecret(token)})
			if !errors.Is(err, want) || !strings.Contains(err.Error(), "its host redirects") {
				t.Errorf("Head: %v; want %v that tells of the redirect", err, want)
			}
		})
	}
	if shown.Load() {
		t.Error("the token was sent to another host")
	}
}

func TestOutputKeepsTheBeginningAlone(t *testing.T) {
	var o output
	half := strings.Repeat("a", maxOutput/2+1)
	for range 3 { // as os/exec does
		if n, err := io.Copy(&o, struct{ io.Reader }{strings.NewReader(half)}); n != int64(len(half)) || err != nil {
			t.Fatalf("Copy: %d, %v; want %d: git must not see a short write", n, err, len(half))
		}
	}
	if len(o.kept) != maxOutput {
		t.Errorf("%d bytes are kept; want %d", len(o.kept), maxOutput)
	}
}

func TestTokenIsHiddenInWhatGitSays(t *testing.T) {
	r := Remote{Token: messages.NewSecret("s3cr3t")}
	encoded := base64.StdEncoding.EncodeToString([]byte("x-access-token:s3cr3t"))
	said := r.hide("header Basic " + encoded + " and s3cr3t")
	if strings.Contains(said, "s3cr3t") || strings.Contains(said, encoded) {
		t.Errorf("hide: %q still has the token", said)
	}
}

func TestEnvironmentDropsWhatWouldRedirectGit(t *testing.T) {
	env := (&way{Remote: Remote{URL: "https://git.example.com/a.git"}}).environment([]string{
		"PATH=/bin", "GIT_DIR=/elsewhere", "GIT_TRACE_CURL=1", "GIT_CONFIG_PARAMETERS='x'", "GIT_SSL_CAINFO=/ca.pem", "GIT_SSH_COMMAND=/bin/x",
	})
	joined := "\n" + strings.Join(env, "\n") + "\n"
	for _, gone := range []string{"GIT_DIR", "GIT_TRACE_CURL", "GIT_CONFIG_PARAMETERS", "GIT_SSH_COMMAND"} {
		if strings.Contains(joined, "\n"+gone+"=") {
			t.Errorf("%s reaches git", gone)
		}
	}
	for _, kept := range []string{"PATH=/bin", "GIT_SSL_CAINFO=/ca.pem", "GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=https:http:git"} {
		if !strings.Contains(joined, "\n"+kept+"\n") {
			t.Errorf("%s does not reach git", kept)
		}
	}
}

func TestHeadEndsWithItsContext(t *testing.T) {
	asked := make(chan struct{}, 1)
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(hanging.Close)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	start := time.Now()
	_, err := Head(ctx, Remote{URL: hanging.URL + "/a.git", Branch: "main"})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Head: %v; want context.Canceled", err)
	}
	if took := time.Since(start); took > Timeout-5*time.Second {
		t.Errorf("Head took %v to end with its context", took)
	}
}
