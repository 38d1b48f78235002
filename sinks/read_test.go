package sinks

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/sinks/form"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// follower is a sink of a worker that nothing else is done for than what a test does.
func (s *site) follower(t *testing.T, f form.Sink, change ...func(*Config)) *sink {
	t.Helper()
	w := worker(t, s.client(t), nil, change...)
	k := w.newSink(f, newTail(w))
	must(t, k.load(within(t)))
	return k
}

// round reads and sends what there is, once.
func (k *sink) round(t *testing.T) {
	t.Helper()
	k.tail.look(within(t))
	must(t, k.refill(within(t)))
	k.start(within(t))
	k.await()
}

// limit has a stream keep its last messages alone, as its limits do.
func (s *site) limit(t *testing.T, stream string, keep int64) {
	t.Helper()
	js := queuetest.JetStream(t, s.admin)
	x, err := js.Stream(within(t), stream)
	must(t, err)
	config := x.CachedInfo().Config
	config.MaxMsgs = keep
	_, err = js.UpdateStream(within(t), config)
	must(t, err)
}

// TestWhatAStreamRemovesUnsentIsCounted: what was read and failed, what was not read, and that by a worker that goes on as by one
// that begins; and the rest is sent.
func TestWhatAStreamRemovesUnsentIsCounted(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	r.status(http.StatusServiceUnavailable)
	audit := sinkAt(t, "audit", r.URL)
	k := s.follower(t, audit)
	for _, reason := range numbered("e", 0, 5) {
		s.happens(t, "production", reason)
	}
	k.round(t)
	must(t, k.save(within(t)))
	for _, reason := range numbered("e", 5, 10) {
		s.happens(t, "production", reason)
	}
	s.limit(t, s.admin.Space().ReportsStream(), 3)
	if k = s.follower(t, audit); k.record.Lost > 0 {
		t.Fatalf("%d are lost of what was not looked for", k.record.Lost)
	}
	r.answers(nil)
	k.round(t)
	must(t, k.save(within(t)))
	if got := s.record(t, "audit"); got.Lost != 7 || got.LostAt.IsZero() {
		t.Errorf("the record is %+v", got)
	}
	for _, reason := range numbered("e", 10, 15) { // while this worker looks elsewhere
		s.happens(t, "production", reason)
	}
	for range 5 {
		k.round(t)
	}
	if got := r.reasons("production"); k.record.Lost != 9 || !slices.Equal(got, append(numbered("e", 7, 10), numbered("e", 12, 15)...)) {
		t.Errorf("%d are lost, and there came %v", k.record.Lost, got)
	}
}

// TestWhatPeopleRemoveIsNotLost: dead letters that they drop.
func TestWhatPeopleRemoveIsNotLost(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	k := s.follower(t, sinkAt(t, "audit", r.URL))
	for i := range uint64(3) {
		must(t, s.admin.KeepLetter(within(t), messages.DeadLetter{Stream: "fenceline-requests", Sequence: i + 1, Subject: "x", Reason: fmt.Sprint("r", i)}))
	}
	for _, l := range s.letters(t)[:2] {
		must(t, builds.New(s.admin).DropDeadLetter(within(t), builds.LetterName(l)))
	}
	k.round(t)
	if got := r.all(); len(got) != 1 || !strings.Contains(got[0].body, "r2") || k.record.Lost > 0 {
		t.Errorf("there came %v, and %d are lost", got, k.record.Lost)
	}
}

// TestAServerThatIsBehindIsAskedAgain: in a cluster another one than the stream's leader answers, which may not have all yet.
func TestAServerThatIsBehindIsAskedAgain(t *testing.T) {
	plain := queuetest.Start(t, func(o *server.Options) { o.JetStream = false })
	nc, err := nats.Connect(plain.URL())
	must(t, err)
	t.Cleanup(nc.Close)
	var asked, last atomic.Uint64
	answer := func(subject string, f func(m *nats.Msg) *nats.Msg) {
		_, err := nc.Subscribe(subject, func(m *nats.Msg) { _ = m.RespondMsg(f(m)) })
		must(t, err)
	}
	q := plain.Connect(t, func(o *queue.Options) { o.Asks = true })
	reports := q.Space().ReportsStream()
	answer("$JS.API.STREAM.INFO.*", func(m *nats.Msg) *nats.Msg {
		if !strings.HasSuffix(m.Subject, "."+reports) {
			return &nats.Msg{Data: []byte(`{"error":{"code":404,"err_code":10059,"description":"stream not found"}}`)}
		}
		return &nats.Msg{Data: fmt.Appendf(nil, `{"ts":%q,"state":{"messages":%d,"first_seq":1,"last_seq":%d}}`, time.Now().UTC().Format(time.RFC3339Nano), last.Load(), last.Load())}
	})
	p := &messages.NodeFailed{Fleet: "production", Node: "n1", Step: "pull", Reason: "x"}
	body, err := messages.Encode(q.Envelope(messages.About(p), ""), p)
	must(t, err)
	answer("$JS.API.DIRECT.GET.*", func(*nats.Msg) *nats.Msg {
		if asked.Add(1) < 3 || last.Load() > 1 {
			return &nats.Msg{Header: nats.Header{"Status": {"404"}}}
		}
		h := nats.Header{"Nats-Stream": {reports}, "Nats-Subject": {q.Space().Subject(p)}, "Nats-Sequence": {"1"}, "Nats-Time-Stamp": {time.Now().UTC().Format(time.RFC3339Nano)}}
		for name, values := range body.Headers {
			h[name] = values
		}
		return &nats.Msg{Header: h, Data: body.Body}
	})
	must(t, nc.Flush())
	w := worker(t, q, nil)
	k := w.newSink(sinkAt(t, "audit", newReceiver(t).URL), newTail(w))
	must(t, k.beginNow(within(t)))
	last.Store(1)
	k.tail.look(within(t))
	must(t, k.refill(within(t)))
	if len(k.line) != 1 {
		t.Errorf("%d events were read", len(k.line))
	}
	last.Store(3) // of which the leader alone has the last two
	k.tail.look(within(t))
	ctx, cancel := context.WithTimeout(within(t), 3*behindPause)
	defer cancel()
	if err := k.refill(ctx); err == nil || k.reading[reports].next != 2 || k.record.Lost > 0 {
		t.Errorf("it says %v, reads on at %d, and %d are lost", err, k.reading[reports].next, k.record.Lost)
	}
}

// TestAStreamThatIsShorterForAMomentIsNotAnother, as a new leader may not have all of it at once; one that stays so is read anew.
func TestAStreamThatIsShorterForAMomentIsNotAnother(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	for _, reason := range numbered("e", 0, 5) {
		s.happens(t, "production", reason)
	}
	k := s.follower(t, sinkAt(t, "audit", r.URL))
	reports := s.admin.Space().ReportsStream()
	k.tail.last[reports] = 3
	must(t, k.refill(within(t)))
	k.round(t)
	if got := k.reading[reports].next; got != 6 || !k.reading[reports].shorter.IsZero() {
		t.Errorf("it reads on at %d", got)
	}
	must(t, queuetest.JetStream(t, s.admin).DeleteStream(within(t), reports))
	must(t, store.Declare(within(t), s.Connect(t, queuetest.Credentials("controller")), store.Layout{}))
	s.happens(t, "production", "anew")
	k.round(t)
	if len(r.all()) > 0 {
		t.Error("it is read anew at once")
	}
	k.reading[reports].shorter = time.Now().Add(-2 * anewAfter)
	k.round(t)
	if got := r.reasons("production"); !slices.Equal(got, []string{"anew"}) || k.record.Lost > 0 {
		t.Errorf("there came %v, and %d are lost", got, k.record.Lost)
	}
}

// TestAStreamThatIsRestoredIsNotSentAgain: what was read of it before is not, but for what was still to be delivered, also by a
// worker that takes over; what is stored after that is, though it has the numbers of what is gone.
func TestAStreamThatIsRestoredIsNotSentAgain(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	audit := sinkAt(t, "audit", r.URL)
	k := s.follower(t, audit)
	reports := s.admin.Space().ReportsStream()
	ended := func() { // as if more had been read than the stream has
		k.reading[reports].until, k.reading[reports].shorter = 100, time.Now().Add(-2*anewAfter)
	}
	for _, reason := range numbered("e", 0, 3) {
		s.happens(t, "production", reason)
	}
	for range 3 {
		k.round(t)
	}
	s.happens(t, "production", "e3")
	r.status(http.StatusServiceUnavailable)
	k.round(t)
	must(t, k.save(within(t)))
	r.answers(nil)
	k = s.follower(t, audit)
	s.happens(t, "production", "e4")
	ended()
	for range 3 {
		k.round(t)
	}
	if got := r.reasons("production"); !slices.Equal(got, numbered("e", 0, 5)) || k.record.Lost > 0 || len(k.line) > 0 {
		t.Errorf("there came %v, %d wait and %d are lost", got, len(k.line), k.record.Lost)
	}
	if r := k.reading[reports]; len(r.left) > 0 || r.next != 6 {
		t.Errorf("it reads on at %d, with %v left", r.next, r.left)
	}
	k = s.follower(t, sinkAt(t, "new", r.URL)) // which begins with what happens from here on
	ended()
	k.round(t)
	if len(k.line) > 0 || len(r.all()) != 5 {
		t.Errorf("a sink that is new is sent what was before: %v", r.reasons("production"))
	}
}

// TestStreamsKeepEventsForAsLongAsASinkMayBeTried.
func TestStreamsKeepEventsForAsLongAsASinkMayBeTried(t *testing.T) {
	s := newSite(t)
	space := s.admin.Space()
	for _, stream := range store.SinkStreams(space) {
		info, err := s.admin.Info(within(t), stream)
		must(t, err)
		kept := form.KeptFor
		switch stream {
		case space.RefusalsStream():
			kept = form.RefusalsKeptFor
		case space.SinksStream(): // what a person sends again
			continue
		}
		if info.MaxAge != 0 && info.MaxAge < kept {
			t.Errorf("%s keeps what it has for %s", stream, info.MaxAge)
		}
	}
}
