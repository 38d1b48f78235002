package producer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/rs/zerolog"
)

// registrySender is how a registry tells of a push, with everything in order.
type registrySender struct {
	form, payload, tag string // tag is as pins have it
	path               string
	sign               func(h http.Header, token string, body []byte)
}

func bearer(h http.Header, token string, _ []byte) { h.Set("Authorization", "Bearer "+token) }

func registrySenders(t testing.TB) []registrySender {
	t.Helper()
	github := func(h http.Header, token string, body []byte) {
		h.Set("X-Hub-Signature-256", "sha256="+hexMAC(token, body))
		h.Set("X-GitHub-Event", "registry_package")
	}
	all := []registrySender{
		{"distribution", "distribution.json", "library/debian:bookworm", "/registries/distribution", bearer},
		{"harbor", "harbor.json", "library/debian:latest", "/registries/harbor", func(h http.Header, token string, _ []byte) { h.Set("Authorization", token) }},
		{"harbor", "harbor-cloudevents.json", "library/debian:latest", "/registries/harbor", bearer},
		{"ghcr", "ghcr-registry-package.json", "octocat/hello:latest", "/registries/ghcr", github},
		{"ghcr", "ghcr-package.json", "octocat/hello:1.2", "/registries/ghcr", func(h http.Header, token string, body []byte) {
			github(h, token, body)
			h.Set("X-GitHub-Event", "package")
		}},
		{"dockerhub", "dockerhub.json", "svendowideit/testhook:latest", "/registries/dockerhub/{token}", func(http.Header, string, []byte) {}},
	}
	for i := range all {
		body, err := os.ReadFile(filepath.Join("testdata", "registries", all[i].payload))
		if err != nil {
			t.Fatal(err)
		}
		all[i].payload = string(body)
	}
	return all
}

func (s registrySender) request(token, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, strings.ReplaceAll(s.path, "{token}", token), strings.NewReader(body))
	s.sign(r.Header, token, []byte(body))
	return r
}

func formNamed(name string) registryForm {
	all := registryForms()
	return all[slices.IndexFunc(all, func(f registryForm) bool { return f.name() == name })]
}

// TestEachFormNamesTheTagThatWasPushed reads payloads as the registries document them.
func TestEachFormNamesTheTagThatWasPushed(t *testing.T) {
	for _, s := range registrySenders(t) {
		pushed, _, err := formNamed(s.form).read(s.request(registryToken, s.payload).Header, []byte(s.payload))
		repository, tag, _ := strings.Cut(s.tag, ":")
		if got := taken(pushed); err != nil || len(got) != 1 || got[0] != (pushedTag{repository, tag}) {
			t.Errorf("%s: %v, %v; want %s", s.form, pushed, err, s.tag)
		}
	}
}

// TestNotificationsThatAreRefused has each form with a wrong token, none, and payloads that are none. No answer and no line of the
// log has the token.
func TestNotificationsThatAreRefused(t *testing.T) {
	var log bytes.Buffer
	folder := t.TempDir()
	queuetest.Must(t, os.WriteFile(filepath.Join(folder, "token"), []byte(registryToken), 0o600))
	file := filepath.Join(folder, "fenceline.yaml")
	queuetest.Must(t, os.WriteFile(file, []byte(testFile[:strings.Index(testFile, "    webhook")]+"    "+followBase+"\n"), 0o600))
	pipelines, err := LoadPipelines(file)
	queuetest.Must(t, err)
	audit := &auditInMemory{}
	p, err := New(Config{Pipelines: pipelines, Queue: &memoryQueue{}, Audit: audit, Logger: zerolog.New(&log)})
	queuetest.Must(t, err)
	serve := func(r *http.Request) (int, string) {
		w := httptest.NewRecorder()
		p.Handler().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	for _, s := range registrySenders(t) {
		for _, c := range []struct {
			about, token, body string
			status             int
			want               string
		}{
			{"a wrong token", "guessed-wrongly", s.payload, 401, "does not match"},
			{"no JSON", registryToken, "<xml/>", 400, "not a JSON payload"},
			{"nothing", registryToken, "", 400, "empty"},
			{"another's JSON", registryToken, "{}", 400, "is missing"},
			{"odd types", registryToken, `{"events":3,"type":{},"registry_package":7,"package":7,"repository":"x","event_data":[],"push_data":[]}`, 400, "expected"},
			{"too deep", registryToken, strings.Repeat("[", 500_000), 400, "objects and lists"},
		} {
			if c.token != registryToken && s.form == "dockerhub" && c.about != "a wrong token" {
				continue
			}
			status, body := serve(s.request(c.token, c.body))
			if status != c.status || !strings.Contains(body, c.want) {
				t.Errorf("%s, %s: %d %s; want %d, %q", s.form, c.about, status, body, c.status, c.want)
			}
			if strings.Contains(body, registryToken) {
				t.Errorf("%s, %s: the token is in %s", s.form, c.about, body)
			}
		}
		bare := httptest.NewRequest(http.MethodPost, strings.TrimSuffix(s.path, "/{token}"), strings.NewReader(s.payload))
		if status, body := serve(bare); status != 401 || !strings.Contains(body, "rebuild_on.token_file") {
			t.Errorf("%s without a token: %d %s", s.form, status, body)
		}
		// Nobody follows bases here: what is told must not be answered as if it were taken.
		if status, body := serve(s.request(registryToken, s.payload)); status != 503 {
			t.Errorf("%s, with nobody who follows: %d %s", s.form, status, body)
		}
	}
	first := registrySenders(t)[0]
	zipped := first.request(registryToken, first.payload)
	zipped.Header.Set("Content-Encoding", "gzip")
	if status, body := serve(zipped); status != 415 || !strings.Contains(body, "Content-Encoding gzip") {
		t.Errorf("of a zipped one: %d %s", status, body)
	}
	if status, _ := serve(first.request(registryToken, strings.Repeat(" ", maxNotificationBytes+1))); status != 413 {
		t.Errorf("of a large one: %d", status)
	}
	p.FlushAudit(t.Context())
	var known []int
	for _, told := range audit.told {
		if c, ok := told.(*messages.CallsAudited); ok {
			for _, call := range c.Calls {
				known = append(known, call.Status)
			}
		}
	}
	if !slices.Contains(known, 413) {
		t.Errorf("of who showed the token these are told: %v", known)
	}
	if text, err := json.Marshal(audit.told); err != nil || strings.Contains(string(text), registryToken) {
		t.Errorf("the token is in an audit event: %s, %v", text, err)
	}
	for path, want := range map[string]string{"/registries/harbour": "harbor", "/registries/": "known: distribution", "/registries/dockerhub/a/b": "/registries/dockerhub/TOKEN", "/registries/harbor/a": "address /registries/harbor\"", "/registries/dockerhub/": "/registries/dockerhub/TOKEN"} {
		if status, body := serve(httptest.NewRequest(http.MethodPost, path, nil)); status < 400 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body := serve(httptest.NewRequest(http.MethodGet, "/registries/dockerhub/"+registryToken, nil)); status != 405 || strings.Contains(body, registryToken) {
		t.Errorf("GET: %d %s", status, body)
	}
	if strings.Contains(log.String(), registryToken) {
		t.Errorf("the token is in the log:\n%s", log.String())
	}
}

// TestNotificationsOfNoInterest are taken, and lead to nothing.
func TestNotificationsOfNoInterest(t *testing.T) {
	for _, c := range []struct{ form, event, body string }{
		{"distribution", "", `{"events":[{"action":"pull","target":{"repository":"a","tag":"b"}},{"action":"push","target":{"repository":"a","digest":"sha256:0"}}]}`},
		{"distribution", "", `{"events":[]}`},
		{"harbor", "", `{"type":"SCANNING_COMPLETED","event_data":{}}`},
		{"harbor", "", `{"type":"PUSH_ARTIFACT","event_data":{"resources":[{"digest":"sha256:0"}],"repository":{"repo_full_name":"a/b"}}}`},
		{"ghcr", "ping", `{"zen":"x"}`},
		{"ghcr", "push", `{}`},
		{"ghcr", "package", `{"package":{"name":"x","package_type":"npm"}}`},
		{"ghcr", "package", `{"package":{"name":"x","namespace":"o","package_type":"CONTAINER","package_version":{"container_metadata":{"tag":{"name":""}}}}}`},
		{"dockerhub", "", `{"repository":{"repo_name":"a/b"},"push_data":{}}`},
	} {
		pushed, ignored, err := formNamed(c.form).read(http.Header{"X-Github-Event": {c.event}}, []byte(c.body))
		if err != nil || len(taken(pushed)) != 0 || ignored == "" {
			t.Errorf("%s %s: %v, %q, %v", c.form, c.body, pushed, ignored, err)
		}
	}
}

// TestANotificationIsKeptUntilTheBaseWasSeen has the registry fail when it is asked, and the next producer ask again.
func TestANotificationIsKeptUntilTheBaseWasSeen(t *testing.T) {
	s := newBaseSite(t, map[string]string{"app": followBase})
	s.push("library/debian:bookworm")
	s.builtFrom("app", "library/debian:bookworm")
	s.first("app")
	s.deaf = true // it is told by the test alone
	p, stop := s.producer(&queuetest.Output{})
	s.follows(p, "app", 1)
	s.leavesAlone(p, "app")
	busy := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	s.answer.Store(&busy)
	s.push("library/debian:bookworm")
	tell := func() (int, notificationAnswer) {
		body := `{"events":[{"action":"push","target":{"repository":"library/debian","tag":"bookworm"}}]}`
		r := httptest.NewRequest(http.MethodPost, "/registries/distribution", strings.NewReader(body))
		bearer(r.Header, registryToken, nil)
		w := httptest.NewRecorder()
		p.Handler().ServeHTTP(w, r)
		var a notificationAnswer
		queuetest.Must(t, json.Unmarshal(w.Body.Bytes(), &a))
		return w.Code, a
	}
	for range 3 {
		if status, a := tell(); status != 202 || len(a.Looked) != 1 || !a.Looked[0].Later || len(a.Builds) != 0 {
			t.Errorf("%d %+v", status, a)
		}
	}
	source := s.source("library/debian:bookworm")
	queuetest.Eventually(t, "it is kept that the registry wants to be left alone", func() bool {
		e, err := store.BaseLooks(s.admin).Current(queuetest.Within(t), messages.BaseKey(source))
		return err == nil && e.Value.Wanted && strings.Contains(e.Value.Problem, "429") && e.Value.Again.After(e.Created.Add(50*60e9))
	})
	asked := s.asked.Load()
	if status, a := tell(); status != 202 || !a.Looked[0].Later {
		t.Errorf("%d %+v", status, a)
	}
	if n := s.asked.Load() - asked; n > 0 {
		t.Errorf("a registry that wants to be left alone is asked %d times", n)
	}
	stop()
	s.deaf = false
	s.answer.Store(nil)
	s.producer(&queuetest.Output{})
	queuetest.Eventually(t, "the next producer looks and asks", func() bool { return len(s.requests("app")) == 2 })
	queuetest.Eventually(t, "nothing is wanted any more", func() bool {
		e, err := store.BaseLooks(s.admin).Current(queuetest.Within(t), messages.BaseKey(source))
		return err == nil && !e.Value.Wanted && e.Value.Problem == ""
	})
}

// TestANotificationsAnswerHasTheReason of the build that follows.
func TestANotificationsAnswerHasTheReason(t *testing.T) {
	s := newBaseSite(t, map[string]string{"app": followBase})
	s.push("library/debian:bookworm")
	s.builtFrom("app", "library/debian:bookworm")
	s.first("app")
	s.deaf = true // it is told by the test alone
	p, _ := s.producer(&queuetest.Output{})
	s.follows(p, "app", 1)
	s.leavesAlone(p, "app")
	digest := s.push("library/debian:bookworm")
	r := httptest.NewRequest(http.MethodPost, "/registries/distribution", strings.NewReader(`{"events":[{"action":"push","target":{"repository":"library/debian","tag":"bookworm"}}]}`))
	bearer(r.Header, registryToken, nil)
	w := httptest.NewRecorder()
	p.Handler().ServeHTTP(w, r)
	var a notificationAnswer
	queuetest.Must(t, json.Unmarshal(w.Body.Bytes(), &a))
	want := reasonAnswer{Kind: "base", Link: s.source("library/debian") + "@" + digest, Detail: s.source("library/debian:bookworm")}
	if w.Code != http.StatusAccepted || len(a.Builds) != 1 || a.Builds[0].Reason != want {
		t.Errorf("%d %s; want the reason %+v", w.Code, w.Body, want)
	}
}

// FuzzNotifications has every form read any body.
func FuzzNotifications(f *testing.F) {
	for i, s := range registrySenders(f) {
		f.Add(i, s.payload, "registry_package")
	}
	f.Fuzz(func(t *testing.T, i int, body, event string) {
		all := registryForms()
		form := all[uint(i)%uint(len(all))]
		pushed, ignored, err := form.read(http.Header{"X-Github-Event": {event}}, []byte(body))
		got := taken(pushed)
		if err != nil && len(pushed) > 0 || err == nil && len(got) == 0 && ignored == "" {
			t.Errorf("%s: %v, %q, %v", form.name(), pushed, ignored, err)
		}
		for _, p := range got {
			if p.repository == "" || p.tag == "" || p.repository != strings.ToLower(p.repository) {
				t.Errorf("%s: %q", form.name(), fmt.Sprint(p))
			}
		}
	})
}
