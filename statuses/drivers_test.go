package statuses

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/statuses/target"
)

const sampleCommit = "0123456789abcdef0123456789abcdef01234567"

// TestEachForgeIsToldByItsOwnAPI has what each forge is asked, as its documentation has it, with the answers from there.
func TestEachForgeIsToldByItsOwnAPI(t *testing.T) {
	for name, test := range map[string]struct {
		forge  target.Forge
		repo   string
		token  string
		answer string
		asked  asked // but its host
		query  url.Values
	}{
		"GitHub Enterprise Server": {
			target.GitHub, "ops/base", testToken,
			`{"url":"https://api.github.com/repos/octocat/example/statuses/1","id":1,"state":"success","description":"Build has completed successfully","target_url":"https://ci.example.com/1000/output","context":"continuous-integration/jenkins","created_at":"2012-07-20T01:19:13Z"}`,
			asked{"POST", "/api/v3/repos/ops/base/statuses/" + sampleCommit, "", "Bearer " + testToken, "application/json", map[string]any{
				"state": "error", "context": "fenceline/base", "description": "cancelled by ann", "target_url": "https://console.example.com/base-1",
				"created_at": "0001-01-01T00:00:00Z", "updated_at": "0001-01-01T00:00:00Z", // of go-scm; GitHub ignores them
			}}, nil,
		},
		"GitLab, in a group of a group": {
			target.GitLab, "ops/images/base", testToken,
			`{"author":{"username":"thedude","id":28},"name":"default","sha":"18f3e63d05582537db6d183d9d557be09e1f90c8","status":"success","id":93,"target_url":null,"description":null,"created_at":"2016-01-19T09:05:50.355Z","allow_failure":false,"ref":"main"}`,
			asked{"POST", "/api/v4/projects/ops%2Fimages%2Fbase/statuses/" + sampleCommit, "", "Bearer " + testToken, "", nil},
			url.Values{"state": {"canceled"}, "name": {"fenceline/base"}, "description": {"cancelled by ann"}, "target_url": {"https://console.example.com/base-1"}, "ref": {"main"}},
		},
		"Gitea": {
			target.Gitea, "ops/base", testToken,
			`{"id":1,"status":"error","target_url":"","description":"","url":"","context":"x","creator":{"id":1},"created_at":"2024-01-01T00:00:00Z","updated_at":"2024-01-01T00:00:00Z"}`,
			asked{"POST", "/api/v1/repos/ops/base/statuses/" + sampleCommit, "", "token " + testToken, "application/json", map[string]any{
				"state": "error", "context": "fenceline/base", "description": "cancelled by ann", "target_url": "https://console.example.com/base-1",
			}}, nil,
		},
		"Forgejo": {
			target.Forgejo, "ops/base", testToken, `{"id":1,"status":"error"}`,
			asked{"POST", "/api/v1/repos/ops/base/statuses/" + sampleCommit, "", "token " + testToken, "application/json", map[string]any{
				"state": "error", "context": "fenceline/base", "description": "cancelled by ann", "target_url": "https://console.example.com/base-1",
			}}, nil,
		},
		"Bitbucket Cloud": {
			target.Bitbucket, "ops/base", testToken,
			`{"key":"BB-DEPLOY","description":"Deployments","repository":{"type":"repository","full_name":"tk/test"},"url":"https://deploy.example.com","type":"build","state":"STOPPED","name":"x"}`,
			asked{"POST", "/2.0/repositories/ops/base/commit/" + sampleCommit + "/statuses/build", "", "Bearer " + testToken, "application/json", map[string]any{
				"state": "STOPPED", "key": "fenceline/base", "name": "fenceline/base", "description": "cancelled by ann", "url": "https://console.example.com/base-1",
			}}, nil,
		},
		"Bitbucket Cloud, a token of a user": {
			target.Bitbucket, "ops/base", "ann@example.com:secret-of-ann", `{}`,
			asked{"POST", "/2.0/repositories/ops/base/commit/" + sampleCommit + "/statuses/build", "", "Basic YW5uQGV4YW1wbGUuY29tOnNlY3JldC1vZi1hbm4=", "application/json", map[string]any{
				"state": "STOPPED", "key": "fenceline/base", "name": "fenceline/base", "description": "cancelled by ann", "url": "https://console.example.com/base-1",
			}}, nil,
		},
		"Bitbucket Data Center": {
			target.BitbucketServer, "OPS/base", testToken, "",
			asked{"POST", "/rest/build-status/1.0/commits/" + sampleCommit, "", "Bearer " + testToken, "application/json", map[string]any{
				"state": "FAILED", "key": "fenceline/base", "name": "fenceline/base", "description": "cancelled by ann", "url": "https://console.example.com/base-1",
			}}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStandIn(t)
			s.reply = test.answer
			x := filled(t, target.Target{
				Pipeline: "base", Forge: test.forge, URL: s.URL, Repository: test.repo, TokenFile: "x", TargetURL: "https://console.example.com/{build}",
			})
			c, err := newClient(x, messages.NewSecret(test.token), http.DefaultTransport)
			must(t, err)
			must(t, c.tell(t.Context(), said{
				commit: sampleCommit, branch: "main", state: stateOf(Cancelled), context: x.Context, text: "cancelled by ann", leads: x.Leads("base", "base-1", sampleCommit),
			}))
			got := s.all()[0]
			if q, err := url.ParseQuery(got.query); err != nil || len(q)+len(test.query) > 0 && !reflect.DeepEqual(q, test.query) {
				t.Errorf("the query is %v, %v, not %v", q, err, test.query)
			}
			got.query = ""
			if !reflect.DeepEqual(got, test.asked) {
				t.Errorf("it is asked\n%+v, not\n%+v", got, test.asked)
			}
		})
	}
}

// TestStatesOfForges holds the table of docs/statuses.md.
func TestStatesOfForges(t *testing.T) {
	want := map[State][4]string{ // GitHub and Gitea, GitLab, Bitbucket, Bitbucket Data Center
		Queued: {"pending", "pending", "INPROGRESS", "INPROGRESS"}, Building: {"pending", "running", "INPROGRESS", "INPROGRESS"},
		Waiting: {"pending", "running", "INPROGRESS", "INPROGRESS"}, Preloading: {"pending", "running", "INPROGRESS", "INPROGRESS"},
		Approval: {"pending", "running", "INPROGRESS", "INPROGRESS"}, Held: {"pending", "running", "INPROGRESS", "INPROGRESS"},
		Soaking: {"pending", "running", "INPROGRESS", "INPROGRESS"},
		Ready:   {"success", "success", "SUCCESSFUL", "SUCCESSFUL"}, Live: {"success", "success", "SUCCESSFUL", "SUCCESSFUL"},
		Refused: {"failure", "failed", "FAILED", "FAILED"}, Failed: {"failure", "failed", "FAILED", "FAILED"},
		Unusable: {"failure", "failed", "FAILED", "FAILED"}, RolledBack: {"failure", "failed", "FAILED", "FAILED"},
		Broken:    {"error", "failed", "FAILED", "FAILED"},
		Cancelled: {"error", "canceled", "STOPPED", "FAILED"}, Superseded: {"error", "canceled", "STOPPED", "FAILED"}, Aborted: {"error", "canceled", "STOPPED", "FAILED"},
	}
	s := newStandIn(t)
	for state, words := range want {
		for i, f := range []target.Forge{target.GitHub, target.GitLab, target.Bitbucket, target.BitbucketServer, target.Gitea, target.Forgejo} {
			x := filled(t, target.Target{Pipeline: "base", Forge: f, URL: s.URL, Repository: "ops/base", TokenFile: "x"})
			c, err := newClient(x, messages.NewSecret(testToken), http.DefaultTransport)
			must(t, err)
			must(t, c.tell(t.Context(), said{commit: sampleCommit, state: stateOf(state), context: x.Context, text: "x", leads: x.Leads("base", "b", sampleCommit)}))
			all := s.all()
			got := all[len(all)-1]
			word, _ := got.body["state"].(string)
			if f == target.GitLab {
				q, _ := url.ParseQuery(got.query)
				word = q.Get("state")
			}
			if i >= 4 {
				i = 0 // as GitHub
			}
			if word != words[i] {
				t.Errorf("%s at %s is %q, not %q", state, f, word, words[i])
			}
			if want := f == target.Bitbucket || f == target.BitbucketServer; want && !strings.Contains(got.body["url"].(string), "/commits/"+sampleCommit) {
				t.Errorf("%s takes no status without a link, and gets %v", f, got.body)
			}
		}
	}
}

// TestTheTokenIsNowhere: not in what is printed of a client, or of a refusal that repeats it.
func TestTheTokenIsNowhere(t *testing.T) {
	s := newStandIn(t)
	s.answers(func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": "no: " + r.Header.Get("Authorization") + "\x1b[31m"})
		return true
	})
	for _, f := range target.Forges() {
		for _, token := range []string{testToken, "ann:" + testToken} {
			x := filled(t, target.Target{Pipeline: "base", Forge: f, URL: s.URL, Repository: "ops/base", TokenFile: "x"})
			c, err := newClient(x, messages.NewSecret(token), http.DefaultTransport)
			must(t, err)
			err = c.tell(t.Context(), said{commit: sampleCommit, state: stateOf(Live), context: "x", text: "x", leads: "https://x"})
			if text := explain(x, err).Error(); !strings.Contains(text, "403 Forbidden: no: ") || strings.Contains(text, testToken) || strings.Contains(text, "\x1b") ||
				strings.Contains(text, "YW5u") {
				t.Errorf("%s: it says %q", f, text)
			}
		}
	}
}
