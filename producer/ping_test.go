package producer

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// TestPingsTellWhatBecomesOfAPush: who sets a webhook up looks at the answer of the ping.
func TestPingsTellWhatBecomesOfAPush(t *testing.T) {
	const ours = `"repository":{"clone_url":"` + baseURL + `","default_branch":"main"}`
	for name, c := range map[string]struct {
		secret, body string
		status       int
		say          string
		built        bool
		wrong        string // the field that says so
	}{
		"everything in order":            {testSecret, `{"hook":{"events":["push"]},` + ours + `}`, 200, "would be taken, of branch main for pipeline base, branch main for pipeline base-staging", true, ""},
		"of an organisation":             {testSecret, `{"hook":{"config":{"content_type":"json"}}}`, 200, "would be taken", true, ""},
		"all events":                     {testSecret, `{"hook":{"events":["*"]}}`, 200, "would be taken", true, ""},
		"other events alone":             {testSecret, `{"hook":{"events":["issues","star"]},` + ours + `}`, 200, "pushes are not sent: select the push event", false, "events"},
		"of a repository nobody has":     {testSecret, `{"hook":{"events":["push"]},"repository":{"clone_url":"https://git.example.com/a/b.git"}}`, 200, `a push would be ignored: no pipeline of this webhook's secret builds this repository, "git.example.com/a/b"`, false, "repository"},
		"wrong in two":                   {testSecret, `{"hook":{"events":["star"]},"repository":{"clone_url":"https://git.example.com/a/b.git"}}`, 200, `select the push event in the webhook's settings; no pipeline`, false, "repository"},
		"of another secret's pipeline":   {testOther, `{` + ours + `}`, 200, "a push would be ignored", false, "repository"},
		"a default branch nobody builds": {testSecret, `{"repository":{"clone_url":"` + baseURL + `","default_branch":"master"}}`, 200, `of the repository's default branch, "master", none is`, true, ""},
		"no JSON":                        {testSecret, `hello`, 400, "not a JSON payload", false, ""},
		"wrongly signed":                 {"guess", `{}`, 401, "does not match", false, ""},
	} {
		for _, form := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				body, kind := c.body, "application/json"
				if form {
					body, kind = url.Values{"payload": {c.body}}.Encode(), "application/x-www-form-urlencoded"
				}
				r := senders()[0].with("X-GitHub-Event", "ping").hook(c.secret, body)
				r.Header.Set("Content-Type", kind)
				status, a, _ := serve(newProducer(t, &memoryQueue{}, zerolog.Nop()), r)
				if status != c.status || !strings.Contains(a.Error+a.Ignored, c.say) {
					t.Errorf("status %d, %+v; want %d saying %q", status, a, c.status, c.say)
				}
				if status != http.StatusOK {
					return
				}
				said := map[string]string{"events": a.Ping.Events, "repository": a.Ping.Repository}
				if a.Ping.Built != c.built || c.wrong != "" && !strings.HasPrefix(said[c.wrong], "wrong: ") || !strings.HasPrefix(a.Ping.Secret, "right: it is that of pipeline") || !strings.HasPrefix(a.Ping.ContentType, "right") {
					t.Errorf("%+v", a.Ping)
				}
			})
		}
	}
}

// TestAPingSaysWhichPushesAreNotBuilt of a branch that is.
func TestAPingSaysWhichPushesAreNotBuilt(t *testing.T) {
	file := "version: 1\npipelines:\n  - {name: base, repository: " + baseURL + ", image: registry.example.com/exampleco/base, webhook: {secret_file: hook}, paths: [\"a/**\"], skip_ci: true}\n"
	p, err := New(Config{Pipelines: load(t, file), Queue: &memoryQueue{}})
	if err != nil {
		t.Fatal(err)
	}
	_, a, _ := serve(p, senders()[0].with("X-GitHub-Event", "ping").hook(testSecret, `{"repository":{"clone_url":"`+baseURL+`","default_branch":"main"}}`))
	if want := "of branch main for pipeline base where it changes a file that matches its paths and has no [skip ci]"; a.Ping == nil || !strings.HasSuffix(a.Ping.Branch, want) {
		t.Errorf("%+v; want %q", a, want)
	}
}

// TestPublishedPings are those of a repository and of an organisation.
func TestPublishedPings(t *testing.T) {
	p, err := New(Config{Pipelines: load(t, payloadFile()), Queue: &memoryQueue{}})
	if err != nil {
		t.Fatal(err)
	}
	for file, built := range map[string]bool{"github-ping": true, "github-ping-organisation": false} {
		body, err := os.ReadFile(filepath.Join("testdata", "hooks", file+".json"))
		if err != nil {
			t.Fatal(err)
		}
		status, a, _ := serve(p, senders()[0].with("X-GitHub-Event", "ping").hook(testSecret, string(body)))
		if status != http.StatusOK || a.Ping == nil || a.Ping.Built != built {
			t.Errorf("%s: status %d, %+v, %+v", file, status, a, a.Ping)
		}
	}
}

// TestAnUnsignedTestOfTheConnection is what Bitbucket Data Center sends. It tells nothing of any pipeline.
func TestAnUnsignedTestOfTheConnection(t *testing.T) {
	r := senders()[8].with("X-Event-Key", dataCenterTest).hook("", `{"test": true}`)
	status, a, _ := serve(newProducer(t, &memoryQueue{}, zerolog.Nop()), r)
	if status != http.StatusOK || !strings.Contains(a.Ignored, "this address is right") || !strings.Contains(a.Ignored, "does not sign its test") || a.Ping != nil {
		t.Errorf("status %d, %+v", status, a)
	}
	r = senders()[8].with("X-Event-Key", dataCenterTest).hook("guess", `{"test": true}`)
	if status, a, _ := serve(newProducer(t, &memoryQueue{}, zerolog.Nop()), r); status != http.StatusUnauthorized {
		t.Errorf("wrongly signed: status %d, %+v", status, a)
	}
}
