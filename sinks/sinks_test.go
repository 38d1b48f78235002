package sinks

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/sinks/form"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// TestEventsAreSentAsSignedCloudEvents: what a sink is sent verifies with the specification's own library, by each of two secrets,
// and what happened before the sink was there is not sent.
func TestEventsAreSentAsSignedCloudEvents(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	one, two := "whsec_"+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("1", 24))), "whsec_"+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("2", 24)))
	s.happens(t, "production", "before")
	running(t, worker(t, s.client(t), []form.Sink{sinkAt(t, "audit", r.URL+"/in", func(k *form.Sink) {
		k.SecretFile, k.HeadersFile = file(t, one+"\n"+two+"\n"), file(t, "# of the gateway\nAuthorization: Bearer let-me-in\n")
	})}))
	s.begun(t, "audit")
	s.happens(t, "production", "after")
	eventually(t, "the event is there", func() bool { return len(r.all()) == 1 })
	got := r.all()[0]
	for _, secret := range []string{one, two} {
		hook, err := webhooks.NewWebhook(secret)
		must(t, err)
		if err := hook.Verify([]byte(got.body), got.header); err != nil {
			t.Errorf("it is not signed: %v", err)
		}
		if hook.Verify([]byte(got.body+" "), got.header) == nil {
			t.Error("another body verifies as well")
		}
	}
	var event struct {
		SpecVersion, ID, Source, Type, Severity, Text string
		Data                                          messages.NodeFailed
	}
	must(t, json.Unmarshal([]byte(got.body), &event))
	if event.SpecVersion != "1.0" || event.Type != "dev.fenceline.node.failed.v1" || event.Severity != "warning" || event.Data.Reason != "after" || event.ID == "" || event.Source == "" {
		t.Errorf("it is %s", got.body)
	}
	if got.method != http.MethodPost || got.path != "/in" || got.header.Get("Content-Type") != form.CloudEventType || got.header.Get("Authorization") != "Bearer let-me-in" {
		t.Errorf("it came as %s %s, %v", got.method, got.path, got.header)
	}
}

// TestAnEventKeepsItsNameWhenItIsSentAgain, so that a receiver knows it.
func TestAnEventKeepsItsNameWhenItIsSentAgain(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	ids := make(chan string, 16)
	r.answers(func(w http.ResponseWriter, req *http.Request, _ string) bool {
		ids <- req.Header.Get("Webhook-Id")
		if len(ids) == 3 {
			return false
		}
		w.WriteHeader(http.StatusBadGateway)
		return true
	})
	running(t, worker(t, s.client(t), []form.Sink{sinkAt(t, "audit", r.URL)}))
	s.begun(t, "audit")
	s.happens(t, "production", "x")
	eventually(t, "the event is there", func() bool { return len(r.all()) == 1 })
	first := <-ids
	for range 2 {
		if again := <-ids; again != first || !strings.HasPrefix(again, "msg_") {
			t.Errorf("it is called %s, and then %s", first, again)
		}
	}
}

// TestADeadSinkHoldsUpNoOther, and a fleet whose event a sink fails at holds up no other fleet; but what comes later of its own waits.
func TestADeadSinkHoldsUpNoOther(t *testing.T) {
	s, r, dead := newSite(t), newReceiver(t), newReceiver(t)
	dead.status(http.StatusServiceUnavailable)
	broken := atomic.Bool{}
	broken.Store(true)
	r.answers(func(w http.ResponseWriter, _ *http.Request, body string) bool {
		if !broken.Load() || !strings.Contains(body, `"poison"`) {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	running(t, worker(t, s.client(t), []form.Sink{sinkAt(t, "dead", dead.URL), sinkAt(t, "live", r.URL)}))
	s.begun(t, "dead", "live")
	s.happens(t, "production", "poison")
	for _, reason := range numbered("e", 0, 10) {
		s.happens(t, "production", reason)
		s.happens(t, "staging", reason)
	}
	eventually(t, "staging's events are there", func() bool { return len(r.reasons("staging")) == 10 })
	if got := r.reasons("production"); len(got) > 0 {
		t.Errorf("production's came before the first of them: %v", got)
	}
	broken.Store(false)
	eventually(t, "production's are there", func() bool { return len(r.reasons("production")) == 11 })
	if got, want := r.reasons("production"), append([]string{"poison"}, numbered("e", 0, 10)...); !slices.Equal(got, want) {
		t.Errorf("they came as %v", got)
	}
	if got := r.reasons("staging"); !slices.Equal(got, numbered("e", 0, 10)) {
		t.Errorf("staging's came as %v", got)
	}
	eventually(t, "it is said what keeps events from the other sink", func() bool { return strings.Contains(s.record(t, "dead").Problem, "503") })
	dead.answers(nil)
	eventually(t, "what waited for the dead one is there", func() bool { return len(dead.all()) == 21 })
	eventually(t, "nothing is wrong any more", func() bool { k := s.record(t, "dead"); return k.Problem == "" && k.Waiting == 0 })
}

// TestAnotherWorkerGoesOn where the last one ended, without a double; of two, one acts.
func TestAnotherWorkerGoesOn(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	sinks := []form.Sink{sinkAt(t, "audit", r.URL)}
	var stops []func()
	for range 3 {
		stops = append(stops, running(t, worker(t, s.client(t), sinks)))
	}
	s.begun(t, "audit")
	want := numbered("e", 0, 60)
	for i, reason := range want {
		s.happens(t, "production", reason)
		if i%20 == 19 && len(stops) > 1 {
			stops[0]()
			stops = stops[1:]
		}
	}
	eventually(t, "all are there", func() bool { return len(r.all()) >= len(want) })
	stops[0]()
	s.happens(t, "production", "last") // while nobody runs
	running(t, worker(t, s.client(t), sinks))
	eventually(t, "the last is there", func() bool { return len(r.all()) > len(want) })
	if got := r.reasons("production"); !slices.Equal(got, append(want, "last")) {
		t.Errorf("they came as %v", got)
	}
}

// TestWhatIsGivenUpIsADeadLetter, which is sent to that sink alone when it is requeued, under the same name.
func TestWhatIsGivenUpIsADeadLetter(t *testing.T) {
	s, r, other := newSite(t), newReceiver(t), newReceiver(t)
	var name atomic.Value
	r.answers(func(w http.ResponseWriter, req *http.Request, _ string) bool {
		name.Store(req.Header.Get("Webhook-Id"))
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	brief := func(k *form.Sink) { k.RetryFor = time.Millisecond }
	running(t, worker(t, s.client(t), []form.Sink{sinkAt(t, "audit", r.URL, brief), sinkAt(t, "other", other.URL)}))
	s.begun(t, "audit", "other")
	s.happens(t, "production", "x")
	eventually(t, "it is given up", func() bool { return len(s.letters(t)) == 1 })
	letter := s.letters(t)[0]
	if !strings.Contains(letter.Reason, "sink audit") || !strings.Contains(letter.Reason, "500") || letter.Stream != "fenceline-sinks" {
		t.Errorf("the letter is %+v", letter)
	}
	r.answers(nil)
	_, err := builds.New(s.admin).RequeueDeadLetter(within(t), builds.LetterName(letter), "ada")
	must(t, err)
	eventually(t, "it is there", func() bool { return len(r.reasons("production")) == 1 })
	if got := r.all()[0].header.Get("Webhook-Id"); got != name.Load() {
		t.Errorf("it is called %s, and was %s", got, name.Load())
	}
	if got := len(other.all()); got != 1 {
		t.Errorf("the other sink was sent %d events", got)
	}
	if n := len(s.letters(t)); n != 0 {
		t.Errorf("%d letters are left", n)
	}
}

// TestWhatASinkCallsWrongIsGivenUpSoon, and what comes after it is sent.
func TestWhatASinkCallsWrongIsGivenUpSoon(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	r.answers(func(w http.ResponseWriter, _ *http.Request, body string) bool {
		if !strings.Contains(body, `"odd"`) {
			return false
		}
		http.Error(w, "I don't know\x1b[31m this", http.StatusUnprocessableEntity)
		return true
	})
	running(t, worker(t, s.client(t), []form.Sink{sinkAt(t, "audit", r.URL)}))
	s.begun(t, "audit")
	s.happens(t, "production", "odd")
	s.happens(t, "production", "even")
	eventually(t, "the next is there", func() bool { return slices.Equal(r.reasons("production"), []string{"even"}) })
	if got := s.letters(t); len(got) != 1 || !strings.Contains(got[0].Reason, `422 Unprocessable Entity: I don't know\x1b[31m this`) {
		t.Errorf("the letters are %+v", got)
	}
	if n := r.tries(); n != refusedMost+1 {
		t.Errorf("it was asked %d times", n)
	}
}

// TestASinkThatWantsNoMoreIsLeftAlone until it is configured otherwise; then it begins anew.
func TestASinkThatWantsNoMoreIsLeftAlone(t *testing.T) {
	s, r, next := newSite(t), newReceiver(t), newReceiver(t)
	r.status(http.StatusGone)
	w := worker(t, s.client(t), []form.Sink{sinkAt(t, "audit", r.URL)})
	stop := running(t, w)
	s.begun(t, "audit")
	s.happens(t, "production", "x")
	eventually(t, "it is said", func() bool { return strings.Contains(s.record(t, "audit").Problem, "it wants no more") })
	r.answers(nil)
	stop()
	w = worker(t, s.client(t), []form.Sink{sinkAt(t, "audit", r.URL), sinkAt(t, "beside", next.URL)})
	running(t, w)
	s.begun(t, "beside")
	s.happens(t, "production", "y")
	eventually(t, "another sink has it", func() bool { return len(next.all()) == 1 })
	if n := r.tries(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	w.Retarget(Target{Sinks: []form.Sink{sinkAt(t, "audit", next.URL+"/new")}})
	eventually(t, "it begins anew", func() bool { k := s.record(t, "audit"); return k.Gone == "" && k.Problem == "" })
	s.happens(t, "production", "z")
	eventually(t, "it is sent to", func() bool {
		return slices.ContainsFunc(next.all(), func(p post) bool { return p.path == "/new" && strings.Contains(p.body, `"z"`) })
	})
	if slices.ContainsFunc(next.all(), func(p post) bool { return p.path == "/new" && !strings.Contains(p.body, `"z"`) }) {
		t.Error("it was sent what happened while it wanted no more")
	}
}

// TestRetryAfterIsHonoured, and bounded.
func TestRetryAfterIsHonoured(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	r.answers(func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		w.Header().Set("Retry-After", "86400")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	w := worker(t, s.client(t), nil)
	k := w.newSink(sinkAt(t, "audit", r.URL), newTail(w))
	must(t, k.load(within(t)))
	s.happens(t, "production", "x")
	k.tail.look(within(t))
	must(t, k.refill(within(t)))
	if len(k.line) != 1 {
		t.Fatalf("%d events wait", len(k.line))
	}
	before := time.Now()
	k.start(within(t))
	k.settle(<-k.results)
	if wait := k.pause.Sub(before); wait < leaveMost || wait > leaveMost+time.Minute {
		t.Errorf("it is left alone for %s", wait)
	}
	if k.start(within(t)) < leaveMost/2 || k.sending != 0 {
		t.Error("it is asked again at once")
	}
	must(t, k.save(within(t)))
	if next := s.record(t, "audit").Next; !next.Equal(k.pause.Round(0)) {
		t.Errorf("the next try is said to be at %s, and is at %s", next, k.pause)
	}
}

// TestManyEventsWaitInBoundedMemory, while the sink is away, and all come in order when it is back.
func TestManyEventsWaitInBoundedMemory(t *testing.T) {
	const many = 700
	s, r := newSite(t), newReceiver(t)
	r.status(http.StatusBadGateway)
	w := worker(t, s.client(t), nil)
	k := w.newSink(sinkAt(t, "audit", r.URL), newTail(w))
	must(t, k.load(within(t)))
	for _, reason := range numbered("e", 0, many) {
		s.happens(t, "production", reason)
	}
	k.tail.look(within(t))
	must(t, k.refill(within(t)))
	if n := len(k.line); n == 0 || n > lineLeast+batchMost*len(k.streams) {
		t.Errorf("%d of %d events are read", n, many)
	}
	must(t, k.save(within(t)))
	if n := s.record(t, "audit").Waiting; n != many {
		t.Errorf("%d are said to wait", n)
	}
	r.answers(nil)
	running(t, worker(t, s.client(t), []form.Sink{sinkAt(t, "audit", r.URL)}))
	eventually(t, "all are there", func() bool { return len(r.all()) == many })
	if got := r.reasons("production"); !slices.Equal(got, numbered("e", 0, many)) {
		t.Error("they came in another order")
	}
}

// TestHostileReceivers: each keeps its event from being delivered, or not, in bounded time, and nothing is asked that it names.
func TestHostileReceivers(t *testing.T) {
	elsewhere := newReceiver(t)
	e := (&form.Site{}).Sample("build.failed")
	try := func(t *testing.T, url string, answer time.Duration, change ...func(*form.Sink)) (string, error) {
		t.Helper()
		k := sinkAt(t, "audit", url, change...)
		c := newClient()
		defer c.close()
		return deliver(within(t), &k, e, c, false, answer)
	}
	serve := func(t *testing.T, f http.HandlerFunc) string {
		t.Helper()
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then a server notices that who asks is gone
			f(w, r)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	drip := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					if _, err := io.WriteString(w, "x"); err != nil {
						return
					}
					_ = http.NewResponseController(w).Flush()
				case <-r.Context().Done():
					return
				}
			}
		}
	}
	t.Run("a drip after it is taken", func(t *testing.T) {
		if _, err := try(t, serve(t, drip(200)), 20*time.Second); err != nil {
			t.Error(err)
		}
	})
	t.Run("a drip of a refusal", func(t *testing.T) {
		if _, err := try(t, serve(t, drip(500)), 200*time.Millisecond); err == nil || !strings.Contains(err.Error(), "500") || len(err.Error()) > 1000 {
			t.Errorf("it says %v", err)
		}
	})
	t.Run("no answer", func(t *testing.T) {
		_, err := try(t, serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), 200*time.Millisecond)
		if err == nil || !strings.Contains(err.Error(), "did not answer in 200ms") {
			t.Errorf("it says %v", err)
		}
	})
	t.Run("a huge body", func(t *testing.T) {
		_, err := try(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, strings.Repeat("x", 8<<20))
		}), 20*time.Second)
		if err == nil || len(err.Error()) > 1000 {
			t.Errorf("it says %v", err)
		}
	})
	t.Run("redirects", func(t *testing.T) {
		for to, names := range map[string]string{"http://169.254.169.254/latest": "169.254.169.254", elsewhere.URL: "127.0.0.1", "/other": "another address"} {
			_, err := try(t, serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusTemporaryRedirect) }), 20*time.Second)
			if err == nil || !strings.Contains(err.Error(), "redirects to "+names) {
				t.Errorf("of %s it says %v", to, err)
			}
		}
		if n := elsewhere.tries(); n != 0 {
			t.Errorf("a redirect was followed %d times", n)
		}
	})
	t.Run("a link-local address", func(t *testing.T) {
		if _, err := try(t, "http://169.254.169.254/x", 20*time.Second); err == nil || !strings.Contains(err.Error(), "not allowed here") {
			t.Errorf("it says %v", err)
		}
	})
	t.Run("wrong TLS", func(t *testing.T) {
		s := httptest.NewTLSServer(http.NotFoundHandler())
		t.Cleanup(s.Close)
		if _, err := try(t, s.URL+"/secret-path", 20*time.Second); err == nil || !strings.Contains(err.Error(), "ca_file") || strings.Contains(err.Error(), "secret-path") {
			t.Errorf("it says %v", err)
		}
	})
	t.Run("an answer that repeats secrets", func(t *testing.T) {
		_, err := try(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.URL.Path+" "+r.Header.Get("Authorization"), http.StatusForbidden)
		})+"/services/T0123456789", 20*time.Second, func(k *form.Sink) { k.HeadersFile = file(t, "Authorization: Bearer 0123456789abcdef\n") })
		if err == nil || strings.Contains(err.Error(), "T0123456789") || strings.Contains(err.Error(), "0123456789abcdef") {
			t.Errorf("it says %v", err)
		}
	})
}

// TestFilesThatAreWrong are named, with what is wrong, and nothing of what is in them; mended, they count at once.
func TestFilesThatAreWrong(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	address := file(t, "https://ann:geheim@x\n")
	for name, test := range map[string]struct {
		change func(*form.Sink)
		says   string
	}{
		"no file of the address": {func(k *form.Sink) { k.URL, k.URLFile = "", "none" }, "url_file: reading a secret: open none"},
		"a bad address":          {func(k *form.Sink) { k.URL, k.URLFile = "", address }, "has a name or password"},
		"no secret":              {func(k *form.Sink) { k.SecretFile = "none" }, "secret_file: "},
		"a bad secret":           {func(k *form.Sink) { k.SecretFile = file(t, "whsec_???geheim") }, "begins with whsec_, but base64 does not follow"},
		"a bad header":           {func(k *form.Sink) { k.HeadersFile = file(t, "X-Good: 1\ngeheim\n") }, "file:2 is no header"},
		"a header that is ours":  {func(k *form.Sink) { k.HeadersFile = file(t, "webhook-id: geheim\n") }, "file:1 sets Webhook-Id"},
		"no authorities":         {func(k *form.Sink) { k.CAFile = file(t, "geheim") }, "has no certificate in PEM"},
	} {
		k := sinkAt(t, "audit", r.URL)
		test.change(&k)
		err := Check(within(t), &k)
		if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: it says %v", name, err)
		}
	}
	running(t, worker(t, s.client(t), []form.Sink{sinkAt(t, "audit", "", func(k *form.Sink) { k.URLFile = address })}))
	s.begun(t, "audit")
	s.happens(t, "production", "x")
	eventually(t, "it is said what is wrong", func() bool { return strings.Contains(s.record(t, "audit").Problem, "has a name or password") })
	must(t, os.WriteFile(address, []byte(r.URL), 0o600))
	eventually(t, "the event is there", func() bool { return len(r.all()) == 1 })
}

// TestMatrixIsPutUnderTheEventsName, so that it is there once.
func TestMatrixIsPutUnderTheEventsName(t *testing.T) {
	r := newReceiver(t)
	k := sinkAt(t, "chat", r.URL+"/_matrix/client/v3/rooms/%21room%3Aexample.com/send/m.room.message", func(k *form.Sink) { k.Format = form.Matrix })
	e := (&form.Site{}).Sample("rollout.changed")
	status, err := Try(within(t), &k, e)
	if err != nil || status != "202 Accepted" {
		t.Fatalf("%s, %v", status, err)
	}
	if got := r.all()[0]; got.method != http.MethodPut || got.path != "/_matrix/client/v3/rooms/%21room%3Aexample.com/send/m.room.message/"+e.ID {
		t.Errorf("it came as %s %s", got.method, got.path)
	}
}

// TestARecordThatIsGoneIsWrittenAgain, as that of a store that begins anew.
func TestARecordThatIsGoneIsWrittenAgain(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	running(t, worker(t, s.client(t), []form.Sink{sinkAt(t, "audit", r.URL)}))
	s.begun(t, "audit")
	e, err := store.Sinks(s.admin).Current(within(t), messages.SinkKey("audit"))
	must(t, err)
	must(t, store.Sinks(s.admin).Delete(within(t), e.Key, e.Revision))
	s.happens(t, "production", "x")
	eventually(t, "the event is there", func() bool { return len(r.reasons("production")) == 1 })
	s.happens(t, "production", "y")
	eventually(t, "the next is there", func() bool { return len(r.reasons("production")) == 2 })
	eventually(t, "the record is there", func() bool { return !s.record(t, "audit").Sent.IsZero() })
}

// TestAnEventIsCalledWrongAfterAnOutage, of which the tries don't count: it is given up once it was called wrong so often.
func TestAnEventIsCalledWrongAfterAnOutage(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	answers := make(chan int, 16)
	for range refusedMost {
		answers <- http.StatusBadGateway
	}
	answers <- http.StatusBadRequest // of a proxy that has only begun
	r.answers(func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		select {
		case code := <-answers:
			w.WriteHeader(code)
			return true
		default:
			return false
		}
	})
	running(t, worker(t, s.client(t), []form.Sink{sinkAt(t, "audit", r.URL)}))
	s.begun(t, "audit")
	s.happens(t, "production", "x")
	eventually(t, "it is there, or given up", func() bool { return len(r.all())+len(s.letters(t)) > 0 })
	if n := len(s.letters(t)); n > 0 {
		t.Error("it is given up after one refusal")
	}
}

// TestSecretsOfAnAddressAreInNoError, in whatever part of it they are, and however much of it the sink repeats.
func TestSecretsOfAnAddressAreInNoError(t *testing.T) {
	e := (&form.Site{}).Sample("build.failed")
	for address, says := range map[string]string{
		"/hooks/T0123456789?token=geheim-geheim": "the token geheim-geheim is unknown",
		"/hooks/T0123456789/geheim-geheim":       "no hook geheim-geheim",
		"/hooks/T0123456789/geheim%2Dgeheim":     "no hook geheim-geheim",
		"/hooks/geheim-geheim/x":                 `{"error":"no \/hooks\/geheim-geheim\/x"}`,
		"/hooks/x?a=b&sig=geheim%2Dgeheim&c=d":   "bad signature geheim-geheim",
		"/hooks/x?code=geheim-geheim&c=d":        "of code=geheim-geheim nothing is known",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, says, http.StatusForbidden) }))
		k := sinkAt(t, "audit", srv.URL+address)
		_, err := Try(within(t), &k, e)
		srv.Close()
		if err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("of %s it says %v", address, err)
		}
	}
}

// TestATemplateForMatrixIsPutToo: with the format beside it, which says how a message is sent.
func TestATemplateForMatrixIsPutToo(t *testing.T) {
	r := newReceiver(t)
	k := sinkAt(t, "chat", r.URL+"/send/m.room.message", func(k *form.Sink) {
		k.Format, k.Template = form.Matrix, `{"msgtype": "m.notice", "body": {{json .Text}}}`
	})
	e := (&form.Site{}).Sample("rollout.changed")
	if _, err := Try(within(t), &k, e); err != nil {
		t.Fatal(err)
	}
	if got := r.all()[0]; got.method != http.MethodPut || got.path != "/send/m.room.message/"+e.ID || !strings.Contains(got.body, "m.notice") {
		t.Errorf("it came as %s %s: %s", got.method, got.path, got.body)
	}
}

// TestMatrixWithAQuery has the event's name at the end of the path.
func TestMatrixWithAQuery(t *testing.T) {
	r := newReceiver(t)
	var uri string
	r.answers(func(_ http.ResponseWriter, req *http.Request, _ string) bool { uri = req.RequestURI; return false })
	k := sinkAt(t, "chat", r.URL+"/rooms/%21room%3Aexample.com/send/m.room.message?user_id=%40x%3Ay", func(k *form.Sink) { k.Format = form.Matrix })
	e := (&form.Site{}).Sample("rollout.changed")
	if _, err := Try(within(t), &k, e); err != nil || uri != "/rooms/%21room%3Aexample.com/send/m.room.message/"+e.ID+"?user_id=%40x%3Ay" {
		t.Errorf("it came as %s, %v", uri, err)
	}
}

// TestAnEventIsTakenByItsStatus: the next one doesn't wait for the end of the answer, which servers send late or never.
func TestAnEventIsTakenByItsStatus(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	var open, most atomic.Int32
	r.answers(func(w http.ResponseWriter, req *http.Request, body string) bool {
		r.mu.Lock()
		r.got = append(r.got, post{body: body})
		r.mu.Unlock()
		if n := open.Add(1); n > most.Load() {
			most.Store(n)
		}
		_ = http.NewResponseController(w).Flush()
		<-req.Context().Done()
		open.Add(-1)
		return true
	})
	k := s.follower(t, sinkAt(t, "audit", r.URL))
	for _, reason := range numbered("e", 0, restMost) {
		s.happens(t, "production", reason)
	}
	for range restMost {
		k.round(t)
	}
	if got := r.reasons("production"); !slices.Equal(got, numbered("e", 0, restMost)) || len(k.line) > 0 {
		t.Errorf("%d wait, there came %v", len(k.line), got)
	}
	if most.Load() < 2 {
		t.Error("each waited for the end of the answer to the one before")
	}
	k.client.close()
	eventually(t, "all answers are ended", func() bool { return open.Load() == 0 })
}
