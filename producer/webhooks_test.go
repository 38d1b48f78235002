package producer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/rs/zerolog"
)

const (
	baseURL  = "https://git.example.com/ops/base.git"
	mainRef  = "refs/heads/main"
	toolsRef = "refs/heads/release/1.0"
)

// TestForges is what every forge must do.
func TestForges(t *testing.T) {
	for _, s := range senders() {
		zeros := strings.Repeat("0", 40)
		ref, commit, repository := s.fields()
		_, known, _ := strings.Cut(s.payload("https://git.example.com/x", "refs/heads/x", testCommit), "{")
		for name, c := range map[string]struct {
			request *http.Request
			status  int
			say     string
			builds  []string
		}{
			"a push builds every pipeline of repository and branch": {s.hook(testSecret, s.payload(baseURL, mainRef, testCommit)), 202, "", []string{"base", "base-staging"}},
			"the short form of the repository's URL":                {s.hook(testSecret, s.payload("git@GIT.example.com:ops/base.git", mainRef, testCommit)), 202, "", []string{"base", "base-staging"}},
			"no signature":                                          {s.hook("", s.payload(baseURL, mainRef, testCommit)), 401, "is missing", nil},
			"the signature of a wrong secret":                       {s.hook("guess", s.payload(baseURL, mainRef, testCommit)), 401, "does not match", nil},
			"the secret of other pipelines":                         {s.hook(testSecret, s.payload("ssh://git@git.example.com:2222/ops/tools", toolsRef, testCommit)), 200, "this repository", nil},
			"a repository nobody configured":                        {s.hook(testSecret, s.payload("https://git.example.com/ops/nope.git", mainRef, testCommit)), 200, `this repository, "git.example.com/ops/nope"`, nil},
			"a URL that is none":                                    {s.hook(testSecret, s.payload("nowhere", mainRef, testCommit)), 200, "this repository", nil},
			"a branch nobody configured":                            {s.hook(testSecret, s.payload(baseURL, "refs/heads/wip", testCommit)), 200, `branch "wip"`, nil},
			"a branch deletion":                                     {s.hook(testSecret, s.payload(baseURL, mainRef, zeros)), 200, "deleted", nil},
			"a tag":                                                 {s.hook(testSecret, s.payload(baseURL, "refs/tags/v1", testCommit)), 200, "tag", nil},
			"a short commit":                                        {s.hook(testSecret, s.payload(baseURL, mainRef, "012345")), 400, commit, nil},
			"no ref":                                                {s.hook(testSecret, s.payload(baseURL, "", testCommit)), 400, ref, nil},
			"no repository":                                         {s.hook(testSecret, s.payload("", mainRef, testCommit)), 400, repository, nil},
			"a branch that looks like an option":                    {s.hook(testSecret, s.payload(baseURL, "refs/heads/--upload-pack=x", testCommit)), 200, `branch "--upload-pack=x"`, nil},
			"a branch that looks like a ref":                        {s.hook(testSecret, s.payload(baseURL, "refs/heads/refs/heads/main", testCommit)), 200, `branch "refs/heads/main"`, nil},
			"a branch with a long name":                             {s.hook(testSecret, s.payload(baseURL, "refs/heads/"+strings.Repeat("long/", 90)+"x", testCommit)), 200, `branch "long/long/`, nil},
			"not JSON, signed":                                      {s.hook(testSecret, "hello"), 400, "not a JSON payload", nil},
			"JSON cut short, signed":                                {s.hook(testSecret, `{"ref": "refs/he`), 400, "not a JSON payload", nil},
			"not JSON, wrongly signed":                              {s.hook("guess", "hello"), 401, "does not match", nil},
			"an empty body, signed":                                 {s.hook(testSecret, ""), 400, "empty", nil},
			"a field of another type":                               {s.hook(testSecret, `{"repository":7,`+known), 400, "is a JSON number", nil},
			"too deep":                                              {s.hook(testSecret, strings.Repeat(`{"repository":`, 20000)), 400, "not a JSON payload", nil},
			"a number that nothing holds, where none is read":       {s.hook(testSecret, `{"size":1e999999,"id":`+strings.Repeat("9", 1000)+`,`+known), 200, "this repository", nil},
			"bytes that are no text in a branch's name":             {s.hook(testSecret, strings.ReplaceAll(s.payload(baseURL, "refs/heads/cafX", testCommit), "cafX", "caf\xe9")), 200, `branch "caf`, nil},
		} {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				q := &memoryQueue{}
				status, a, _ := serve(newProducer(t, q, zerolog.Nop()), c.request)
				got := q.pipelines()
				slices.Sort(got)
				if status != c.status || !strings.Contains(a.Error+a.Ignored, c.say) || !slices.Equal(got, c.builds) && len(got)+len(c.builds) > 0 {
					t.Errorf("status %d, %+v, stored %v; want %d saying %q, stored %v", status, a, got, c.status, c.say, c.builds)
				}
				if len(a.Builds) != len(c.builds) {
					t.Errorf("answer names %v; want %v", a.Builds, c.builds)
				}
			})
		}
		if s.event == nil {
			continue
		}
		t.Run(s.name+"/an unknown event is ignored", func(t *testing.T) {
			r := s.hook(testSecret, `{"any": "thing"}`)
			s.event(r.Header, "star")
			if status, a, _ := serve(newProducer(t, &memoryQueue{}, zerolog.Nop()), r); status != 200 || !strings.Contains(a.Ignored, "star") {
				t.Errorf("status %d, %+v", status, a)
			}
		})
	}
}

func TestHookCarriesThePipelineAndNotThePayloadsURL(t *testing.T) {
	q := &memoryQueue{}
	s := senders()[0]
	r := s.hook(testOther, s.payload("https://user:pw@git.example.com:2222/Ops/Tools", toolsRef, testCommit))
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	r.Header.Set("traceparent", trace)
	if status, a, _ := serve(newProducer(t, q, zerolog.Nop()), r); status != 202 {
		t.Fatalf("status %d, %+v", status, a)
	}
	got := q.stored[0]
	if got.Pipeline.Repository != "https://git.example.com:2222/ops/tools.git" || got.Commit != testCommit || got.Ref != toolsRef ||
		got.Cause != messages.CausePush || got.RequestedBy != "ada" || q.traces[0] != trace {
		t.Errorf("stored %+v with trace %s", got, q.traces[0])
	}
}

func TestForgesLeftOutOfThePipelineFileAreRefused(t *testing.T) {
	s := senders()[1] // gitea, which the pipeline tools does not list
	r := s.hook(testOther, s.payload("git@git.example.com:ops/tools.git", toolsRef, testCommit))
	if status, a, _ := serve(newProducer(t, &memoryQueue{}, zerolog.Nop()), r); status != 401 {
		t.Errorf("status %d, %+v; want 401", status, a)
	}
}

func TestGitHubSHA1AndRepeatedSignaturesDontCount(t *testing.T) {
	s := senders()[0]
	body := s.payload(baseURL, mainRef, testCommit)
	for name, change := range map[string]func(http.Header){
		"SHA-1 alone": func(h http.Header) {
			h.Del("X-Hub-Signature-256")
			h.Set("X-Hub-Signature", "sha1="+strings.Repeat("a", 40))
		},
		"given twice":         func(h http.Header) { h.Add("X-Hub-Signature-256", "sha256=00") },
		"not hexadecimal":     func(h http.Header) { h.Set("X-Hub-Signature-256", "sha256=zz") },
		"of the wrong length": func(h http.Header) { h.Set("X-Hub-Signature-256", "sha256=00") },
	} {
		t.Run(name, func(t *testing.T) {
			r := s.hook(testSecret, body)
			change(r.Header)
			if status, a, _ := serve(newProducer(t, &memoryQueue{}, zerolog.Nop()), r); status != 401 {
				t.Errorf("status %d, %+v; want 401", status, a)
			}
		})
	}
}

// TestPublishedSignatures has what the forges' own documentation signs.
func TestPublishedSignatures(t *testing.T) {
	for name, c := range map[string]struct {
		forge        forge
		header       http.Header
		at           int64
		secret, body string
	}{
		"docs.github.com, Validating webhook deliveries": {github{}, http.Header{
			"X-Hub-Signature-256": {"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
		}, 0, "It's a Secret to Everybody", "Hello, World!"},
		"github.com/standard-webhooks, its libraries' tests": {generic{}, http.Header{
			"Webhook-Id": {"msg_p5jXN8AQM9LWM0D4loKWxJek"}, "Webhook-Timestamp": {"1614265330"},
			"Webhook-Signature": {"v1a,AAAA v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
		}, 1614265330, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", `{"test": 2432232314}`},
	} {
		t.Run(name, func(t *testing.T) {
			signed, err := c.forge.proof(c.header, time.Unix(c.at, 0))
			if err != nil {
				t.Fatalf("proof: %v", err)
			}
			secret, err := newHookSecret(messages.NewSecret(c.secret))
			if err != nil {
				t.Fatal(err)
			}
			if !signed([]byte(c.body), secret.keys[0]) || signed([]byte(c.body+" "), secret.keys[0]) {
				t.Errorf("the published signature is refused, or another body's accepted")
			}
		})
	}
}

func TestUnknownForge(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/hooks/githup", strings.NewReader("{}"))
	status, a, _ := serve(newProducer(t, &memoryQueue{}, zerolog.Nop()), r)
	if status != 404 || !strings.Contains(a.Error, `did you mean "github"?`) || !strings.Contains(a.Error, "github, gitlab, gitea, forgejo, gogs, bitbucket, generic") {
		t.Errorf("status %d, %+v", status, a)
	}
}

func TestWrongPathsAndMethods(t *testing.T) {
	p := newProducer(t, &memoryQueue{}, zerolog.Nop())
	for _, c := range []struct {
		method, path string
		status       int
		says         string
	}{
		{http.MethodGet, "/hooks/github", 405, "/hooks/github takes POST, not GET"},
		{http.MethodGet, "/v1/builds", 405, "/v1/builds takes POST, not GET"},
		{http.MethodPost, "/readyz", 405, "/readyz takes GET, not POST"},
		{http.MethodPost, "/github", 404, "webhooks go to /hooks/FORGE"},
		{http.MethodGet, "/", 404, "webhooks go to /hooks/FORGE"},
	} {
		status, a, _ := serve(p, httptest.NewRequest(c.method, c.path, strings.NewReader("{}")))
		if status != c.status || !strings.Contains(a.Error, c.says) {
			t.Errorf("%s %s: status %d, %+v; want %d and %q", c.method, c.path, status, a, c.status, c.says)
		}
	}
}

// TestARepositoryWithoutAPathMatchesNothing has a pipeline whose repository names only its host.
func TestARepositoryWithoutAPathMatchesNothing(t *testing.T) {
	q := &memoryQueue{}
	p, err := New(Config{Pipelines: load(t, strings.Replace(testFile, baseURL, "https://git.example.com/.git", 1)), Queue: q})
	if err != nil {
		t.Fatal(err)
	}
	s := senders()[0]
	if status, a, _ := serve(p, s.hook(testSecret, s.payload("nowhere", mainRef, testCommit))); status != 200 || a.Ignored == "" {
		t.Errorf("status %d, %+v", status, a)
	}
}

func TestLogOfAPush(t *testing.T) {
	var log bytes.Buffer
	s := senders()[0]
	serve(newProducer(t, &memoryQueue{}, zerolog.New(&log)), s.hook(testSecret, s.payload(baseURL, mainRef, testCommit)))
	var line struct{ Builds []acceptedBuild }
	if err := json.Unmarshal(log.Bytes(), &line); err != nil || len(line.Builds) != 2 || line.Builds[0].Build == line.Builds[1].Build || line.Builds[0].Order == 0 {
		t.Errorf("log %s, %v; want both builds", log.String(), err)
	}
}

func TestGenericTimestamps(t *testing.T) {
	s := senders()[3]
	for name, c := range map[string]struct {
		off    time.Duration
		status int
	}{
		"four minutes old": {-4 * time.Minute, 202}, "four minutes ahead": {4 * time.Minute, 202},
		"six minutes old": {-6 * time.Minute, 401}, "six minutes ahead": {6 * time.Minute, 401},
	} {
		t.Run(name, func(t *testing.T) {
			s.sign = signStandard(time.Now().Add(c.off))
			if status, a, _ := serve(newProducer(t, &memoryQueue{}, zerolog.Nop()), s.hook(testSecret, s.payload(baseURL, mainRef, testCommit))); status != c.status {
				t.Errorf("status %d, %+v; want %d", status, a, c.status)
			}
		})
	}
}

func TestStandardSecretIsDecoded(t *testing.T) {
	s, err := newHookSecret(messages.NewSecret("whsec_aGVsbG8=\n"))
	if err != nil || string(s.keys[0].key) != "hello" || string(s.keys[0].text) != "whsec_aGVsbG8=" {
		t.Fatalf("newHookSecret: %v, %q %q", err, s.keys[0].key, s.keys[0].text)
	}
	if shown := fmt.Sprintf("%v %+v %s %+v", s, s, s, s.keys); strings.Contains(shown, "aGVs") {
		t.Errorf("a secret prints as %s", shown)
	}
}

func TestFailureToStoreIsNever2xx(t *testing.T) {
	s := senders()[0]
	for name, c := range map[string]struct {
		err error
		say string
	}{
		"the queue is full": {fmt.Errorf("storing: %w", queue.ErrFull), "full"},
		"NATS is gone":      {fmt.Errorf("storing: %w", queue.ErrUnavailable), "send it again"},
		"anything else":     {errors.New("broken"), "send it again"},
	} {
		t.Run(name, func(t *testing.T) {
			// One of the two pipelines can be stored, the other can't.
			q := &memoryQueue{request: func(r *messages.BuildRequested) (builds.Accepted, error) {
				if r.Pipeline.Name == "base-staging" {
					return builds.Accepted{}, c.err
				}
				return builds.Accepted{}, nil
			}}
			status, a, h := serve(newProducer(t, q, zerolog.Nop()), s.hook(testSecret, s.payload(baseURL, mainRef, testCommit)))
			if status != 503 || h.Get("Retry-After") == "" || !strings.Contains(a.Error, c.say) || a.Builds != nil {
				t.Errorf("status %d, %+v, Retry-After %q", status, a, h.Get("Retry-After"))
			}
		})
	}
}

func TestNoSecretIsLogged(t *testing.T) {
	var log bytes.Buffer
	p := newProducer(t, &memoryQueue{}, zerolog.New(&log))
	for _, s := range senders() {
		for _, secret := range []string{"", "guess", testSecret} {
			serve(p, s.hook(secret, s.payload(baseURL, mainRef, testCommit)))
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/v1/builds", strings.NewReader(`{"pipeline":"base"`))
	r.Header.Set("Authorization", "Bearer "+testToken)
	serve(p, r)
	for _, secret := range []string{testSecret, testOther, testToken} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has a secret:\n%s", log.String())
		}
	}
	if lines, want := strings.Count(log.String(), "\n"), 3*len(senders())+1; lines != want {
		t.Errorf("%d lines for %d requests", lines, want)
	}
}

func TestHugeBodies(t *testing.T) {
	p := newProducer(t, &memoryQueue{}, zerolog.Nop())
	s := senders()[0]
	announced := s.hook(testSecret, "{}")
	announced.ContentLength = maxHookBytes + 1
	if status, a, _ := serve(p, announced); status != 413 {
		t.Errorf("announced: status %d, %+v", status, a)
	}
	chunked := s.hook(testSecret, strings.Repeat(" ", maxHookBytes+1))
	chunked.ContentLength = -1
	if status, a, _ := serve(p, chunked); status != 413 {
		t.Errorf("chunked: status %d, %+v", status, a)
	}
	large := strings.Replace(s.payload(baseURL, mainRef, testCommit), "{", "{"+strings.Repeat(" ", 2<<20), 1)
	all := allOfRoom(t, p)
	if status, a, h := serve(p, s.hook(testSecret, large)); status != 503 || h.Get("Retry-After") == "" {
		t.Errorf("too many at once: status %d, %+v", status, a)
	}
	if status, a, _ := serve(p, s.hook(testSecret, s.payload(baseURL, mainRef, testCommit))); status != 202 {
		t.Errorf("a small one beside them: status %d, %+v", status, a)
	}
	all.release()
	for _, length := range []int64{int64(len(large)), -1} {
		r := s.hook(testSecret, large)
		r.ContentLength = length
		if status, a, _ := serve(p, r); status != 202 {
			t.Errorf("a large one of length %d: status %d, %+v", length, status, a)
		}
	}
}

// TestTruncatedBody speaks to a real server over a socket.
func TestTruncatedBody(t *testing.T) {
	p := newProducer(t, &memoryQueue{}, zerolog.Nop())
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer(p.Handler(), zerolog.Nop())
	server.Start()
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "POST /hooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=%s\r\nContent-Length: 100\r\n\r\n{", hexMAC(testSecret, nil))
	_ = conn.(*net.TCPConn).CloseWrite()
	if got := status(t, conn); got != http.StatusBadRequest {
		t.Errorf("status %d; want 400", got)
	}
}

// TestAPushOfVeryManyRefsIsStoredWholeOrNotAtAll: as many as are stored while its sender waits.
func TestAPushOfVeryManyRefsIsStoredWholeOrNotAtAll(t *testing.T) {
	change := func(ref string) object {
		return object{"ref": object{"id": ref}, "fromHash": strings.Repeat("0", 40), "toHash": testCommit, "type": "ADD"}
	}
	for builds, want := range map[int]int{maxRequests: http.StatusAccepted, maxRequests + 2: http.StatusUnprocessableEntity} {
		var changes []any
		for range builds / 2 { // two pipelines build main
			changes = append(changes, change(mainRef), change("refs/tags/v1"))
		}
		body := toJSON(object{"repository": object{"links": object{"clone": []any{object{"href": baseURL}}}}, "changes": changes})
		q := &memoryQueue{}
		status, a, _ := serve(newProducer(t, q, zerolog.Nop()), senders()[9].hook(testSecret, body))
		stored := 0
		if want == http.StatusAccepted {
			stored = builds
		}
		if status != want || len(q.stored) != stored || len(a.Builds) != stored {
			t.Errorf("%d builds: status %d, %s, %d stored, %d named", builds, status, a.Error, len(q.stored), len(a.Builds))
		}
	}
}

// TestAFailureToStoreOneOfSeveralRefsIsOneOfAll: the forge sends the whole again, and what is stored is a duplicate then.
func TestAFailureToStoreOneOfSeveralRefsIsOneOfAll(t *testing.T) {
	body, err := os.ReadFile(filepath.Join("testdata", "hooks", "bitbucket-cloud-many.json"))
	if err != nil {
		t.Fatal(err)
	}
	q := &memoryQueue{request: func(r *messages.BuildRequested) (builds.Accepted, error) {
		if r.Pipeline.Name == "cloud-staging" {
			return builds.Accepted{}, queue.ErrUnavailable
		}
		return builds.Accepted{}, nil
	}}
	p, err := New(Config{Pipelines: load(t, payloadFile()), Queue: q})
	if err != nil {
		t.Fatal(err)
	}
	if status, a, _ := serve(p, senders()[8].hook(testSecret, string(body))); status != http.StatusServiceUnavailable || a.Builds != nil || a.Error == "" {
		t.Errorf("status %d, %+v", status, a)
	}
}
