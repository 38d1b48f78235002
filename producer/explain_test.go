package producer

import (
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/git/gittest"
)

// dump is a request as it was sent.
func dump(t *testing.T, r *http.Request) []byte {
	t.Helper()
	b, err := httputil.DumpRequest(r, true)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestExplanationsSayWhatAProducerDoes has webhooks of all senders, and holds what is explained against what is done.
func TestExplanationsSayWhatAProducerDoes(t *testing.T) {
	file := writeFile(t, testFile)
	pipelines, unread, err := LoadUnsigned(file)
	if err != nil || len(unread) > 0 {
		t.Fatal(err, unread)
	}
	for _, s := range senders() {
		for name, c := range map[string]struct{ secret, url, ref string }{
			"a push":             {testSecret, baseURL, mainRef},
			"another branch":     {testSecret, baseURL, "refs/heads/wip"},
			"a tag":              {testSecret, baseURL, "refs/tags/v1"},
			"another repository": {testSecret, "https://git.example.com/ops/none.git", mainRef},
			"another secret":     {testOther, baseURL, mainRef},
			"nobody's secret":    {"guess-guess-guess", baseURL, mainRef},
		} {
			t.Run(s.forge+" "+name, func(t *testing.T) {
				body := s.payload(c.url, c.ref, testCommit)
				e, err := Explaining{Pipelines: pipelines, Offline: true}.Explain(t.Context(), dump(t, s.hook(c.secret, body)))
				if err != nil {
					t.Fatal(err)
				}
				q := &memoryQueue{}
				p, err := New(Config{Pipelines: pipelines, Queue: q})
				if err != nil {
					t.Fatal(err)
				}
				status, a, _ := serve(p, s.hook(c.secret, body))
				done := q.pipelines()
				slices.Sort(done)
				slices.Sort(e.WouldBuild)
				if !slices.Equal(done, e.WouldBuild) || (status == 401) != (e.Problem != "") || !e.Signature.Checked || e.Signature.Right != (status != 401) {
					t.Errorf("explained is %+v; status %d, %+v, built %v", e, status, a, done)
				}
				for _, a := range e.Pushes[0].Pipelines {
					if a.Why == "" {
						t.Errorf("%s: no reason", a.Pipeline)
					}
				}
			})
		}
	}
}

func TestExplanations(t *testing.T) {
	github := senders()[0]
	body := github.payload(baseURL, mainRef, testCommit)
	file := writeFile(t, testFile)
	pipelines, _, err := LoadUnsigned(file)
	if err != nil {
		t.Fatal(err)
	}
	explain := func(x Explaining, sent string) *Explanation {
		t.Helper()
		x.Pipelines = pipelines
		e, err := x.Explain(t.Context(), []byte(sent))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	why := func(e *Explanation, pipeline string) string {
		for _, a := range e.Pushes[0].Pipelines {
			if a.Pipeline == pipeline {
				return a.Why
			}
		}
		return "nothing"
	}

	e := explain(Explaining{Forge: "github"}, body)
	if e.Signature.Checked || !strings.Contains(e.Signature.Said, "not checked: header X-Hub-Signature-256 is missing") ||
		!slices.Equal(e.WouldBuild, []string{"base", "base-staging"}) || !slices.Equal(e.Assumed, []string{"header X-Github-Event: push"}) && !slices.Equal(e.Assumed, []string{"header X-GitHub-Event: push"}) {
		t.Errorf("a body alone: %+v", e)
	}
	for pipeline, want := range map[string]string{
		"tools": "its repository is another one, https://git.example.com:2222/ops/tools.git", "silent": "it takes no webhooks", "base": "branch main",
	} {
		if got := why(e, pipeline); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %q", pipeline, got, want)
		}
	}
	if e := explain(Explaining{Forge: "gitea"}, body); !strings.Contains(why(e, "tools"), "its webhook.forges leaves out gitea (it has github, generic)") {
		t.Errorf("a forge that isn't taken: %s", why(e, "tools"))
	}
	if e := explain(Explaining{Header: http.Header{"X-Github-Event": {"issues"}}}, body); !strings.Contains(e.Ignored, `"issues" is not a push`) || len(e.WouldBuild) > 0 {
		t.Errorf("another event: %+v", e)
	}
	if e := explain(Explaining{Forge: "github"}, github.payload(baseURL, mainRef, strings.Repeat("0", 40))); !strings.Contains(why(e, "base"), "was deleted") {
		t.Errorf("a deletion: %+v", e)
	}
	sent := string(dump(t, github.hook(testSecret, body)))
	if e := explain(Explaining{}, strings.ReplaceAll(sent, "\r\n", "\n")+"\n"); !e.Signature.Right {
		t.Errorf("a request that an editor saved: %+v", e.Signature)
	}
	s := standardOf(senders())
	old := s.hook("", s.payload(baseURL, mainRef, testCommit))
	signStandard(time.Now().Add(-time.Hour))(old.Header, testSecret, []byte(s.payload(baseURL, mainRef, testCommit)))
	if e := explain(Explaining{}, string(dump(t, old))); e.Signature.Checked || !strings.Contains(e.Signature.Said, "webhook-timestamp is more than") {
		t.Errorf("an old one: %+v", e.Signature)
	}

	if err := os.Remove(filepath.Join(filepath.Dir(file), "hook")); err != nil {
		t.Fatal(err)
	}
	elsewhere, unread, err := LoadUnsigned(file)
	if err != nil || !slices.Contains(unread, "hook") {
		t.Fatal(err, unread)
	}
	e, err = Explaining{Pipelines: elsewhere, Unread: unread}.Explain(t.Context(), []byte(sent))
	if err != nil || e.Signature.Checked || !strings.Contains(e.Signature.Said, "secret file hook can't be read here") || len(e.WouldBuild) != 2 {
		t.Errorf("without the secret's file: %+v, %v", e, err)
	}
}

func standardOf(all []sender) sender {
	i := slices.IndexFunc(all, func(s sender) bool { return s.forge == "generic" })
	return all[i]
}

func TestAnExplanationAsksTheRepository(t *testing.T) {
	repo := gittest.Start(t).Repository(t, "base")
	first := repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM scratch\n"})
	docs := repo.Commit(t, "main", map[string]string{"README.md": "a\n"})
	pipelines, _, err := LoadUnsigned(writeFile(t, watched(repo.URL, `    paths: [Dockerfile]`)))
	if err != nil {
		t.Fatal(err)
	}
	body := `{"repository":"` + repo.URL + `","ref":"refs/heads/main","before":"` + first + `","after":"` + docs + `"}`
	for offline, want := range map[bool]string{false: "none of the 1 files", true: "is not known: the repository is not asked"} {
		e, err := Explaining{Pipelines: pipelines, Forge: "generic", Offline: offline}.Explain(t.Context(), []byte(body))
		if err != nil || len(e.WouldBuild) > 0 != offline || !strings.Contains(e.Pushes[0].Pipelines[0].Why, want) {
			t.Errorf("offline %v: %+v, %v", offline, e, err)
		}
	}
}

// TestExplanationsOfBodiesAlone are of test deliveries and of refs that are gone, whose header is told by what they have.
func TestExplanationsOfBodiesAlone(t *testing.T) {
	for file, c := range map[string]struct{ forge, event, say string }{
		"github-ping":               {"github", "ping", "a ping: a push would be taken, of branch main for pipeline github"},
		"github-create":             {"github", "create", "is not a push"},
		"gitea-test":                {"gitea", "push", "a ping: a push would be taken, of branch main for pipeline gitea"},
		"gitea-delete":              {"gitea", "delete", ""},
		"gogs-branch-create":        {"gogs", "create", "is told of by a push event, too"},
		"gogs-branch-deleted":       {"gogs", "delete", ""},
		"bitbucket-datacenter-test": {"bitbucket", "diagnostics:ping", "this test names none"},
		"azure-test":                {"generic", "git.push", "this test names none"},
	} {
		body, err := os.ReadFile(filepath.Join("testdata", "hooks", file+".json"))
		if err != nil {
			t.Fatal(err)
		}
		e, err := Explaining{Pipelines: load(t, payloadFile()), Forge: c.forge, Offline: true}.Explain(t.Context(), body)
		if err != nil || e.Event != c.event || !strings.Contains(e.Ignored, c.say) || len(e.WouldBuild) > 0 {
			t.Errorf("%s: %+v, %v", file, e, err)
			continue
		}
		if c.say == "" && (len(e.Pushes) != 1 || !e.Pushes[0].Deleted || !strings.Contains(e.Pushes[0].Ignored, "was deleted")) {
			t.Errorf("%s: %+v", file, e.Pushes)
		}
	}
}

// TestAnExplainedPingIsAnsweredAsItWouldBe: for the pipelines whose secret signed it, and for none where nobody's did.
func TestAnExplainedPingIsAnsweredAsItWouldBe(t *testing.T) {
	pipelines := load(t, payloadFile())
	body, err := os.ReadFile(filepath.Join("testdata", "hooks", "github-ping.json"))
	if err != nil {
		t.Fatal(err)
	}
	for secret, c := range map[string]struct{ say, problem string }{
		testSecret:          {"a push would be taken", ""},
		"guess-guess-guess": {"a ping, which is refused, as a push would be", "401: the signature does not match"},
	} {
		r := senders()[0].with("X-GitHub-Event", "ping").hook(secret, string(body))
		e, err := Explaining{Pipelines: pipelines, Offline: true}.Explain(t.Context(), dump(t, r))
		if err != nil || !strings.Contains(e.Ignored, c.say) || e.Problem != c.problem {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

func TestWhatCannotBeExplainedSaysWhy(t *testing.T) {
	pipelines := load(t, testFile)
	for name, c := range map[string]struct{ forge, sent, want string }{
		"nothing":            {"github", " \n", "it is empty: give the body"},
		"no forge":           {"", "{}", "neither a path nor a header says whose webhook it is: name the forge (github"},
		"no such forge":      {"githup", "{}", `there is no forge "githup", did you mean "github"?`},
		"a forge's old name": {"stash", "{}", "both called bitbucket here"},
		"no JSON":            {"github", "hello", "body is not a JSON payload"},
		"no push":            {"github", "{}", "repository.clone_url: is missing"},
		"EventBridge's own":  {"generic", `{"source":"aws.codecommit","detail-type":"CodeCommit Repository State Change","detail":{}}`, "input transformer"},
		"another's test":     {"generic", `{"type":"ping"}`, `as in {"repository": URL`},
		"a cut request":      {"", "POST /hooks/github HTTP/1.1\r\nContent-Length: 100\r\n\r\n{}", "the body has 2 bytes where header Content-Length says 100: it was cut"},
		"no length":          {"", "POST /hooks/github HTTP/1.1\nContent-Length: ten\n\n{}", "is no length"},
		"no header":          {"", "POST /hooks/github HTTP/1.1\nhello\n\n{}", "the headers of the request can't be read"},
	} {
		if _, err := (Explaining{Pipelines: pipelines, Forge: c.forge}).Explain(t.Context(), []byte(c.sent)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzExplain(f *testing.F) {
	for _, s := range senders() {
		f.Add([]byte(s.payload(baseURL, mainRef, testCommit)), s.forge)
	}
	f.Add([]byte("POST /hooks/github HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), "")
	pipelines := load(f, testFile)
	f.Fuzz(func(t *testing.T, sent []byte, forge string) {
		e, err := Explaining{Pipelines: pipelines, Forge: forge, Offline: true}.Explain(t.Context(), sent)
		if (e == nil) == (err == nil) {
			t.Errorf("%+v, %v", e, err)
		}
	})
}
