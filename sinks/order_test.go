package sinks

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/sinks/form"
)

// TestMuchBehindAFailingEventHoldsUpNoOtherFleet, however much it is.
func TestMuchBehindAFailingEventHoldsUpNoOtherFleet(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	r.answers(func(w http.ResponseWriter, _ *http.Request, body string) bool {
		if strings.Contains(body, `"poison"`) {
			w.WriteHeader(http.StatusInternalServerError)
		}
		return strings.Contains(body, `"poison"`)
	})
	running(t, worker(t, s.client(t), []form.Sink{sinkAt(t, "audit", r.URL)}))
	s.begun(t, "audit")
	s.happens(t, "production", "poison")
	for _, reason := range numbered("e", 0, 3*lineLeast) {
		s.happens(t, "production", reason)
	}
	s.happens(t, "staging", "x")
	eventually(t, "staging's event is there", func() bool { return len(r.reasons("staging")) == 1 })
}

// observer does something after a request.
type observer struct{ after func() }

func (o *observer) Answered(time.Duration) { o.after() }
func (*observer) Failed(string)            {}

// TestAFleetsEventsComeInOrderThoughTwoStreamsHaveThem: one is stored, and another after it, while the streams are looked at, the
// first of them where it was looked already.
func TestAFleetsEventsComeInOrderThoughTwoStreamsHaveThem(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	watching := &observer{after: func() {}}
	q := s.Connect(t, queuetest.Credentials("statuses"), func(o *queue.Options) { o.Asks, o.Observer = true, watching })
	w := worker(t, q, nil)
	k := w.newSink(sinkAt(t, "audit", r.URL), newTail(w))
	must(t, k.load(within(t)))
	watching.after = func() {
		watching.after = func() {}
		must(t, s.admin.Publish(within(t), "", &messages.RolloutChanged{Fleet: "production", Rollout: "production-b", State: messages.RolloutPreloading, Why: "first"}))
		s.happens(t, "production", "second")
	}
	for len(r.all()) < 2 {
		k.tail.look(within(t))
		must(t, k.refill(within(t)))
		k.start(within(t))
		for k.sending > 0 {
			k.settle(<-k.results)
		}
	}
	if first := r.all()[0].body; !strings.Contains(first, `"first"`) {
		t.Errorf("first came %s", first)
	}
}
