package producer

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/rs/zerolog"
)

// limited is a producer that lets so many builds a second be asked for of a repository.
func limited(t *testing.T, q Queue, limit int) *Producer {
	t.Helper()
	p, err := New(Config{Pipelines: load(t, testFile), Queue: q, Tokens: []Token{{Name: "ci", Secret: messages.NewSecret(testToken)}}, RepositoryLimit: limit, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestANoisyRepositoryHasToWait, others don't, and what was refused gets through when it is sent again as it is told.
func TestANoisyRepositoryHasToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &memoryQueue{}
		p := limited(t, q, 2)
		s := senders()[0]
		push := func(i int) (int, answer, time.Duration) {
			status, a, h := serve(p, s.hook(testSecret, s.payload(baseURL, mainRef, commit(i))))
			after, _ := strconv.Atoi(h.Get("Retry-After"))
			return status, a, time.Duration(after) * time.Second
		}
		n := 0
		for ; ; n++ {
			before := len(q.pipelines())
			status, a, after := push(n)
			if status == http.StatusAccepted {
				continue
			}
			if status != http.StatusTooManyRequests || after < time.Second || len(q.pipelines()) != before || !strings.Contains(a.Error, "nothing of this webhook is stored") {
				t.Fatalf("the %dth: status %d after %v, %+v, %d are stored", n, status, after, a, len(q.pipelines())-before)
			}
			break
		}
		if want := 2 * repositoryBurst / 2; n != want { // each is of two pipelines
			t.Errorf("%d got through at once; want %d", n, want)
		}
		tools := s.hook(testOther, s.payload("https://git.example.com:2222/ops/tools.git", "refs/heads/release/1.0", testCommit))
		if status, a, _ := serve(p, tools); status != http.StatusAccepted {
			t.Errorf("another repository: status %d, %+v", status, a)
		}
		for range 100 {
			status, _, after := push(n)
			if status == http.StatusTooManyRequests {
				time.Sleep(after) //nolint:forbidigo // of the test's own time
				status, _, _ = push(n)
			}
			if status != http.StatusAccepted {
				t.Fatalf("sent again as it was told: status %d", status)
			}
			n++
		}
	})
}

// TestALargePushPassesASmallLimit, once.
func TestALargePushPassesASmallLimit(t *testing.T) {
	l := newLimiter(1, 50)
	now := time.Now()
	if l.wait("a", now) != 0 || !l.spend("a", 1000, now) {
		t.Error("it doesn't pass")
	}
	if wait := l.wait("a", now); wait != 951*time.Second {
		t.Errorf("the next one waits %v", wait)
	}
	if l.wait("b", now) != 0 || l.wait("a", now.Add(951*time.Second)) != 0 {
		t.Error("it is held longer, or others are")
	}
	if newLimiter(0, 0).spend("a", 10, now) || newLimiter(0, 0).wait("a", now) != 0 {
		t.Error("no limit is one")
	}
}

// TestBucketsAreBounded has more keys than are kept.
func TestBucketsAreBounded(t *testing.T) {
	l, now := newLimiter(1, 10), time.Now()
	for i := range 3 * maxBuckets {
		l.spend(fmt.Sprint(i), 5, now)
		if i%maxBuckets == 0 {
			now = now.Add(time.Minute)
		}
	}
	s := newAddresses()
	for i := range 3 * maxBuckets {
		s.right(fmt.Sprint(i), now)
	}
	if len(l.buckets) > maxBuckets || len(s.known) > maxBuckets {
		t.Errorf("%d and %d are kept", len(l.buckets), len(s.known))
	}
}

// TestWrongSignaturesMakeAnAddressWait, but not others, nor one that something right came from before.
func TestWrongSignaturesMakeAnAddressWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProducer(t, &memoryQueue{}, zerolog.Nop())
		s := senders()[0]
		body := s.payload(baseURL, mainRef, testCommit)
		from := func(address string, r *http.Request) (int, http.Header) {
			r.RemoteAddr = address + ":1"
			status, _, h := serve(p, r)
			return status, h
		}
		wrong := func(address string) int {
			for n := range 2 * failuresBurst {
				if status, h := from(address, s.hook("guess", body)); status != http.StatusUnauthorized {
					if status != http.StatusTooManyRequests || h.Get("Retry-After") == "" || h.Get("Connection") != "close" {
						t.Errorf("status %d, %v", status, h)
					}
					return n
				}
			}
			return 2 * failuresBurst
		}
		const forge, stranger = "198.51.100.7", "192.0.2.66"
		if status, _ := from(forge, s.hook(testSecret, body)); status != http.StatusAccepted {
			t.Fatalf("status %d", status)
		}
		if n := wrong(stranger); n != failuresBurst {
			t.Errorf("a stranger has %d tries; want %d", n, failuresBurst)
		}
		guess := httptest.NewRequest(http.MethodPost, "/v1/builds", strings.NewReader("{}"))
		guess.Header.Set("Authorization", "Bearer guess")
		if status, _ := from(stranger, guess); status != http.StatusTooManyRequests {
			t.Errorf("a guess of the token by it: status %d", status)
		}
		if n := wrong(forge); n != 2*failuresBurst {
			t.Errorf("a forge's address waits after %d", n)
		}
		if status, _ := from(forge, s.hook(testSecret, body)); status != http.StatusAccepted {
			t.Errorf("a right one of it: status %d", status)
		}
		if status, _ := from("203.0.113.1", s.hook(testSecret, body)); status != http.StatusAccepted {
			t.Errorf("another address: status %d", status)
		}
		if status, _ := from(stranger, httptest.NewRequest(http.MethodGet, "/healthz", nil)); status != http.StatusOK {
			t.Errorf("its question for health: status %d", status)
		}
		time.Sleep(time.Second) //nolint:forbidigo // of the test's own time
		if status, _ := from(stranger, s.hook(testSecret, body)); status != http.StatusAccepted {
			t.Errorf("a right one after a second: status %d", status)
		}
	})
}

// TestANetworkOfIPv6IsOneSender, whether it connects itself or a proxy says so: one machine may have all of its addresses.
func TestANetworkOfIPv6IsOneSender(t *testing.T) {
	p, err := New(Config{Pipelines: load(t, testFile), Queue: &memoryQueue{}, Forwarding: Forwarding{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}}, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	s := senders()[0]
	for _, way := range []struct {
		about string
		from  func(r *http.Request, address string)
	}{
		{"itself", func(r *http.Request, address string) { r.RemoteAddr = "[2001:db8::" + address + "]:1000" }},
		{"by a proxy", func(r *http.Request, address string) {
			r.RemoteAddr = "10.0.0.1:1000"
			r.Header.Set(ForwardedFor, "2001:db8:1::"+address)
		}},
	} {
		waits := false
		for i := range 2 * failuresBurst {
			r := s.hook("guess", "{}")
			way.from(r, strconv.FormatInt(int64(i+1), 16))
			status, _, _ := serve(p, r)
			waits = waits || status == http.StatusTooManyRequests
		}
		if !waits {
			t.Errorf("%s: it never waits", way.about)
		}
	}
}
