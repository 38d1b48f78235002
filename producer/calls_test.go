package producer

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
	"github.com/rs/zerolog"
)

func callRequest(token, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/v1/builds", strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

func TestCalls(t *testing.T) {
	for name, c := range map[string]struct {
		token, body string
		status      int
		say         string
	}{
		"a commit":               {testToken, `{"pipeline":"base","commit":"` + testCommit + `","requested_by":"ada"}`, 202, ""},
		"an uploaded context":    {testToken, `{"pipeline":"base","context":"base-abc"}`, 202, ""},
		"no token":               {"", `{"pipeline":"base"}`, 401, "Bearer"},
		"a wrong token":          {"guess", `{"pipeline":"base"}`, 401, "wrong"},
		"an unknown pipeline":    {testToken, `{"pipeline":"bass"}`, 404, `did you mean "base"?`},
		"no pipeline":            {testToken, `{}`, 400, "pipeline:"},
		"an unknown field":       {testToken, `{"pipeline":"base","comit":"x"}`, 400, `unknown field "comit"`},
		"a field of wrong type":  {testToken, `{"pipeline":5}`, 400, "pipeline:"},
		"a short commit":         {testToken, `{"pipeline":"base","commit":"abc"}`, 400, "commit:"},
		"a commit and a context": {testToken, `{"pipeline":"base","commit":"` + testCommit + `","context":"c"}`, 400, "both"},
		"something after":        {testToken, `{"pipeline":"base"} {}`, 400, "after"},
		"not JSON":               {testToken, `base`, 400, "not a JSON object"},
		"huge":                   {testToken, strings.Repeat(" ", maxCallBytes+1), 413, "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			q := &memoryQueue{}
			status, a, _ := serve(newProducer(t, q, zerolog.Nop()), callRequest(c.token, c.body))
			if status != c.status || !strings.Contains(a.Error, c.say) {
				t.Errorf("status %d, %+v; want %d saying %q", status, a, c.status, c.say)
			}
			if stored := len(q.pipelines()); (status == 202) != (stored == 1) {
				t.Errorf("status %d with %d stored", status, stored)
			}
		})
	}
	compressed := callRequest(testToken, `{"pipeline":"base"}`)
	compressed.Header.Set("Content-Encoding", "gzip")
	if status, a, _ := serve(newProducer(t, &memoryQueue{}, zerolog.Nop()), compressed); status != http.StatusUnsupportedMediaType || !strings.Contains(a.Error, "Content-Encoding gzip") {
		t.Errorf("compressed: status %d, %+v", status, a)
	}
}

func TestCallsWithoutACommitBuildTheHeadOfTheBranch(t *testing.T) {
	server := gittest.Start(t)
	repo := server.Repository(t, "base")
	want := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	server.RequireToken("repo-token")
	file := strings.NewReplacer("https://git.example.com/ops/base.git", repo.URL).Replace(testFile)
	file = strings.Replace(file, "image: registry.example.com/exampleco/base\n", "image: registry.example.com/exampleco/base\n    repository_token: reader\n", 1)
	q := &memoryQueue{}
	p, err := New(Config{Pipelines: load(t, file), Queue: q, Tokens: []Token{{Name: "ci", Secret: messages.NewSecret(testToken)}}, SecretsDir: t.TempDir(), Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if status, a, _ := serve(p, callRequest(testToken, `{"pipeline":"base"}`)); status != 422 || !strings.Contains(a.Error, "repository_token") {
		t.Errorf("without the token's file: status %d, %+v", status, a)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("reader", []byte("repo-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bare, err := New(Config{Pipelines: load(t, file), Queue: q, Tokens: []Token{{Name: "ci", Secret: messages.NewSecret(testToken)}}, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if status, a, _ := serve(bare, callRequest(testToken, `{"pipeline":"base"}`)); status != 422 || !strings.Contains(a.Error, "(secrets-dir)") {
		t.Errorf("without a folder of secrets: status %d, %+v", status, a)
	}
	if err := os.WriteFile(filepath.Join(p.secretsDir, "reader"), []byte("repo-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, a, _ := serve(p, callRequest(testToken, `{"pipeline":"base"}`))
	if status != 202 || q.stored[0].Commit != want || q.stored[0].Ref != "refs/heads/main" || q.stored[0].Cause != messages.CausePerson {
		t.Errorf("status %d, %+v; want commit %s", status, a, want)
	}
	if status, a, _ := serve(p, callRequest(testToken, `{"pipeline":"base-staging"}`)); status != 422 || !strings.Contains(a.Error, "denied") {
		t.Errorf("a private repository without a token: status %d, %+v", status, a)
	}
}

func TestCallsAreOffWithoutAToken(t *testing.T) {
	p, err := New(Config{Pipelines: load(t, testFile), Queue: &memoryQueue{}})
	if err != nil {
		t.Fatal(err)
	}
	if status, a, _ := serve(p, callRequest("", `{"pipeline":"base"}`)); status != 403 {
		t.Errorf("status %d, %+v", status, a)
	}
}

func TestHealth(t *testing.T) {
	q := &memoryQueue{ready: errors.New("NATS at nats://x does not answer: start it")}
	p := newProducer(t, q, zerolog.Nop())
	get := func(path string) (int, health) {
		w := httptest.NewRecorder()
		p.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		var h health
		_ = json.Unmarshal(w.Body.Bytes(), &h)
		return w.Code, h
	}
	if status, h := get("/healthz"); status != 200 || !h.OK {
		t.Errorf("healthz: %d %+v", status, h)
	}
	if status, h := get("/readyz"); status != 503 || !strings.Contains(h.Problem, "does not answer") {
		t.Errorf("readyz with NATS gone: %d %+v", status, h)
	}
	q.ready = nil
	if status, h := get("/readyz"); status != 200 || !h.OK {
		t.Errorf("readyz: %d %+v", status, h)
	}
}
