package producer

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// TestEveryPathIsAnsweredAndTold has hooks come to addresses that people write: none is redirected, as forges don't follow
// with the body, and none goes untold.
func TestEveryPathIsAnsweredAndTold(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	p := auditedProducer(t, builds.New(c), c)
	github := senders()[0]
	n := 0
	for _, s := range []struct {
		method, target string
		status         int
		says           string
	}{
		{http.MethodPost, "/hooks/github", 202, ""},
		{http.MethodPost, "//hooks/github", 202, ""},
		{http.MethodPost, "/hooks//github", 202, ""},
		{http.MethodPost, "/hooks/github/", 202, ""},
		{http.MethodPost, "///hooks///github//", 202, ""},
		{http.MethodPost, "/./hooks/../hooks/github?a=b", 202, ""},
		{http.MethodPost, "/hooks/GitHub", 404, "/hooks/github"},
		{http.MethodPost, "/hooks/Githup", 404, `did you mean \"github\"`},
		{http.MethodPost, "/Hooks/github", 404, "webhooks go to /hooks/FORGE"},
		{http.MethodPost, "/hooks%2Fgithub", 404, "webhooks go to /hooks/FORGE"},
		{http.MethodPost, "/hooks%2f%2fgithub", 404, "webhooks go to /hooks/FORGE"},
		{http.MethodPost, "/hooks/git%68ub", 202, ""},
		{http.MethodPost, "/hooks", 404, "ends before the forge"},
		{http.MethodPost, "/hooks/", 404, "ends before the forge"},
		{http.MethodPost, "/hooks/github/hooks/github", 404, "there is no forge"},
		{http.MethodGet, "/hooks", 405, "POST"},
		{http.MethodGet, "//hooks//", 405, "POST"},
		{http.MethodHead, "/hooks/github", 405, ""},
		{http.MethodPut, "//hooks/github", 405, "POST"},
		{http.MethodPost, "/registries", 404, "distribution"},
		{http.MethodPost, "//registries/", 404, "distribution"},
		{http.MethodGet, "//v1//builds/", 405, "POST"},
		{http.MethodOptions, "*", 404, "nothing at"},
		{http.MethodConnect, "/hooks/../x", 404, "nothing at"},
		{http.MethodPost, "/..//..", 404, "nothing at"},
	} {
		n++
		body := github.payload(baseURL, mainRef, commit(n))
		r := github.hook(testSecret, body)
		r.Method, r.RequestURI = s.method, s.target
		var err error
		if r.URL, err = url.ParseRequestURI(s.target); err != nil && s.target != "*" {
			t.Fatal(err)
		}
		if s.target == "*" {
			r.URL = &url.URL{Path: "*"}
		}
		w := httptest.NewRecorder()
		p.Handler().ServeHTTP(w, r)
		if w.Code != s.status || !strings.Contains(w.Body.String(), s.says) {
			t.Errorf("%s %s: %d %s; want %d with %q", s.method, s.target, w.Code, w.Body, s.status, s.says)
		}
		p.FlushAudit(t.Context())
		calls, refusals := auditOf(t, c)
		told := int64(len(calls))
		for _, r := range refusals {
			told += r.Count
		}
		if told != int64(n) {
			t.Fatalf("%s %s: told of %d calls, want %d", s.method, s.target, told, n)
		}
		if all := fmt.Sprint(calls, refusals); strings.Contains(all, "%2F") || strings.Contains(all, "Githup") {
			t.Errorf("told in a stranger's words: %s", all)
		}
	}
}
