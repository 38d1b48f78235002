package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	eventSecret = "a secret that signs events of the black-box tests"
	// chatSecret is in the path of a chat's address.
	chatSecret = "T0123456789-of-the-black-box-tests"
	// sinkTwice bounds how many events a kill can have sent twice: of so many it is not yet written down that a sink took them.
	sinkTwice = 16
)

// told is an event as the receiver of this test took it.
type told struct {
	ID    string // by which it is known when it comes again
	Type  string
	Text  string
	State string // of a rollout
	Build string
}

// receiver is a sink of CloudEvents and one of chat messages. It can be away.
type receiver struct {
	*httptest.Server
	verify *webhooks.Webhook

	mu    sync.Mutex
	away  bool
	took  []told   // CloudEvents, each time that it came
	chats []string // texts of messages
	wrong []error  // what came that should not
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	verify, err := webhooks.NewWebhookRaw([]byte(eventSecret))
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{verify: verify}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil: // the sender was killed
	case r.away:
		w.WriteHeader(http.StatusServiceUnavailable)
	case req.URL.Path == "/events":
		r.event(req.Header, body)
	case req.URL.Path == "/chat/"+chatSecret:
		var m struct{ Text string }
		if err := json.Unmarshal(body, &m); err != nil || m.Text == "" {
			r.wrong = append(r.wrong, fmt.Errorf("the chat was sent %s: %w", body, err))
		}
		r.chats = append(r.chats, m.Text)
	default:
		r.wrong = append(r.wrong, fmt.Errorf("asked for %s", req.URL.Path))
	}
}

func (r *receiver) event(header http.Header, body []byte) {
	var e struct {
		SpecVersion, ID, Type, Text string
		Data                        struct{ State, Build string }
	}
	if err := errors.Join(r.verify.Verify(body, header), json.Unmarshal(body, &e)); err != nil || e.SpecVersion != "1.0" {
		r.wrong = append(r.wrong, fmt.Errorf("%w: %s", err, body))
	}
	r.took = append(r.took, told{header.Get("Webhook-Id"), strings.TrimSuffix(strings.TrimPrefix(e.Type, "dev.fenceline."), ".v1"), e.Text, e.Data.State, e.Data.Build})
}

func (r *receiver) setAway(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
}

// once are the events, each the first time that it came, and how many came again.
func (r *receiver) once() (events []told, again int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.took {
		if slices.ContainsFunc(events, func(x told) bool { return x.ID == e.ID }) {
			again++
			continue
		}
		events = append(events, e)
	}
	return events, again
}

// TestSinksAreToldWhateverIsKilled: `fenceline up` is killed at random moments while builds and rollouts run, and the receiver
// of two sinks is away for some of the time. What became of each build and of the last rollout arrives, signed, in the order of
// the fleet, and nothing twice but what was on its way at a kill.
func TestSinksAreToldWhateverIsKilled(t *testing.T) {
	const rounds = 4
	fleet := fleetOf("sinks")
	s := own(t, []pipeline{{name: "told", fleet: fleet, extra: []string{"attempts: 20"}}},
		"--fleet", fleet, "--node", fleet, "--ack-wait", "3s", "--lease-ttl", "3s")
	r := newReceiver(t)
	s.sendTo(t, r)
	random := mathrand.New(mathrand.NewPCG(uint64(time.Now().UnixNano()), 0))
	var accepted []string
	for round := range rounds {
		r.setAway(round%2 == 1)
		commit := s.commit(t, "told", exporting(fmt.Sprintf("round-%d", round)))
		got, err := s.send(t.Context(), s.pushHook(s.git.URL+"/told.git", "refs/heads/main", commit))
		if err != nil || got.status != http.StatusAccepted || len(got.Builds) != 1 {
			t.Fatalf("round %d: %+v, %v", round, got, err)
		}
		accepted = append(accepted, got.Builds[0].Build)
		<-time.After(time.Duration(random.Int64N(int64(1500 * time.Millisecond)))) // a moment anywhere in a build and its rollout
		s.up.Kill()
		if err := s.start(t.Context()); err != nil {
			t.Fatalf("starting again after kill -9 in round %d: %v", round, err)
		}
	}
	newest := s.ended(t, accepted[rounds-1])
	s.awaitFence(t, newest.Image)
	r.setAway(false)
	for _, id := range accepted {
		want := map[string]string{"succeeded": "image.ready", "superseded": "build.superseded"}[s.ended(t, id).State]
		await(t, want+" of "+id, func(context.Context) error {
			events, _ := r.once()
			if !slices.ContainsFunc(events, func(e told) bool { return e.Build == id && e.Type == want }) {
				return fmt.Errorf("there are %+v", events)
			}
			return nil
		})
	}
	await(t, "that the last image is live", func(context.Context) error {
		events, _ := r.once()
		if _, live := rolledOut(events, newest.Build); live < 0 {
			return fmt.Errorf("there are %+v", events)
		}
		return nil
	})
	r.inOrder(t, newest.Build)
	if _, again := r.once(); again > rounds*sinkTwice {
		t.Errorf("%d events came again after %d kills", again, rounds)
	}
	s.nothingWaits(t)
	s.keepsSecrets(t)
}

// sendTo adds the sinks to the pipeline file of a stack that runs, and waits until they count.
func (s *stack) sendTo(t *testing.T, r *receiver) {
	t.Helper()
	content, err := os.ReadFile(s.config())
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []struct{ path, content string }{
		{filepath.Join(s.dir, "event.secret"), eventSecret + "\n"},
		{filepath.Join(s.dir, "chat.url"), r.URL + "/chat/" + chatSecret + "\n"},
		{s.config(), string(content) + "sinks:\n" +
			"  - {name: audit, url: " + r.URL + "/events, secret_file: event.secret}\n" +
			"  - {name: chat, url_file: chat.url, format: slack}\n"},
	} {
		if err := os.WriteFile(file.path, []byte(file.content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.nothingWaits(t)
}

// rolledOut is where among events a build's image is said to be current, and where to be live; -1 where it is not.
func rolledOut(events []told, build string) (current, live int) {
	where := func(states ...string) int {
		return slices.IndexFunc(events, func(e told) bool {
			return e.Type == "rollout.changed" && e.Build == build && slices.Contains(states, e.State)
		})
	}
	return where("flipped", "soaking", "done"), where("done")
}

// inOrder sees that nothing came that should not, and that what is said of a build came in the order in which it came about.
func (r *receiver) inOrder(t *testing.T, build string) {
	t.Helper()
	events, _ := r.once()
	ready := slices.IndexFunc(events, func(e told) bool { return e.Build == build && e.Type == "image.ready" })
	if current, live := rolledOut(events, build); ready > current || current > live {
		t.Errorf("what became of %s came in another order: %+v", build, events)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.wrong) > 0 {
		t.Errorf("what came that should not: %v", errors.Join(r.wrong...))
	}
	if len(r.chats) == 0 {
		t.Error("the chat was sent nothing")
	}
}

// nothingWaits sees that all is sent, and that nothing is wrong.
func (s *stack) nothingWaits(t *testing.T) {
	t.Helper()
	await(t, "that nothing waits for a sink", func(ctx context.Context) error {
		var sinks []struct {
			Sink, Problem string
			Waiting       int
		}
		err := s.JSON(ctx, &sinks, "sinks", "list")
		if err != nil || len(sinks) != 2 || sinks[0].Waiting+sinks[1].Waiting > 0 || sinks[0].Problem+sinks[1].Problem != "" {
			return errors.Join(err, fmt.Errorf("the sinks are %+v", sinks))
		}
		return nil
	})
}

// keepsSecrets sees that neither the address of the chat nor the secret is in what is said and kept of sinks.
func (s *stack) keepsSecrets(t *testing.T) {
	t.Helper()
	said := s.up.Tail(1 << 20)
	for _, command := range [][]string{{"sinks", "list", "-o", "json"}, {"status", "-o", "json"}, {"dead-letters", "list", "-o", "json"}, {"audit", "-o", "json"}} {
		said += s.must(t, command...)
	}
	for _, secret := range []string{chatSecret, eventSecret} {
		if strings.Contains(said, secret) {
			t.Errorf("%q is in what fenceline says", secret)
		}
	}
}
