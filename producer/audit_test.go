package producer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/rs/zerolog"
)

// auditedProducer tells of its calls where to says.
func auditedProducer(t testing.TB, q Queue, to AuditLog) *Producer {
	t.Helper()
	p, err := New(Config{
		Pipelines: load(t, testFile), Queue: q, Audit: to, SecretsDir: t.TempDir(), Logger: zerolog.Nop(),
		Tokens: []Token{{"ci", messages.NewSecret(testToken)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// auditOf reads all audit events that c's server keeps.
func auditOf(t *testing.T, c *queue.Client) (calls []messages.AuditedCall, refusals []messages.Refusals) {
	t.Helper()
	for _, stream := range []string{c.Space().AuditStream(), c.Space().RefusalsStream()} {
		err := c.Read(t.Context(), stream, queue.ReadOptions{}, func(r queue.Received) error {
			switch p := r.Payload.(type) {
			case *messages.CallsAudited:
				calls = append(calls, p.Calls...)
			case *messages.RefusalsCounted:
				refusals = append(refusals, p.Refusals...)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return calls, refusals
}

func TestEveryCallIsTold(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	p := auditedProducer(t, builds.New(c), c)
	github := senders()[0]
	accepted := github.hook(testSecret, github.payload(baseURL, mainRef, testCommit))
	accepted.Header.Set("X-GitHub-Delivery", "72d3162e")
	deleted := github.hook(testSecret, github.payload(baseURL, mainRef, strings.Repeat("0", 40)))
	wrongPath := httptest.NewRequest(http.MethodGet, "/hooks/github/secret-in-a-path", nil)
	query := httptest.NewRequest(http.MethodPost, "/v1/builds?token=secret-in-a-query", nil)
	for _, r := range []*http.Request{
		accepted, deleted, github.hook("guess", "{}"), github.hook("guess", "{}"), wrongPath, query,
		callRequest(testToken, `{"pipeline":"base","commit":"`+commit(3)+`"}`), callRequest(testToken, `{"pipeline":"bass"}`), callRequest("guess", `{}`),
		httptest.NewRequest(http.MethodGet, "/healthz", nil),
	} {
		serve(p, r)
	}
	p.FlushAudit(t.Context())
	calls, refusals := auditOf(t, c)
	var got []string
	for _, a := range calls {
		got = append(got, fmt.Sprintf("%s %s %s %s %s %d %d", a.What, a.Path, a.By, a.From, a.Outcome, a.Status, len(a.Builds)))
	}
	want := []string{
		"webhook /hooks/github ada 192.0.2.1 accepted 202 2",
		"webhook /hooks/github ada 192.0.2.1 ignored 200 0",
		"call /v1/builds token ci 192.0.2.1 accepted 202 1",
		"call /v1/builds token ci 192.0.2.1 refused 404 0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("told of\n%s; want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(calls) == 4 && (calls[0].Delivery != "72d3162e" || !strings.Contains(calls[1].Why, "deleted") || !strings.Contains(calls[3].Why, "did you mean")) {
		t.Errorf("%+v", calls)
	}
	counted := map[string]int64{}
	for _, r := range refusals {
		counted[fmt.Sprintf("%s %s %d", r.Path, r.From, r.Status)] += r.Count
	}
	if len(counted) != 3 || counted["/hooks/github 192.0.2.1 401"] != 2 || counted["/v1/builds 192.0.2.1 401"] != 2 || counted["/hooks/ 192.0.2.1 405"] != 1 {
		t.Errorf("counted %v", counted)
	}
	all := fmt.Sprintf("%+v %+v", calls, refusals)
	for _, secret := range []string{testSecret, testToken, "secret-in-a-path", "secret-in-a-query"} {
		if strings.Contains(all, secret) {
			t.Errorf("%s is in the audit events", secret)
		}
	}
	p.FlushAudit(t.Context())
	if again, more := auditOf(t, c); len(again) != len(calls) || len(more) != len(refusals) {
		t.Errorf("told twice: %d calls and %d refusals", len(again), len(more))
	}
}

// auditInMemory is an AuditLog that may refuse.
type auditInMemory struct {
	lock sync.Mutex
	err  error
	told []messages.Payload
}

func (a *auditInMemory) Publish(_ context.Context, _ string, p messages.Payload) error {
	a.lock.Lock()
	defer a.lock.Unlock()
	if a.err == nil {
		a.told = append(a.told, p)
	}
	return a.err
}

// TestAFloodOfStrangersIsAFewRows, from ever other addresses, and waits for nothing.
func TestAFloodOfStrangersIsAFewRows(t *testing.T) {
	to := &auditInMemory{}
	p := auditedProducer(t, &memoryQueue{}, to)
	const flood = 20_000
	for i := range flood {
		n := &note{status: http.StatusUnauthorized, call: messages.AuditedCall{What: kindWebhook, Path: "/hooks/github", Why: fmt.Sprint("why ", i)}}
		p.audit.add(n, fmt.Sprintf("10.%d.%d.1", i/200, i%200))
	}
	if len(to.told) != 0 {
		t.Errorf("%d events were published while they came", len(to.told))
	}
	p.FlushAudit(t.Context())
	if len(to.told) != 1 {
		t.Fatalf("%d events tell of it", len(to.told))
	}
	rows, total, others := to.told[0].(*messages.RefusalsCounted).Refusals, int64(0), int64(0)
	for _, r := range rows {
		if total += r.Count; r.From == "" {
			others += r.Count
		}
	}
	if len(rows) != refusalRows+1 || total != flood || others != flood-refusalRows {
		t.Errorf("%d rows of %d calls, %d from elsewhere", len(rows), total, others)
	}
}

// TestWhatHasNoRoomIsCounted: NATS is away for longer than calls can wait, and comes back.
func TestWhatHasNoRoomIsCounted(t *testing.T) {
	to := &auditInMemory{err: queue.ErrUnavailable}
	p := auditedProducer(t, &memoryQueue{}, to)
	for range auditMost + 7 {
		p.audit.add(&note{known: true, call: messages.AuditedCall{Outcome: messages.OutcomeAccepted}}, "")
	}
	p.FlushAudit(t.Context())
	to.err = nil
	p.FlushAudit(t.Context())
	calls, lost := 0, int64(0)
	for _, told := range to.told {
		if c, ok := told.(*messages.CallsAudited); ok {
			calls, lost = calls+len(c.Calls), lost+c.Lost
		}
	}
	if calls != auditMost || lost != 7 {
		t.Errorf("%d calls are told of, %d are said to be lost", calls, lost)
	}
	to.err = errors.Join(queue.ErrTooLarge)
	p.audit.add(&note{known: true}, "")
	p.FlushAudit(t.Context())
	to.err = nil
	p.FlushAudit(t.Context())
	if last, ok := to.told[len(to.told)-1].(*messages.CallsAudited); !ok || last.Lost != 1 || len(last.Calls) != 0 {
		t.Errorf("after one that NATS never takes: %+v", to.told[len(to.told)-1])
	}
}

// TestAuditRunsBesideTheAnswers: what came is stored without a flush.
func TestAuditRunsBesideTheAnswers(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	p := auditedProducer(t, &memoryQueue{}, c)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { p.audit.run(ctx) })
	serve(p, callRequest(testToken, `{"pipeline":"base","commit":"`+testCommit+`"}`))
	queuetest.Eventually(t, "the call is told of", func() bool {
		calls, _ := auditOf(t, c)
		return len(calls) == 1
	})
	stop()
	running.Wait()
}
