package statuses

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/statuses/target"
)

// TestRefusalsAreExplained has what forges say where they refuse, as they do, and what is said of it.
func TestRefusalsAreExplained(t *testing.T) {
	for name, test := range map[string]struct {
		forge  target.Forge
		status int
		header http.Header
		body   string
		says   []string
		limit  bool
		away   time.Duration // at least
	}{
		"GitHub, a token that it doesn't know": {target.GitHub, 401, nil, `{"message":"Bad credentials","documentation_url":"https://docs.github.com/rest","status":"401"}`,
			[]string{"Bad credentials", "repo:status", "token_file-of-test"}, false, 0},
		"GitHub, a token without the right": {target.GitHub, 403, nil, `{"message":"Resource not accessible by personal access token","documentation_url":"https://docs.github.com/rest/commits/statuses#create-a-commit-status","status":"403"}`,
			[]string{"Resource not accessible", "may not write statuses", "Commit statuses"}, false, 0},
		"GitHub, its limit": {target.GitHub, 403, http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"4102444800"}}, `{"message":"API rate limit exceeded for user ID 1."}`,
			[]string{"asked too often"}, true, time.Hour},
		"GitHub, its secondary limit": {target.GitHub, 403, http.Header{"Retry-After": {"60"}}, `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}`,
			[]string{"secondary rate limit"}, true, time.Minute},
		"GitHub, a commit that it doesn't have": {target.GitHub, 422, nil, `{"message":"No commit found for SHA: 0123","documentation_url":"https://docs.github.com","status":"422"}`,
			[]string{"422", "No commit found for SHA"}, false, 0},
		"GitLab, a token without the scope": {target.GitLab, 403, nil, `{"error":"insufficient_scope","error_description":"The request requires higher privileges than provided by the access token.","scope":"api"}`,
			[]string{"insufficient_scope", "scope api"}, false, 0},
		"GitLab, a project that it doesn't show": {target.GitLab, 404, nil, `{"message":"404 Project Not Found"}`, []string{"404 Project Not Found", "shows them not"}, false, 0},
		"GitLab, its limit":                      {target.GitLab, 429, http.Header{"Retry-After": {"30"}}, "Retry later\n", []string{"Retry later"}, true, 30 * time.Second},
		"GitLab, fields that are wrong":          {target.GitLab, 400, nil, `{"message":{"target_url":["is blocked"]}}`, []string{`{"target_url":["is blocked"]}`}, false, 0},
		"Gitea, a token without the scope": {target.Gitea, 403, nil, `{"message":"token does not have at least one of required scope(s), required=[write:repository], token scope=read:repository","url":"https://git.example.com/api/swagger"}`,
			[]string{"required=[write:repository]"}, false, 0},
		"Bitbucket, a token without the scope": {target.Bitbucket, 403, nil, `{"type":"error","error":{"message":"Your credentials lack one or more required privilege scopes.","detail":{"required":["repository"]}}}`,
			[]string{"lack one or more required privilege scopes"}, false, 0},
		"Bitbucket Data Center, a token that it doesn't know": {target.BitbucketServer, 401, nil, `{"errors":[{"context":null,"message":"Authentication failed. Please check your credentials and try again.","exceptionName":"com.atlassian.bitbucket.auth.IncorrectPasswordAuthenticationException"}]}`,
			[]string{"Authentication failed"}, false, 0},
		"a page of a proxy": {target.Gitea, 502, nil, "<html><title>502</title></html>", []string{"502 Bad Gateway: look at"}, false, 0},
		"another host":      {target.Gitea, 307, http.Header{"Location": {"https://evil.example.com/api"}}, "", []string{"redirects to evil.example.com", "give as url"}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStandIn(t)
			s.answers(func(w http.ResponseWriter, _ *http.Request) bool {
				for k, v := range test.header {
					w.Header()[k] = v
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
				return true
			})
			x := filled(t, target.Target{Pipeline: "base", Forge: test.forge, URL: s.URL, Repository: "ops/base", TokenFile: "token_file-of-test"})
			c, err := newClient(x, messages.NewSecret(testToken), http.DefaultTransport)
			must(t, err)
			err = c.tell(t.Context(), said{commit: sampleCommit, state: stateOf(Live), context: "x", text: "x", leads: "https://x"})
			text := explain(x, err).Error()
			for _, want := range test.says {
				if !strings.Contains(text, want) {
					t.Errorf("it says %q, without %q", text, want)
				}
			}
			var r *refusal
			if !as(err, &r) || r.limit != test.limit || r.away < test.away {
				t.Errorf("it is %+v", r)
			}
		})
	}
}

// TestOneCommitKeepsNoOtherWaiting has a forge that answers 500 for a commit that it doesn't have, as Gitea does, and one
// that doesn't show a commit yet.
func TestOneCommitKeepsNoOtherWaiting(t *testing.T) {
	_, as := installation(t)
	forge := newStandIn(t)
	var missing atomic.Bool
	missing.Store(true)
	forge.answers(func(w http.ResponseWriter, r *http.Request) bool {
		if status := map[string]int{buildstest.Commit(1): 500, buildstest.Commit(2): 404}[filepath.Base(r.URL.Path)]; status != 0 && missing.Load() {
			w.WriteHeader(status)
			return true
		}
		return false
	})
	work(t, as("statuses"), giteaTarget(t, forge))
	for n := 1; n < 4; n++ {
		buildstest.Submit(t, as("producer"), buildstest.Request("base", n))
	}
	forge.last(t, buildstest.Commit(3), "pending queued")
	missing.Store(false)
	forge.last(t, buildstest.Commit(1), "pending queued")
	forge.last(t, buildstest.Commit(2), "pending queued")
}

// TestWhatAForgeNeverTakesIsGivenUp: it is written down, and nothing waits for it.
func TestWhatAForgeNeverTakesIsGivenUp(t *testing.T) {
	_, as := installation(t)
	forge := newStandIn(t)
	forge.answers(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write([]byte(`{"message":"No commit found"}`))
		return true
	})
	work(t, as("statuses"), giteaTarget(t, forge))
	buildstest.Submit(t, as("producer"), buildstest.Request("base", 1))
	eventually(t, "it is written down", func() bool {
		e, err := store.ForgeStatuses(as("operator")).Get(within(t), messages.ForgeStatusKey("base", buildstest.Commit(1)))
		return err == nil && strings.Contains(e.Value.Refused, "No commit found")
	})
	settled(t, as("admin"))
}

// TestGitLabTakesNoSecondStatusOfAState: it answers 400 to another text of the same state, which is no trouble.
func TestGitLabTakesNoSecondStatusOfAState(t *testing.T) {
	_, as := installation(t)
	forge := newStandIn(t)
	forge.answers(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"message":"Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via \"enqueue\")"}`))
		return true
	})
	work(t, as("statuses"), filled(t, target.Target{Pipeline: "base", Forge: target.GitLab, URL: forge.URL, TokenFile: tokenFile(t, testToken)}))
	buildstest.Submit(t, as("producer"), buildstest.Request("base", 1))
	eventually(t, "it counts as told", func() bool {
		e, err := store.ForgeStatuses(as("operator")).Get(within(t), messages.ForgeStatusKey("base", buildstest.Commit(1)))
		return err == nil && e.Value.Refused == "" && e.Value.State == "queued"
	})
	settled(t, as("admin"))
}

// TestTheTokenGoesToOneHost: a redirect to another one is not followed.
func TestTheTokenGoesToOneHost(t *testing.T) {
	other := newStandIn(t)
	s := newStandIn(t)
	s.answers(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
		return true
	})
	for _, f := range target.Forges() {
		x := filled(t, target.Target{Pipeline: "base", Forge: f, URL: s.URL, Repository: "ops/base", TokenFile: "x"})
		c, err := newClient(x, messages.NewSecret(testToken), http.DefaultTransport)
		must(t, err)
		if err := c.tell(t.Context(), said{commit: sampleCommit, state: stateOf(Live), context: "x", text: "x", leads: "https://x"}); err == nil {
			t.Errorf("%s: it is told", f)
		}
	}
	if got := other.all(); len(got) > 0 {
		t.Errorf("the other host was sent %+v", got)
	}
}

// TestACertificateAuthorityOfItsOwn: a forge's is refused, with the fix, until it is named.
func TestACertificateAuthorityOfItsOwn(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"id":1,"name":"base","owner":{"login":"ops"},"permissions":{"push":true,"pull":true}}`))
	}))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = nil
	x := filled(t, target.Target{Pipeline: "base", Forge: target.Gitea, URL: s.URL, TokenFile: tokenFile(t, testToken)})
	if _, err := Check(t.Context(), x); err == nil || !strings.Contains(err.Error(), "ca_file") {
		t.Errorf("it says %v", err)
	}
	x.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(x.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	if found, err := Check(t.Context(), x); err != nil || !strings.Contains(found, "may write statuses") {
		t.Errorf("it says %q, %v", found, err)
	}
	elsewhere := x
	elsewhere.URL = strings.Replace(x.URL, "127.0.0.1", "localhost", 1)
	if _, err := Check(t.Context(), elsewhere); err == nil || strings.Contains(err.Error(), "ca_file") || !strings.Contains(err.Error(), "localhost") {
		t.Errorf("of a certificate for another name it says %v", err)
	}
	must(t, os.WriteFile(x.CAFile, []byte("no certificate"), 0o600))
	if _, err := Check(t.Context(), x); err == nil || !strings.Contains(err.Error(), x.CAFile) {
		t.Errorf("it says %v", err)
	}
}

// TestWhatCheckSees has each forge's answer about a repository, with and without the right to push.
func TestWhatCheckSees(t *testing.T) {
	s := newStandIn(t)
	for name, test := range map[string]struct {
		forge  target.Forge
		answer string
		says   string
		ok     bool
	}{
		"GitHub":                   {target.GitHub, `{"id":1,"name":"base","owner":{"login":"ops"},"permissions":{"admin":false,"push":true,"pull":true}}`, "may write", true},
		"GitHub, to read":          {target.GitHub, `{"id":1,"name":"base","owner":{"login":"ops"},"permissions":{"push":false,"pull":true}}`, "repo:status", false},
		"GitHub, archived":         {target.GitHub, `{"id":1,"name":"base","archived":true,"owner":{"login":"ops"},"permissions":{"push":true}}`, "archived", false},
		"GitLab, a developer":      {target.GitLab, `{"id":1,"path":"base","path_with_namespace":"ops/base","permissions":{"project_access":{"access_level":30},"group_access":null}}`, "may write", true},
		"GitLab, a reporter":       {target.GitLab, `{"id":1,"path":"base","path_with_namespace":"ops/base","permissions":{"project_access":{"access_level":20},"group_access":null}}`, "Developer", false},
		"Forgejo, to read":         {target.Forgejo, `{"id":1,"name":"base","owner":{"login":"ops"},"permissions":{"push":false,"pull":true}}`, "write:repository", false},
		"Bitbucket":                {target.Bitbucket, `{"uuid":"{1}","full_name":"ops/base","mainbranch":{"name":"main"}}`, "first one", true},
		"Bitbucket Data Center":    {target.BitbucketServer, `{"slug":"base","name":"base","project":{"key":"OPS"},"displayId":"main"}`, "first one", true},
		"an answer that is no API": {target.Gitea, `<html>`, "invalid character", false},
	} {
		t.Run(name, func(t *testing.T) {
			s.answers(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet {
					t.Errorf("it is asked %s %s", r.Method, r.URL)
				}
				_, _ = w.Write([]byte(test.answer))
				return true
			})
			x := filled(t, target.Target{Pipeline: "base", Forge: test.forge, URL: s.URL, Repository: "ops/base", TokenFile: tokenFile(t, testToken)})
			found, err := Check(t.Context(), x)
			text := found
			if err != nil {
				text = err.Error()
			}
			if (err == nil) != test.ok || !strings.Contains(text, test.says) {
				t.Errorf("it says %q", text)
			}
		})
	}
}

// TestNothingIsLeftOfAPipelineWithoutStatuses: what kept them from the forge is no problem any more, as `status` shows it.
func TestNothingIsLeftOfAPipelineWithoutStatuses(t *testing.T) {
	_, as := installation(t)
	problems := store.ForgeProblems(as("statuses"))
	for _, pipeline := range []string{"base", "without"} {
		_, err := problems.Create(within(t), messages.ForgeProblemKey(pipeline), messages.ForgeProblem{Pipeline: pipeline, Problem: "401 Unauthorized"})
		must(t, err)
	}
	work(t, as("statuses"), giteaTarget(t, newStandIn(t)))
	eventually(t, "that of the pipeline that goes nowhere is gone", func() bool {
		all, err := store.ForgeProblems(as("operator")).List(within(t))
		return err == nil && len(all) == 1 && all[0].Value.Pipeline == "base"
	})
}
