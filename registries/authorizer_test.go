package registries

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/containerd/containerd/v2/core/remotes/docker"
)

// TestATokenServerThatAnswersWithoutEnd is read no further than any token is long.
func TestATokenServerThatAnswersWithoutEnd(t *testing.T) {
	var gave atomic.Int64
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"token":"`)
		chunk := strings.Repeat("x", 64<<10)
		for range 1000 {
			n, err := io.WriteString(w, chunk)
			if gave.Add(int64(n)); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, `"}`)
	}))
	t.Cleanup(tokens.Close)
	challenge := &http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{"Www-Authenticate": {`Bearer realm="` + tokens.URL + `",service="s",scope="repository:a:pull"`}}}
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://r.example/v2/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	challenge.Request = q
	a := Logins{}.Authorizer(&http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()})
	ctx := docker.ContextWithAppendPullRepositoryScope(t.Context(), "a")
	if err := a.AddResponses(ctx, []*http.Response{challenge}); err != nil {
		t.Fatal(err)
	}
	if err := a.Authorize(ctx, q); err == nil || !strings.Contains(err.Error(), "token server answers more than 1 MiB") {
		t.Errorf("error %.300v", err)
	}
	if gave.Load() > 32<<20 { // what the connection takes on the way is not read
		t.Errorf("%d bytes were taken", gave.Load())
	}
}
