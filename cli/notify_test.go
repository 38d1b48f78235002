package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/producer"
	"github.com/fenceline/fenceline/standardwebhooks"
	"github.com/rs/zerolog"
)

const repository = "https://git.example.com/ops/base.git"

// hookOf starts a real producer over a real queue, whose pipeline has the given webhook secret, and
// returns the URL of its hook.
func hookOf(t *testing.T, secret string) (url string) {
	t.Helper()
	dir := t.TempDir()
	clitest.Write(t, filepath.Join(dir, "hook"), secret+"\n")
	path := filepath.Join(dir, "fenceline.yaml")
	clitest.Write(t, path, `version: 1
pipelines:
  - name: base
    repository: `+repository+`
    image: registry.example.com/exampleco/base
    webhook: {secret_file: hook}
`)
	pipelines, err := producer.LoadPipelines(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := producer.New(producer.Config{Pipelines: pipelines, Queue: builds.New(queuetest.Start(t).Client(t)), Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(p.Handler())
	t.Cleanup(s.Close)
	return s.URL + "/hooks/generic"
}

// TestNotify has the producer verify what notify signs.
func TestNotify(t *testing.T) {
	const zero = "0000000000000000000000000000000000000000"
	plain, standard := "a-secret-for-webhooks-of-base", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	for name, test := range map[string]struct {
		configured, given, in string
		status                int
		says                  string
	}{
		"a plain secret":           {plain, plain, zero + " " + commit + " refs/heads/main\n", ExitDone, "refs/heads/main: build base-"},
		"a Standard Webhooks key":  {standard, standard, zero + " " + commit + " refs/heads/main\n", ExitDone, "order 1"},
		"a branch nobody builds":   {plain, plain, zero + " " + commit + " refs/heads/other\n", ExitDone, ""},
		"tags":                     {plain, plain, zero + " " + commit + " refs/tags/v1\n" + zero + " " + commit + " refs/notes/x\n", ExitDone, ""},
		"a deleted branch":         {plain, plain, commit + " " + zero + " refs/heads/main\n", ExitDone, ""},
		"another secret":           {plain, plain + "x", zero + " " + commit + " refs/heads/main\n", ExitFailed, "401 Unauthorized"},
		"a key that is not base64": {plain, "whsec_!", zero + " " + commit + " refs/heads/main\n", ExitFailed, "base64 does not follow"},
		"not a hook's input":       {plain, plain, "hello\n", ExitFailed, "OLD NEW REF"},
		"a line that is none, too": {plain, plain, "hello\n" + zero + " " + commit + " refs/heads/main\n", ExitFailed, "refs/heads/main: build base-"},
		"nothing pushed":           {plain, plain, "", ExitDone, ""},
		"one of two is refused": {
			plain, plain, zero + " nonsense refs/heads/main\n" + zero + " " + commit + " refs/heads/main\n", ExitFailed, "refs/heads/main: build base-",
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := hookOf(t, test.configured)
			secret := filepath.Join(t.TempDir(), "secret")
			clitest.Write(t, secret, test.given+"\n")
			s := withInput(t, test.in, "notify", "--url", url, "--repository", repository, "--secret-file", secret)
			if s.status != test.status || !strings.Contains(s.out+s.err, test.says) {
				t.Errorf("%+v, want status %d and %q", s, test.status, test.says)
			}
			if test.says == "" && s.out+s.err != "" {
				t.Errorf("it says %q of refs that nobody builds", s.out+s.err)
			}
			if strings.Count(s.out+s.err, "401 Unauthorized") > 1 {
				t.Errorf("it says the same twice: %+v", s)
			}
			if strings.Contains(s.out+s.err, test.given) {
				t.Errorf("it shows the secret: %+v", s)
			}
		})
	}
}

// TestNotifyTriesAgain sends a hook again that could not be stored, and no other.
func TestNotifyTriesAgain(t *testing.T) {
	for name, test := range map[string]struct {
		answers []int
		tries   int32
		ok      bool
	}{
		"unavailable for a moment": {[]int{503, 202}, 2, true},
		"a proxy without producer": {[]int{502, 202}, 2, true},
		"refused":                  {[]int{400}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			var tries atomic.Int32
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				status := test.answers[tries.Add(1)-1]
				w.WriteHeader(status)
				if status == http.StatusAccepted {
					_, _ = w.Write([]byte(`{"builds":[{"build":"base-aaaaaaaa","order":1}]}`))
					return
				}
				if status != http.StatusBadGateway {
					_, _ = w.Write([]byte(`{"error":"no"}`))
				}
			}))
			defer s.Close()
			to := hookTarget{s.URL, repository, []byte("key")}
			a, err := to.send(t.Context(), pushedRef{ref: "refs/heads/main", after: commit})
			if (err == nil) != test.ok || tries.Load() != test.tries {
				t.Errorf("after %d tries: %+v, %v", tries.Load(), a, err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	to := hookTarget{"http://127.0.0.1:1", repository, []byte("key")}
	if _, err := to.send(ctx, pushedRef{}); err == nil {
		t.Error("a producer that is away took a hook")
	}
}

func TestABuildThatWasThereBefore(t *testing.T) {
	for want, s := range map[string]submission{
		"":                                  {Build: "b-1"},
		"fenceline retry b-1":               {Build: "b-1", Duplicate: true, Ended: "failed"},
		"under way":                         {Build: "b-1", Duplicate: true},
		"before and built":                  {Build: "b-1", Duplicate: true, Ended: "succeeded"},
		"in place of b-0, which came to no": {Build: "b-1", Repeats: "b-0"},
	} {
		if got := s.before(); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("of %+v it says %q, want %q", s, got, want)
		}
	}
}

// TestNotifyTellsOfARepositoryThatNobodyBuilds: of all that is ignored, this alone is a mistake.
func TestNotifyTellsOfARepositoryThatNobodyBuilds(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	clitest.Write(t, secret, "a-secret-for-webhooks-of-base")
	in := "0 " + commit + " refs/heads/main\n0 " + commit + " refs/heads/other\n"
	s := withInput(t, in, "notify", "--url", hookOf(t, "a-secret-for-webhooks-of-base"), "--repository", "https://git.example.com/ops/bass.git", "--secret-file", secret)
	if s.status != ExitDone || strings.Count(s.out, "nothing of this repository is built") != 1 {
		t.Errorf("%+v", s)
	}
}

// roundTrips answers requests in the place of a network, so that a test's time counts.
type roundTrips func(*http.Request) (*http.Response, error)

func (f roundTrips) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestAPushWaitsForAllItsRefsTogether has a producer that is of no use, and pushes of many refs.
func TestAPushWaitsForAllItsRefsTogether(t *testing.T) {
	hanging := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	refusing := func(*http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED }
	busy := func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: io.NopCloser(strings.NewReader(`{"error":"the queue is full"}`))}, nil
	}
	for name, test := range map[string]struct {
		producer roundTrips
		says     string
	}{
		"it hangs":    {hanging, "it did not answer in 5s"},
		"it is away":  {refusing, "connection refused"},
		"it is busy":  {busy, "the queue is full"},
		"it hangs up": {func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, "unexpected EOF"},
	} {
		for _, branches := range []int{1, 200} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					usual := http.DefaultClient
					http.DefaultClient = &http.Client{Transport: test.producer}
					defer func() { http.DefaultClient = usual }()
					var in strings.Builder
					for i := range branches {
						fmt.Fprintf(&in, "0 %s refs/tags/v%d\n0 %s refs/heads/b%d\n", commit, i, commit, i)
					}
					began := time.Now()
					err := notify(t.Context(), strings.NewReader(in.String()), io.Discard, hookTarget{"http://producer", repository, []byte("key")})
					if took := time.Since(began); took > notifyTime {
						t.Errorf("the push waited for %s", took)
					}
					if err == nil || strings.Count(err.Error(), test.says) != 1 || !strings.Contains(err.Error(), "fenceline submit") {
						t.Errorf("it says %v; want %q once", err, test.says)
					}
				})
			})
		}
	}
}

// TestTagsAreNotSent counts what a push of tags and a branch sends.
func TestTagsAreNotSent(t *testing.T) {
	var sent atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		sent.Add(1)
		_, _ = w.Write([]byte(`{"ignored":"no pipeline builds it"}`))
	}))
	defer s.Close()
	in := strings.Repeat("0 "+commit+" refs/tags/v1\n", 50) + "0 " + commit + " refs/heads/main\n"
	var out strings.Builder
	if err := notify(t.Context(), strings.NewReader(in), &out, hookTarget{s.URL, repository, []byte("key")}); err != nil || sent.Load() != 1 || out.String() != "" {
		t.Errorf("%d hooks, %q, %v", sent.Load(), out.String(), err)
	}
}

func TestSigningKey(t *testing.T) {
	if k, err := standardwebhooks.Key(messages.NewSecret("plain")); err != nil || string(k) != "plain" {
		t.Errorf("%q, %v", k, err)
	}
	if k, err := standardwebhooks.Key(messages.NewSecret("whsec_a2V5")); err != nil || string(k) != "key" {
		t.Errorf("%q, %v", k, err)
	}
}
