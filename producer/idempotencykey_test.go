package producer

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/rs/zerolog"
)

const otherToken = "the-token-of-another-caller"

// keyed makes a producer that keeps calls with a key where c leads to.
func keyed(t *testing.T, c *queue.Client, q Queue) *Producer {
	t.Helper()
	p, err := New(Config{
		Pipelines: load(t, testFile), Queue: q, Calls: store.Calls(c), SecretsDir: t.TempDir(), Logger: zerolog.Nop(),
		Tokens: []Token{{"ci", messages.NewSecret(testToken)}, {"ops", messages.NewSecret(otherToken)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func keyedCallRequest(token, key, commit string) *http.Request {
	r := callRequest(token, `{"pipeline": "base", "commit": "`+commit+`"}`)
	r.Header.Set(keyHeader, key)
	return r
}

func TestACallWithAKeyIsAnsweredAlike(t *testing.T) {
	server := queuetest.Start(t)
	c := server.Client(t)
	p := keyed(t, c, builds.New(c))
	status, first, h := serve(p, keyedCallRequest(testToken, `"8e03978e"`, commit(1)))
	if status != 202 || h.Get(replayedHeader) != "" {
		t.Fatalf("status %d, %+v, %v", status, first, h)
	}
	if status, _, _ := serve(p, callRequest(testToken, `{"pipeline": "base", "commit": "`+commit(2)+`"}`)); status != 202 {
		t.Fatalf("another call: status %d", status)
	}
	server.Restart(t)
	anew := server.Client(t)
	p = keyed(t, anew, builds.New(anew)) // nothing of it is remembered
	for name, r := range map[string]*http.Request{
		"quoted":      keyedCallRequest(testToken, `"8e03978e"`, commit(1)),
		"bare":        keyedCallRequest(testToken, "8e03978e", commit(1)),
		"as one line": keyedCallRequest(testToken, "8e03978e", commit(1)),
	} {
		status, again, h := serve(p, r)
		if status != 202 || fmt.Sprint(again) != fmt.Sprint(first) || h.Get(replayedHeader) != "true" {
			t.Errorf("%s: status %d, %+v, %v; want %+v", name, status, again, h, first)
		}
	}
	if status, a, _ := serve(p, keyedCallRequest(testToken, "8e03978e", commit(3))); status != 422 || !strings.Contains(a.Error, "another body") {
		t.Errorf("with another body: status %d, %+v", status, a)
	}
	if status, a, _ := serve(p, keyedCallRequest(otherToken, "8e03978e", commit(3))); status != 202 || a.Builds[0].Build == first.Builds[0].Build {
		t.Errorf("another caller's: status %d, %+v", status, a)
	}
	if n := len(stored(t, anew)); n != 3 {
		t.Errorf("%d requests are stored; want 3", n)
	}
}

// TestARefusedCallLeavesItsKeyFree: nothing was done under it.
func TestARefusedCallLeavesItsKeyFree(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	p := keyed(t, c, builds.New(c))
	bad := callRequest(testToken, `{"pipeline": "bass"}`)
	bad.Header.Set(keyHeader, "k")
	if status, _, _ := serve(p, bad); status != 404 {
		t.Errorf("status %d", status)
	}
	if status, a, _ := serve(p, keyedCallRequest(testToken, "k", commit(1))); status != 202 {
		t.Errorf("status %d, %+v", status, a)
	}
}

// TestALongLookAtTheRepositoryLeavesTimeToStore: a host may take longer for it than NATS may for all else.
func TestALongLookAtTheRepositoryLeavesTimeToStore(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	p := keyed(t, c, builds.New(c))
	p.storeTimeout = 3 * time.Second
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/info/refs") {
			<-time.After(2*p.storeTimeout + 200*time.Millisecond)
			fmt.Fprintf(w, "%s\trefs/heads/main\n", commit(1))
			return
		}
		http.NotFound(w, r)
	}))
	defer host.Close()
	p.force(load(t, strings.Replace(testFile, "https://git.example.com/ops/base.git", host.URL+"/base.git", 1)))
	r := callRequest(testToken, `{"pipeline": "base"}`)
	r.Header.Set(keyHeader, "k")
	if status, a, _ := serve(p, r); status != 202 || len(a.Builds) != 1 || a.Builds[0].Commit != commit(1) {
		t.Errorf("status %d, %+v", status, a)
	}
}

// TestCallsWithAKeyAtOnceAreOne sends the same to two producers, many times at once.
func TestCallsWithAKeyAtOnceAreOne(t *testing.T) {
	server := queuetest.Start(t)
	clients := []*queue.Client{server.Client(t), server.Client(t)}
	producers := []*Producer{keyed(t, clients[0], builds.New(clients[0])), keyed(t, clients[1], builds.New(clients[1]))}
	var all sync.WaitGroup
	var lock sync.Mutex
	told := map[string]int{}
	for i := range 20 {
		all.Go(func() {
			status, a, h := serve(producers[i%2], keyedCallRequest(testToken, "k", commit(1)))
			lock.Lock()
			defer lock.Unlock()
			switch {
			case status == 202:
				told[a.Builds[0].Build]++
			case status != 409 || h.Get("Retry-After") == "":
				t.Errorf("status %d, %+v, %v", status, a, h)
			}
		})
	}
	all.Wait()
	if len(told) != 1 || len(stored(t, clients[0])) != 1 {
		t.Errorf("builds were told %v times, %d are stored", told, len(stored(t, clients[0])))
	}
}

// deafQueue is a Queue whose answers to requests are lost, before or after they are stored.
type deafQueue struct {
	*builds.Queue
	stores bool
}

func (q deafQueue) Request(ctx context.Context, r *messages.BuildRequested, trace string) (builds.Accepted, error) {
	if q.stores {
		if a, err := q.Queue.Request(ctx, r, trace); err != nil {
			return a, err
		}
	}
	return builds.Accepted{}, fmt.Errorf("%w: the answer is lost", queue.ErrUnavailable)
}

// TestACallWithAKeyGoesOnAfterACrash: one producer ends between the key's record and the answer; another one is
// asked the same.
func TestACallWithAKeyGoesOnAfterACrash(t *testing.T) {
	for name, stores := range map[string]bool{"before the request was stored": false, "after it": true} {
		t.Run(name, func(t *testing.T) {
			c := queuetest.Start(t).Client(t)
			status, a, h := serve(keyed(t, c, deafQueue{builds.New(c), stores}), keyedCallRequest(testToken, "k", commit(1)))
			if wait, _ := strconv.Atoi(h.Get("Retry-After")); status != 503 || time.Duration(wait)*time.Second < storeTimeout {
				t.Fatalf("status %d, %+v, %v", status, a, h)
			}
			p := keyed(t, c, builds.New(c))
			status, a, h = serve(p, keyedCallRequest(testToken, "k", commit(1)))
			if status != 409 || h.Get("Retry-After") == "" || !strings.Contains(a.Error, "under way") {
				t.Fatalf("at once: status %d, %+v, %v", status, a, h)
			}
			// Others came in between, for the same pipeline.
			if status, _, _ := serve(p, callRequest(testToken, `{"pipeline": "base", "commit": "`+commit(2)+`"}`)); status != 202 {
				t.Fatalf("another call: status %d", status)
			}
			p.keyPause = -time.Hour // it is long ago
			status, first, _ := serve(p, keyedCallRequest(testToken, "k", commit(1)))
			if status != 202 {
				t.Fatalf("later: status %d, %+v", status, first)
			}
			all := stored(t, c)
			if len(all) != 2 || all[first.Builds[0].Build].Commit != commit(1) {
				t.Errorf("answered %+v; stored %+v", first, all)
			}
			if status, again, _ := serve(p, keyedCallRequest(testToken, "k", commit(1))); status != 202 || fmt.Sprint(again) != fmt.Sprint(first) {
				t.Errorf("status %d, %+v; want %+v", status, again, first)
			}
		})
	}
}

func TestKeysThatCantBeKeptAreRefused(t *testing.T) {
	server := queuetest.Start(t)
	c := server.Client(t)
	p := keyed(t, c, builds.New(c))
	if err := queuetest.JetStream(t, c).DeleteStream(t.Context(), "KV_fenceline-calls"); err != nil {
		t.Fatal(err)
	}
	if status, a, _ := serve(p, keyedCallRequest(testToken, "k", commit(1))); status != 503 || !strings.Contains(a.Error, "without the header the call is taken") {
		t.Errorf("without its bucket: status %d, %+v", status, a)
	}
	if status, a, _ := serve(newProducer(t, builds.New(c), zerolog.Nop()), keyedCallRequest(testToken, "k", commit(1))); status != 503 {
		t.Errorf("without a place: status %d, %+v", status, a)
	}
	if n := len(stored(t, c)); n != 0 {
		t.Errorf("%d requests are stored", n)
	}
}

func TestBadKeys(t *testing.T) {
	for name, values := range map[string][]string{
		"empty": {""}, "empty, in quotes": {`""`}, "two": {"a", "b"}, "too long": {strings.Repeat("k", 256)}, "a line break": {"a\nb"},
		"not ASCII": {"clé"}, "an open quote": {`"abc`}, "something after the quotes": {`"abc"; x=1`}, "a bad escape": {`"a\b"`}, "a last backslash": {`"a\`},
	} {
		t.Run(name, func(t *testing.T) {
			q := &memoryQueue{}
			r := callRequest(testToken, `{"pipeline": "base", "commit": "`+testCommit+`"}`)
			r.Header[keyHeader] = values
			status, a, _ := serve(newProducer(t, q, zerolog.Nop()), r)
			if status != 400 || !strings.Contains(a.Error, "Idempotency-Key") || len(q.stored) != 0 {
				t.Errorf("status %d, %+v, %d stored", status, a, len(q.stored))
			}
		})
	}
}

func TestTokensTellCallersApart(t *testing.T) {
	one := messages.NewSecret("one-secret-of-a-caller")
	for want, tokens := range map[string][]Token{
		"are the same":   {{"a", one}, {"b", one}},
		"two are called": {{"a", one}, {"a", messages.NewSecret("another-secret")}},
		"is empty":       {{"a", messages.Secret{}}},
		"token name":     {{"A token", one}},
	} {
		_, err := New(Config{Pipelines: load(t, testFile), Queue: &memoryQueue{}, Tokens: tokens})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), one.Reveal()) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	q := &memoryQueue{}
	p, err := New(Config{Pipelines: load(t, testFile), Queue: q, Tokens: []Token{{"ci", messages.NewSecret(testToken)}, {"ops", one}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{testToken, one.Reveal()} {
		if status, a, _ := serve(p, callRequest(token, `{"pipeline": "base", "commit": "`+testCommit+`"}`)); status != 202 {
			t.Errorf("status %d, %+v", status, a)
		}
	}
	if q.stored[0].RequestedBy != "ci" || q.stored[1].RequestedBy != "ops" {
		t.Errorf("requested by %q and %q", q.stored[0].RequestedBy, q.stored[1].RequestedBy)
	}
}

func FuzzIdempotencyKey(f *testing.F) {
	for _, s := range []string{"", `"abc"`, "abc", `"a\"b\\c"`, `"`, `"\`, "a b", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		key, no := idempotencyKey(http.Header{keyHeader: {value}})
		if no != nil {
			return
		}
		if key == "" || len(key) > maxKeyBytes || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q is taken as %q", value, key)
		}
		again, no := idempotencyKey(http.Header{keyHeader: {`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`}})
		if no != nil || again != key {
			t.Errorf("%q is %q; in quotes %q, %v", value, key, again, no)
		}
	})
}
