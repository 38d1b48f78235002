package sinks

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/sinks/form"
	"github.com/rs/zerolog"
)

var (
	within     = queuetest.Within
	must       = queuetest.Must
	eventually = queuetest.Eventually
)

// post is a request as a receiver got it.
type post struct {
	method, path string
	header       http.Header
	body         string
}

// receiver takes events, and keeps those that it took.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []post
	tried  int
	answer func(w http.ResponseWriter, r *http.Request, body string) bool // false: as if all were well
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	answer := r.answer
	r.tried++
	r.mu.Unlock()
	if answer != nil && answer(w, req, string(body)) {
		return
	}
	r.mu.Lock()
	r.got = append(r.got, post{req.Method, req.URL.EscapedPath(), req.Header.Clone(), string(body)})
	r.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"ok":true}`)
}

// answers has the receiver answer otherwise; nil for as if all were well.
func (r *receiver) answers(f func(w http.ResponseWriter, r *http.Request, body string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// status has it answer with a status.
func (r *receiver) status(code int) {
	r.answers(func(w http.ResponseWriter, _ *http.Request, _ string) bool { w.WriteHeader(code); return true })
}

func (r *receiver) all() []post {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) tries() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tried
}

// reasons are what the events that were taken say, of those of a fleet, in order.
func (r *receiver) reasons(fleet string) []string {
	var out []string
	for _, p := range r.all() {
		if strings.Contains(p.body, `"fleet":"`+fleet+`"`) {
			_, rest, _ := strings.Cut(p.body, `"reason":"`)
			reason, _, _ := strings.Cut(rest, `"`)
			out = append(out, reason)
		}
	}
	return out
}

// site is a guarded server with all that is declared.
type site struct {
	*queuetest.Server
	admin *queue.Client
}

func newSite(t *testing.T) *site {
	t.Helper()
	s, as := queuetest.Guarded(t)
	must(t, store.Declare(within(t), as("controller"), store.Layout{}))
	return &site{s, as("admin")}
}

// client is one of the user statuses, as the role has it.
func (s *site) client(t *testing.T) *queue.Client {
	t.Helper()
	return s.Connect(t, queuetest.Credentials("statuses"), func(o *queue.Options) { o.Asks = true })
}

// happens publishes that a node of a fleet failed, for a reason that tells events apart.
func (s *site) happens(t *testing.T, fleet, reason string) {
	t.Helper()
	must(t, s.admin.Publish(within(t), "", &messages.NodeFailed{Fleet: fleet, Node: "n1", Step: "pull", Reason: reason}))
}

func (s *site) record(t *testing.T, name string) messages.SinkRecord {
	t.Helper()
	e, err := store.Sinks(s.admin).Current(within(t), messages.SinkKey(name))
	if err != nil {
		return messages.SinkRecord{}
	}
	return e.Value
}

// begun waits until a sink has its record: what happens from then on is sent.
func (s *site) begun(t *testing.T, names ...string) {
	t.Helper()
	eventually(t, "the sinks have begun", func() bool {
		return !slices.ContainsFunc(names, func(name string) bool { return s.record(t, name).Sink == "" })
	})
}

func (s *site) letters(t *testing.T) []messages.DeadLetter {
	t.Helper()
	var out []messages.DeadLetter
	must(t, s.admin.Read(within(t), s.admin.Space().LettersStream(), queue.ReadOptions{}, func(r queue.Received) error {
		if l, ok := r.Payload.(*messages.DeadLetter); ok {
			out = append(out, *l)
		}
		return nil
	}))
	return out
}

// sinkAt is a sink of CloudEvents at an address.
func sinkAt(t *testing.T, name, url string, change ...func(*form.Sink)) form.Sink {
	t.Helper()
	s := form.Sink{Name: name, URL: url}
	for _, f := range change {
		f(&s)
	}
	s, err := s.Fill()
	must(t, err)
	return s
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// worker makes one.
func worker(t *testing.T, q *queue.Client, sinks []form.Sink, change ...func(*Config)) *Worker {
	t.Helper()
	c := Config{
		Queue: q, Name: messages.NewID(), Target: Target{Sinks: sinks}, Logger: zerolog.New(zerolog.NewTestWriter(t)),
		LeaseTTL: 10 * time.Second, Pause: 10 * time.Millisecond, Look: 10 * time.Millisecond, Answer: 10 * time.Second,
	}
	for _, f := range change {
		f(&c)
	}
	w, err := New(c)
	must(t, err)
	return w
}

// running runs a worker until the test ends, or stop is called, which waits for it to end.
func running(t *testing.T, w *Worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// numbered are so many reasons in order.
func numbered(prefix string, from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("%s%d", prefix, i))
	}
	return out
}
