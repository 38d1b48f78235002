package builds_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/nats-io/nats.go/jetstream"
)

// dead waits until there are n dead letters.
func dead(t *testing.T, c *queue.Client, n int) []messages.DeadLetter {
	t.Helper()
	var out []messages.DeadLetter
	eventually(t, "the dead letters are there", func() bool {
		letters, err := queueOf(c).DeadLetters(t.Context())
		out = letters
		return err == nil && len(letters) == n
	})
	return out
}

func TestARequeuedEventIsGivenAgain(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	once := ready(request("base", 1))
	once.BuildRef = messages.BuildRef{Build: "base-x", Pipeline: "base", Order: 1}
	m, err := messages.Encode(c.Envelope("base-x", ""), once)
	must(t, err)
	_, err = c.PublishOnce(within(t), c.Space().Subject(once), m)
	must(t, err)
	must(t, c.Publish(within(t), "", &messages.NodeFailed{Fleet: "f", Node: "n1"}))
	seen := make(chan messages.Type, 9)
	var mu sync.Mutex // events of different types come at one time
	times := map[messages.Type]int{}
	go func() {
		types := []messages.Type{messages.TypeImageReady, messages.TypeNodeFailed}
		_ = c.ConsumeEvents(t.Context(), "controllers", types, func(_ context.Context, r queue.Received) error {
			kind := r.Payload.MessageType()
			mu.Lock()
			times[kind]++
			first := times[kind] == 1
			mu.Unlock()
			if first {
				return queue.Permanent(errors.New("never"))
			}
			seen <- kind
			return nil
		})
	}()
	for _, l := range dead(t, c, 2) {
		must(t, errorOf(queueOf(c).RequeueDeadLetter(within(t), builds.LetterName(l), "ann")))
		t.Logf("%s was given again", <-seen)
	}
	dead(t, c, 0)
	if got := endings(t, c); got["image.ready base-x"] != 1 || len(got) != 1 {
		t.Errorf("events are %v", got)
	}
}

// TestALetterIsOfTheStreamThatItsSubjectNames, which says who may keep it: what it says itself of another is not believed.
func TestALetterIsOfTheStreamThatItsSubjectNames(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	asked := request("base", 1)
	m, err := messages.Encode(c.Envelope("x", ""), asked)
	must(t, err)
	l := &messages.DeadLetter{Stream: c.Space().RequestsStream(), Sequence: 5, Subject: c.Space().Subject(asked), Reason: "x", Headers: m.Headers, Body: m.Body}
	forged, err := messages.Encode(c.Envelope("x", ""), l)
	must(t, err)
	own := &messages.DeadLetter{Stream: c.Space().SinksStream(), Sequence: 5}
	_, err = c.Store(within(t), c.Space().Subject(own), forged)
	must(t, err)
	if _, err := queueOf(c).RequeueDeadLetter(within(t), builds.LetterName(*own), "ann"); err == nil {
		t.Error("it is requeued")
	}
	if info, err := c.Info(within(t), c.Space().RequestsStream()); err != nil || info.Last != 0 {
		t.Errorf("there are %d requests, %v", info.Last, err)
	}
}

func TestALetterTakesThePlaceOfNoEventButItsOwn(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	kept := ready(request("base", 1))
	kept.BuildRef = messages.BuildRef{Build: "base-x", Pipeline: "base", Order: 1}
	must(t, c.Publish(within(t), "", kept))
	other := ready(request("base", 2))
	other.BuildRef = messages.BuildRef{Build: "base-y", Pipeline: "base", Order: 2}
	m, err := messages.Encode(c.Envelope("base-y", ""), other)
	must(t, err)
	l := &messages.DeadLetter{
		Stream: c.Space().EventsStream(), Sequence: 7, Subject: c.Space().Subject(kept), Reason: "no", Headers: m.Headers, Body: m.Body,
	}
	must(t, c.Publish(within(t), "", l))
	if _, err := queueOf(c).RequeueDeadLetter(within(t), builds.LetterName(*l), "ann"); err == nil || !strings.Contains(err.Error(), "drop the letter") {
		t.Errorf("requeueing it: %v", err)
	}
	if got := endings(t, c); got["image.ready base-x"] != 1 || len(got) != 1 {
		t.Errorf("events are %v", got)
	}
}

func TestWhateverAStreamTookCanBeKeptAsADeadLetter(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	consume(t, c, work(succeed))
	subject := c.Space().RequestSubject("base")
	huge := bytes.Repeat([]byte("x"), 900<<10) // with its headers and in base 64 it is more than a message may be
	_, err := queuetest.JetStream(t, c).Publish(within(t), subject, huge)
	must(t, err)
	_, err = queuetest.JetStream(t, c).Publish(within(t), subject+".é", []byte("{"))
	must(t, err)
	letters := dead(t, c, 2)
	if l := letters[0]; l.Omitted != len(huge) || l.Body != nil || l.Subject != subject || l.Reason == "" {
		t.Errorf("the letter of a huge message is %+v", l)
	}
	for i, want := range []string{"too big", "subject"} {
		name := builds.LetterName(letters[i])
		if _, err := queueOf(c).RequeueDeadLetter(within(t), name, "ann"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("requeueing %s: %v", name, err)
		}
		must(t, queueOf(c).DropDeadLetter(within(t), name))
	}
	dead(t, c, 0)
}

func TestALongReasonIsCut(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	reason := strings.Repeat("é", 1<<20)
	consume(t, c, work(func(context.Context, *builds.Job) (messages.Payload, error) { return nil, errors.New(reason) }))
	r := ended(t, c, submit(t, c, request("base", 1)).Build)
	letters := dead(t, c, 1)
	for what, got := range map[string]string{
		"last error": r.LastError, "failure": r.Failure.Reason, "letter": letters[0].Reason,
	} {
		if !strings.HasPrefix(got, "éé") || len(got) > 10<<10 {
			t.Errorf("the %s has %d bytes", what, len(got))
		}
	}
}

// TestALetterGoesOnceTheSameIsBuiltAgain fails a push by the machines' fault, and has it told again, or seen at the
// head of its branch after something else was asked for; or waits until the build is forgotten.
func TestALetterGoesOnceTheSameIsBuiltAgain(t *testing.T) {
	for name, then := range map[string]func(t *testing.T, s *queuetest.Server, c *queue.Client){
		"told again": func(t *testing.T, _ *queuetest.Server, c *queue.Client) {
			if a := submit(t, c, request("base", 1)); a.Repeats == "" {
				t.Errorf("told again it is %+v", a)
			}
		},
		"seen at the head": func(t *testing.T, _ *queuetest.Server, c *queue.Client) {
			other := request("base", 2)
			other.Ref = "refs/heads/other"
			submit(t, c, other)
			a, err := queueOf(c).RequestHead(within(t), request("base", 1), "")
			must(t, err)
			if a.Duplicate || a.Repeats == "" {
				t.Errorf("seen at the head it is %+v", a)
			}
		},
		"forgotten": func(t *testing.T, s *queuetest.Server, c *queue.Client) {
			submit(t, c, request("base", 2)) // the last of a pipeline is not forgotten
			s.Limit(t, c.Space().EventsStream(), func(cfg *jetstream.StreamConfig) { cfg.MaxAge = 200 * time.Millisecond })
			consume(t, c, work(succeed))
			eventually(t, "its record is dropped", func() bool {
				report, err := queueOf(c).Sweep(within(t))
				must(t, err)
				return report.Dropped > 0
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := queuetest.Start(t)
			c := s.Client(t)
			stop := consume(t, c, work(func(context.Context, *builds.Job) (messages.Payload, error) {
				return nil, queue.Permanent(errAway)
			}))
			a := submit(t, c, request("base", 1))
			ended(t, c, a.Build)
			dead(t, c, 1)
			settled(t, c)
			stop()
			then(t, s, c)
			dead(t, c, 0)
		})
	}
}
