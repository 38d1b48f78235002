package producer

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// endless is a body that goes on for a gigabyte.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p, strings.Repeat(`{"a":[`, 1+len(p)/6)[:min(len(p), e.left)])
	e.left -= n
	return n, nil
}

// TestEndlessBodies come to every forge's address at once. They are given up at the bound or when they take too long, or turned away where they
// are too many, and an honest webhook is taken meanwhile.
func TestEndlessBodies(t *testing.T) {
	p := newProducer(t, &memoryQueue{}, zerolog.Nop())
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer(p.Handler(), zerolog.Nop())
	server.Start()
	t.Cleanup(server.Close)
	post := func(s sender, body io.Reader, secret, signed string) (int, error) {
		like := s.hook(secret, signed)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/hooks/"+s.forge, body)
		if err != nil {
			return 0, err
		}
		r.Header = like.Header
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	var all errgroup.Group
	for _, s := range senders() {
		all.Go(func() error {
			status, err := post(s, &endless{1 << 30}, "guess", "")
			if err == nil && status != http.StatusRequestEntityTooLarge && status != http.StatusServiceUnavailable && status != http.StatusRequestTimeout {
				t.Errorf("%s: status %d", s.name, status)
			}
			return nil // whoever goes on sending may see the connection closed before it sees the answer
		})
	}
	for _, s := range senders() {
		body := s.payload(baseURL, mainRef, testCommit)
		if status, err := post(s, strings.NewReader(body), testSecret, body); err != nil || status != http.StatusAccepted {
			t.Errorf("an honest webhook of %s: status %d, %v", s.name, status, err)
		}
	}
	_ = all.Wait() // it has no errors
	until(t, "bodies that are gone take no room", func() bool { p.room.mu.Lock(); defer p.room.mu.Unlock(); return p.room.free == roomBytes })
}
