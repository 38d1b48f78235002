package sinks

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/sinks/form"
)

// TestASinkThatRefusesEverythingLosesNothing: after a few events it is the sink that is wrong, or what it is sent: the others wait.
func TestASinkThatRefusesEverythingLosesNothing(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	r.answers(func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		http.Error(w, "bad signature", http.StatusBadRequest)
		return true
	})
	running(t, worker(t, s.client(t), []form.Sink{sinkAt(t, "audit", r.URL)}))
	s.begun(t, "audit")
	for _, reason := range numbered("e", 0, 20) {
		s.happens(t, "production", reason)
	}
	eventually(t, "it is said", func() bool {
		return strings.Contains(s.record(t, "audit").Problem, "it refuses one event after the other: ") && r.tries() > wrongMost*refusedMost+3
	})
	if n := len(s.letters(t)); n != wrongMost {
		t.Errorf("%d are given up", n)
	}
	r.answers(nil)
	eventually(t, "the others are there", func() bool { return slices.Equal(r.reasons("production"), numbered("e", wrongMost, 20)) })
	eventually(t, "nothing is wrong any more", func() bool { return s.record(t, "audit").Problem == "" })
}

// TestAnEventThatIsRefusedCountsOnce though NATS does not take its dead letter for long.
func TestAnEventThatIsRefusedCountsOnce(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	k := s.follower(t, sinkAt(t, "audit", r.URL))
	s.happens(t, "production", "x")
	k.tail.look(within(t))
	must(t, k.refill(within(t)))
	k.line[0].refused = refusedMost
	away, cancel := context.WithCancel(t.Context())
	cancel()
	for range wrongMost {
		if k.giveUpOld(away) == nil {
			t.Fatal("it is kept")
		}
	}
	must(t, k.giveUpOld(within(t)))
	if k.wrong != 1 || len(s.letters(t)) != 1 {
		t.Errorf("%d are refused in a row, and %d kept", k.wrong, len(s.letters(t)))
	}
}

// TestLittleIsSentTwiceAfterAKill: no more is sent than so much of which it is not written down, however long that takes.
func TestLittleIsSentTwiceAfterAKill(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	k := s.follower(t, sinkAt(t, "audit", r.URL))
	for _, reason := range numbered("e", 0, 2*unnotedMost) {
		s.happens(t, "production", reason)
	}
	for range 2 * unnotedMost {
		k.round(t)
	}
	if n := len(r.all()); n != unnotedMost {
		t.Errorf("%d were sent", n)
	}
	must(t, k.save(within(t)))
	for range 2 * unnotedMost {
		k.round(t)
	}
	if got := r.reasons("production"); !slices.Equal(got, numbered("e", 0, 2*unnotedMost)) {
		t.Errorf("there came %v", got)
	}
}

// TestARecordWhoseWriteWasNotAnsweredIsWrittenOn, the first one of a sink, too.
func TestARecordWhoseWriteWasNotAnsweredIsWrittenOn(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	k := s.follower(t, sinkAt(t, "audit", r.URL))
	for range 2 {
		before := k.revision
		must(t, k.save(within(t)))
		k.revision, k.dirty = before, true // as far as the worker knows
		must(t, k.save(within(t)))
	}
	if k.revision <= 1 {
		t.Errorf("it is at revision %d", k.revision)
	}
}

// TestASinkThatWantsNoMoreIsSaidToWhateverElseWasOnItsWay.
func TestASinkThatWantsNoMoreIsSaidToWhateverElseWasOnItsWay(t *testing.T) {
	s, r := newSite(t), newReceiver(t)
	k := s.follower(t, sinkAt(t, "audit", r.URL))
	s.happens(t, "production", "x")
	s.happens(t, "staging", "x")
	k.tail.look(within(t))
	must(t, k.refill(within(t)))
	one, other := k.line[0], k.line[1]
	k.sending = 2
	k.settle(result{one, &answerError{status: http.StatusGone}})
	k.settle(result{other, nil})
	if k.record.Gone == "" || !strings.Contains(k.problem, "it wants no more") || k.sending != 0 {
		t.Errorf("it is said that %q", k.problem)
	}
}

// TestWhatKeepsEventsIsSaidInTheSameWords at each try, so that it is logged once.
func TestWhatKeepsEventsIsSaidInTheSameWords(t *testing.T) {
	ended := x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{NotAfter: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
	for name, test := range map[string]struct {
		err  func(try int) error
		says string
	}{
		"a certificate that has ended": {func(try int) error {
			ended.Detail = fmt.Sprintf("current time is %d", try)
			return fmt.Errorf("tls: failed to verify certificate: %w", ended)
		}, "x: its certificate is good from 0001-01-01T00:00:00Z to 2026-01-02T03:04:05Z: have it renewed there, or look at the clock here"},
		"a connection that breaks": {func(try int) error {
			at := func(port int) net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port} }
			return &net.OpError{Op: "read", Net: "tcp", Source: at(50000 + try), Addr: at(80), Err: errors.New("connection reset by peer")}
		}, "x: read tcp 127.0.0.1:80: connection reset by peer"},
	} {
		for try := range 2 {
			if got := unanswered("x", &url.Error{Op: "Post", URL: "https://x/geheim", Err: test.err(try)}).Error(); got != test.says {
				t.Errorf("%s: it says %s", name, got)
			}
		}
	}
}
