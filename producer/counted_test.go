package producer

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/metrics"
	"github.com/rs/zerolog"
)

// TestWhoOnlyReadsIsNoIntake: questions how things are are counted apart from what is to be built.
func TestWhoOnlyReadsIsNoIntake(t *testing.T) {
	all := metrics.New("v1")
	p, err := New(Config{
		Pipelines: load(t, testFile), Queue: &memoryQueue{}, Tokens: []Token{{Name: "ci", Secret: messages.NewSecret(testToken)}},
		SecretsDir: t.TempDir(), Logger: zerolog.Nop(), Metrics: all.Producer(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, token, body string) {
		t.Helper()
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		serve(p, r)
	}
	ask(http.MethodGet, "/v1/pipelines", testToken, "")
	ask(http.MethodGet, "/v1/pipelines", testToken, "")
	ask(http.MethodGet, "/v1/pipelines", "another", "")
	ask(http.MethodPost, "/v1/builds", testToken, `{"pipeline":"base","commit":"`+strings.Repeat("1", 40)+`"}`)
	w := httptest.NewRecorder()
	all.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for outcome, n := range map[string]string{"read": "2", "refused": "1", "accepted": "1", "ignored": "0"} {
		if want := `fenceline_intake_requests_total{outcome="` + outcome + `",source="call"} ` + n + "\n"; !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is not told:\n%s", want, w.Body)
		}
	}
}
