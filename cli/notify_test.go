package cli

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/producer"
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
		"a branch nobody builds":   {plain, plain, zero + " " + commit + " refs/heads/other\n", ExitDone, "ignored: "},
		"a deleted branch":         {plain, plain, commit + " " + zero + " refs/heads/main\n", ExitDone, "deleted"},
		"another secret":           {plain, plain + "x", zero + " " + commit + " refs/heads/main\n", ExitFailed, "401 Unauthorized"},
		"a key that is not base64": {plain, "whsec_!", zero + " " + commit + " refs/heads/main\n", ExitFailed, "not base64"},
		"not a hook's input":       {plain, plain, "hello\n", ExitFailed, "OLD NEW REF"},
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
			a, err := push(t.Context(), s.URL, []byte("key"), map[string]string{"ref": "refs/heads/main"})
			if (err == nil) != test.ok || tries.Load() != test.tries {
				t.Errorf("after %d tries: %+v, %v", tries.Load(), a, err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := push(ctx, "http://127.0.0.1:1", []byte("key"), nil); err == nil {
		t.Error("a producer that is away took a hook")
	}
}

func TestSigningKey(t *testing.T) {
	if k, err := signingKey(messages.NewSecret("plain")); err != nil || string(k) != "plain" {
		t.Errorf("%q, %v", k, err)
	}
	if k, err := signingKey(messages.NewSecret("whsec_a2V5")); err != nil || string(k) != "key" {
		t.Errorf("%q, %v", k, err)
	}
}
