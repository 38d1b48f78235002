package console

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/rs/zerolog"
)

// TestPagesOfErrorsNameTheirTrace as the log does: that of who asks, or another for each request.
func TestPagesOfErrorsNameTheirTrace(t *testing.T) {
	const given = "4bf92f3577b34da6a3ce929d0e0e4736"
	var log bytes.Buffer
	c, err := New(Config{Queue: queuetest.Start(t).Client(t), Logger: zerolog.New(&log)})
	queuetest.Must(t, err)
	form := url.Values{"token": {"no-token"}}.Encode()
	for name, r := range map[string]*http.Request{
		"a token that is none":   httptest.NewRequest(http.MethodPost, "/sign-in", strings.NewReader(form)),
		"a link that is unknown": httptest.NewRequest(http.MethodPost, "/enter/none", nil),
		"another site's form":    httptest.NewRequest(http.MethodPost, "/fleets/f/hold", strings.NewReader("reason=x")),
	} {
		log.Reset()
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Traceparent", "00-"+given+"-00f067aa0ba902b7-01")
		if strings.HasPrefix(name, "another") {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		}
		w := httptest.NewRecorder()
		c.Handler().ServeHTTP(w, r)
		if w.Code < http.StatusBadRequest || !strings.Contains(w.Body.String(), "<code>"+given+"</code>") {
			t.Errorf("%s: %d without its trace:\n%s", name, w.Code, w.Body)
		}
		if !strings.Contains(log.String(), `"trace":"`+given+`"`) || strings.Contains(log.String(), "no-token") {
			t.Errorf("%s: the log is %s", name, log.String())
		}
	}
	w := httptest.NewRecorder()
	c.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/sign-in", nil))
	if log.Reset(); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "Trace") || log.Len() > 0 {
		t.Errorf("a page without trouble: %d\n%s\n%s", w.Code, w.Body, log.String())
	}
}
