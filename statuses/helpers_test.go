package statuses

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/statuses/target"
	"github.com/rs/zerolog"
)

var (
	within     = queuetest.Within
	must       = queuetest.Must
	eventually = queuetest.Eventually
)

const testToken = "a-token-of-tests-0123456789"

// asked is a request as a forge got it.
type asked struct {
	method, path, query, authorization, contentType string
	body                                            map[string]any
}

// standIn is a forge that keeps what it is told.
type standIn struct {
	*httptest.Server
	mu     sync.Mutex
	got    []asked
	reply  string                                            // where all is well
	answer func(w http.ResponseWriter, r *http.Request) bool // false: as if all were well
}

func newStandIn(t *testing.T) *standIn {
	s := &standIn{reply: "{}"}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *standIn) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a := asked{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), nil}
	_ = json.Unmarshal(body, &a.body)
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	if answer != nil && answer(w, r) {
		return
	}
	s.mu.Lock()
	s.got = append(s.got, a)
	s.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(s.reply))
}

// answers has the forge answer otherwise; nil for as if all were well.
func (s *standIn) answers(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

func (s *standIn) all() []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// texts are what was told of a commit, in its order.
func (s *standIn) texts(commit string) []string {
	var out []string
	for _, a := range s.all() {
		if filepath.Base(a.path) == commit {
			out = append(out, a.body["state"].(string)+" "+a.body["description"].(string))
		}
	}
	return out
}

// last waits until a text is what was told last of a commit.
func (s *standIn) last(t *testing.T, commit, text string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("told of %s: %q", commit, s.texts(commit))
		}
	})
	eventually(t, "the forge is told "+text, func() bool {
		all := s.texts(commit)
		return len(all) > 0 && all[len(all)-1] == text
	})
}

// tokenFile has a token.
func tokenFile(t *testing.T, token string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(file, []byte(token+"\n"), 0o600))
	return file
}

// filled is a target that is complete.
func filled(t *testing.T, x target.Target) target.Target {
	t.Helper()
	x, err := x.Fill("https://git.example.com/ops/base.git")
	must(t, err)
	return x
}

// installation is a guarded server with all that is declared, and a client for each user.
func installation(t *testing.T) (s *queuetest.Server, as func(user string) *queue.Client) {
	t.Helper()
	s, as = queuetest.Guarded(t)
	must(t, store.Declare(within(t), as("controller"), store.Layout{}))
	return s, as
}

// work runs a worker for pipeline base until the test ends, or stop is called.
func work(t *testing.T, q *queue.Client, x target.Target, change ...func(*Config)) (stop func()) {
	t.Helper()
	c := Config{
		Queue: q, Name: t.Name(), Targets: []target.Target{x}, Logger: zerolog.New(zerolog.NewTestWriter(t)),
		LeaseTTL: 10 * time.Second, Pause: 10 * time.Millisecond, Pace: 50 * time.Millisecond,
	}
	for _, f := range change {
		f(&c)
	}
	w, err := New(c)
	must(t, err)
	return running(t, w.Run)
}

// running runs something until the test ends, or stop is called, which waits for it to end.
func running(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("the worker ended: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// as is errors.As for a test that has another as.
func as[T error](err error, to *T) bool { return errors.As(err, to) }
