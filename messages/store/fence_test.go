package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats.go"
)

// hearing answers questions as a controller does, and says what it heard.
func hearing(t *testing.T, c *queue.Client) <-chan messages.FenceAsked {
	t.Helper()
	heard := make(chan messages.FenceAsked, 100)
	go func() {
		_ = store.HearFence(t.Context(), c, func(asked messages.FenceAsked) {
			heard <- asked
			_ = store.AnswerFence(c, messages.FenceAnswered{Ask: asked.Ask, Fleet: asked.Fleet, Store: messages.FenceKato, Value: "a/b"})
		})
	}()
	return heard
}

func TestOperatorsAloneAskControllersOfFenceConfigs(t *testing.T) {
	s, as := guarded(t)
	controller, operator := as("controller"), as("operator")
	must(t, store.Declare(within(t), controller, store.Layout{}))
	revision := fleetRecord(t, controller, "production")
	heard := hearing(t, controller)
	got, err := store.AskFence(within(t), operator, messages.FenceAsked{Fleet: "production"})
	if err != nil || got.Value != "a/b" || got.Store != messages.FenceKato || (<-heard).Set != nil {
		t.Fatalf("the answer is %+v, %v", got, err)
	}
	for _, user := range []string{"n1", "builder", "producer"} {
		refused(t, s, user, "fenceline.fence.asked.v1.production", "fenceline.fence.asked.v2.production", "fenceline.fence.answered.v1.production.x")
		listens(t, s, user, "fenceline.fence.>", "fenceline.fence.asked.v1.production", "fenceline.fence.answered.v1.production.x")
	}
	refused(t, s, "controller", "fenceline.fence.asked.v1.production")
	// Nor does a server's answer to one of them become a question.
	for _, u := range askers() {
		nc, err := nats.Connect(s.URL(), nats.UserInfo(u.name, "secret"), nats.Timeout(queuetest.TestTime), nats.CustomInboxPrefix("_INBOX_"+u.name),
			nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		must(t, err)
		for _, subject := range u.may.Publish {
			subject = strings.NewReplacer("*", "v1", ">", "x.y").Replace(subject)
			for _, body := range bodies {
				must(t, nc.PublishRequest(subject, "fenceline.fence.asked.v1.production", []byte(body)))
			}
		}
		must(t, nc.FlushWithContext(within(t)))
		nc.Close()
	}
	settle(t, as("admin"))
	// And a question's reply subject is not written to, by whomever it is put.
	raw := queuetest.JetStream(t, as("admin")).Conn()
	asked := &messages.FenceAsked{Ask: "abcdefgh", Fleet: "production"}
	m, err := messages.Encode(operator.Envelope("production", ""), asked)
	must(t, err)
	must(t, raw.PublishMsg(&nats.Msg{
		Subject: operator.Space().Subject(asked), Reply: "$KV.fenceline-fleets.production", Header: nats.Header(m.Headers), Data: m.Body,
	}))
	if q := <-heard; q.Ask != "abcdefgh" {
		t.Errorf("somebody else's question was heard: %+v", q)
	}
	_, err = store.AskFence(within(t), operator, messages.FenceAsked{Fleet: "production"}) // after it
	must(t, err)
	if f, err := store.Fleets(operator).Get(within(t), "production"); err != nil || f.Revision != revision {
		t.Errorf("the fleet's record is at %d, not %d, %v", f.Revision, revision, err)
	}
}

func TestAQuestionThatNobodyHears(t *testing.T) {
	_, as := guarded(t)
	operator := as("operator")
	short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := store.AskFence(short, operator, messages.FenceAsked{Fleet: "production"}); !errors.Is(err, queue.ErrNobody) {
		t.Errorf("with nobody there: %v", err)
	}
	if _, err := store.AskFence(within(t), as("builder"), messages.FenceAsked{Fleet: "production"}); !errors.Is(err, queue.ErrForbidden) {
		t.Errorf("of a builder: %v", err)
	}
	if _, err := store.AskFence(within(t), operator, messages.FenceAsked{Fleet: "a.b"}); err == nil || !strings.Contains(err.Error(), "lower-case letters") {
		t.Errorf("of a fleet that is none: %v", err)
	}
	// It is put until somebody is there, and once alone then.
	answered := make(chan error, 1)
	go func() {
		_, err := store.AskFence(within(t), operator, messages.FenceAsked{Fleet: "production"})
		answered <- err
	}()
	heard := hearing(t, as("controller"))
	must(t, <-answered)
	if <-heard; len(heard) > 0 {
		t.Errorf("it was put again: %+v", <-heard)
	}
}

func TestAQuestionWithoutAnAnswer(t *testing.T) {
	s, as := guarded(t)
	deaf, err := nats.Connect(s.URL(), nats.UserInfo("admin", "secret"), nats.Timeout(queuetest.TestTime))
	must(t, err)
	defer deaf.Close()
	_, err = deaf.SubscribeSync("fenceline.fence.asked.>")
	must(t, err)
	must(t, deaf.FlushWithContext(within(t)))
	short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := store.AskFence(short, as("operator"), messages.FenceAsked{Fleet: "production"}); !errors.Is(err, queue.ErrUnanswered) {
		t.Errorf("it says %v", err)
	}
}
