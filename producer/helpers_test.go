package producer

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/rs/zerolog"
)

const (
	testCommit = "0123456789abcdef0123456789abcdef01234567"
	testSecret = "a-secret-for-base-webhooks"
	testOther  = "another-secret-of-tools-team"
	testToken  = "the-token-of-the-api"
)

const testFile = `version: 1
pipelines:
  - name: base
    repository: https://git.example.com/ops/base.git
    image: registry.example.com/exampleco/base
    webhook: {secret_file: hook}
    fleets: [{name: production}]
  - name: base-staging
    repository: https://git.example.com/ops/base.git
    image: registry.example.com/exampleco/base-staging
    webhook: {secret_file: hook}
  - name: tools
    repository: https://git.example.com:2222/ops/tools.git
    branch: release/1.0
    image: registry.example.com/exampleco/tools
    webhook: {secret_file: other, forges: [github, generic]}
  - name: silent
    repository: https://git.example.com/ops/silent.git
    image: registry.example.com/exampleco/silent
`

// writeFile writes a pipeline file and its secret files into a folder and returns its path.
func writeFile(t testing.TB, content string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{"fenceline.yaml": content, "hook": testSecret + "\n", "other": testOther} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(folder, "fenceline.yaml")
}

func load(t testing.TB, content string) *Pipelines {
	t.Helper()
	p, err := LoadPipelines(writeFile(t, content))
	if err != nil {
		t.Fatalf("LoadPipelines: %v", err)
	}
	return p
}

// memoryQueue is a Queue in memory. Its fields replace what it does.
type memoryQueue struct {
	request func(*messages.BuildRequested) (builds.Accepted, error)
	ready   error

	mu     sync.Mutex
	stored []*messages.BuildRequested
	traces []string
}

func (q *memoryQueue) Request(_ context.Context, r *messages.BuildRequested, trace string) (builds.Accepted, error) {
	if err := r.Validate(); err != nil {
		return builds.Accepted{}, err
	}
	if q.request != nil {
		if a, err := q.request(r); err != nil || a.Build != "" {
			return a, err
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stored = append(q.stored, r)
	q.traces = append(q.traces, trace)
	return builds.Accepted{Build: r.Build, Order: uint64(len(q.stored))}, nil
}

func (q *memoryQueue) RequestHead(ctx context.Context, r *messages.BuildRequested, trace string) (builds.Accepted, error) {
	return q.Request(ctx, r, trace)
}

func (q *memoryQueue) Refs(_ context.Context, pipeline string) (map[string]builds.Newest, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	refs := map[string]builds.Newest{}
	for _, r := range q.stored {
		if r.Pipeline.Name == pipeline {
			refs[r.FullRef()] = builds.Newest{Commit: r.Commit, Age: 24 * time.Hour}
		}
	}
	return refs, nil
}

func (q *memoryQueue) ForgetRefs(string, func(string) bool) {}

func (q *memoryQueue) Stored(_ context.Context, build string) (builds.Accepted, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, r := range q.stored {
		if r.Build == build {
			return builds.Accepted{Build: build, Order: uint64(i + 1)}, nil
		}
	}
	return builds.Accepted{}, queue.ErrNotFound
}

func (q *memoryQueue) Sweep(context.Context) (builds.SweepReport, error) {
	return builds.SweepReport{}, nil
}
func (q *memoryQueue) Ready(context.Context) error { return q.ready }

func (q *memoryQueue) pipelines() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	names := []string{}
	for _, r := range q.stored {
		names = append(names, r.Pipeline.Name)
	}
	return names
}

func newProducer(t testing.TB, q Queue, log zerolog.Logger) *Producer {
	t.Helper()
	p, err := New(Config{Pipelines: load(t, testFile), Queue: q, Tokens: []Token{{Name: "ci", Secret: messages.NewSecret(testToken)}}, SecretsDir: t.TempDir(), Logger: log})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return p
}

func hexMAC(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// sender is how a forge sends a push.
type sender struct {
	name    string // of the forge's kind, in a test's
	forge   string
	payload func(url, ref, after string) string
	sign    func(h http.Header, secret string, body []byte)
	event   func(h http.Header, kind string) // nil where a forge has pushes only
}

func forgePayload(url, ref, after string) string {
	b, _ := json.Marshal(map[string]any{
		"ref": ref, "before": strings.Repeat("1", 40), "after": after,
		"repository": map[string]any{"clone_url": url, "full_name": "ops/base", "owner": map[string]any{"id": 1}},
		"pusher":     map[string]any{"name": "ada", "login": "ada"}, "commits": []any{map[string]any{"id": after}},
	})
	return string(b)
}

// fields are what a sender's payload calls the fields of a push.
func (s sender) fields() (ref, commit, repository string) {
	switch s.name {
	case "bitbucket cloud":
		return "push.changes[0].new.name:", "push.changes[0].new.target.hash:", "repository.links"
	case "bitbucket data center":
		return "changes[0].ref.id:", "changes[0].toHash:", "repository.slug"
	case "gitlab with a signing token", "gitlab with a secret token":
		return "ref:", "after:", "project.git_http_url"
	case "azure devops":
		return "resource.refUpdates[0].name:", "resource.refUpdates[0].newObjectId:", "resource.repository.remoteUrl"
	}
	return "ref:", "after:", "repository"
}

// senders are GitHub's, Gitea's, Forgejo's to Gitea's address, the generic one, and all others.
func senders() []sender {
	family := func(brand, forge string) sender {
		return sender{strings.ToLower(brand) + " to " + forge, forge, forgePayload,
			func(h http.Header, secret string, body []byte) { h.Set("X-"+brand+"-Signature", hexMAC(secret, body)) },
			func(h http.Header, kind string) { h.Set("X-"+brand+"-Event", kind) }}
	}
	hub := func(header string) func(h http.Header, secret string, body []byte) {
		return func(h http.Header, secret string, body []byte) { h.Set(header, "sha256="+hexMAC(secret, body)) }
	}
	gitlabEvent := func(h http.Header, kind string) {
		if kind == "push" {
			kind = "Push Hook"
		}
		h.Set("X-Gitlab-Event", kind)
	}
	bitbucketEvent := func(push string) func(h http.Header, kind string) {
		return func(h http.Header, kind string) {
			if kind == "push" {
				kind = push
			}
			h.Set("X-Event-Key", kind)
		}
	}
	return []sender{
		{"github", "github", forgePayload, hub("X-Hub-Signature-256"), func(h http.Header, kind string) { h.Set("X-GitHub-Event", kind) }},
		family("Gitea", "gitea"), family("Forgejo", "gitea"),
		{"generic", "generic", genericPayload, signStandard(time.Now()), nil},
		family("Forgejo", "forgejo"), family("Gogs", "gogs"),
		{"gitlab with a signing token", "gitlab", gitlabPayload, signStandard(time.Now()), gitlabEvent},
		{"gitlab with a secret token", "gitlab", gitlabPayload, func(h http.Header, secret string, _ []byte) { h.Set("X-Gitlab-Token", secret) }, gitlabEvent},
		{"bitbucket cloud", "bitbucket", cloudPayload, hub("X-Hub-Signature"), bitbucketEvent(cloudPush)},
		{"bitbucket data center", "bitbucket", dataCenterPayload, hub("X-Hub-Signature"), bitbucketEvent(dataCenterPush)},
		{"generic with a token", "generic", genericPayload, func(h http.Header, secret string, _ []byte) { h.Set("Authorization", "Bearer "+secret) }, nil},
		{"azure devops", "generic", azurePushPayload, func(h http.Header, secret string, _ []byte) {
			h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("fenceline:"+secret)))
		}, nil},
	}
}

func toJSON(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

type object = map[string]any

func genericPayload(url, ref, after string) string {
	return toJSON(object{"repository": url, "ref": ref, "after": after, "pusher": "ada"})
}

func gitlabPayload(url, ref, after string) string {
	return toJSON(object{
		"object_kind": "push", "event_name": "push", "ref": ref, "before": strings.Repeat("1", 40), "after": after, "user_username": "ada",
		"project": object{"id": 1, "git_http_url": url}, "commits": []any{object{"id": after}}, "total_commits_count": 1,
	})
}

func cloudPayload(url, ref, after string) string {
	kind, name := "branch", strings.TrimPrefix(ref, branchRefs)
	if tag, ok := strings.CutPrefix(ref, tagRefs); ok {
		kind, name = "tag", tag
	}
	side := object{"type": kind, "name": name, "target": object{"type": "commit", "hash": after}}
	change := object{"old": nil, "new": side, "forced": false}
	if zeros(after) {
		change = object{"old": side, "new": nil, "forced": false}
	}
	return toJSON(object{
		"push": object{"changes": []any{change}}, "actor": object{"nickname": "ada"},
		"repository": object{"type": "repository", "links": object{"html": object{"href": url}}},
	})
}

func dataCenterPayload(url, ref, after string) string {
	return toJSON(object{
		"eventKey": dataCenterPush, "actor": object{"name": "ada", "id": 1}, "repository": object{"id": 1, "links": object{"clone": []any{object{"href": url, "name": "http"}}}},
		"changes": []any{object{"ref": object{"id": ref}, "refId": ref, "fromHash": strings.Repeat("1", 40), "toHash": after, "type": "UPDATE"}},
	})
}

func azurePushPayload(url, ref, after string) string {
	return toJSON(object{"eventType": azurePush, "resource": object{
		"refUpdates": []any{object{"name": ref, "oldObjectId": strings.Repeat("1", 40), "newObjectId": after}},
		"repository": object{"id": "1", "remoteUrl": url}, "pushedBy": object{"displayName": "ada"},
	}})
}

func signStandard(at time.Time) func(h http.Header, secret string, body []byte) {
	return func(h http.Header, secret string, body []byte) {
		stamp := strconv.FormatInt(at.Unix(), 10)
		mac := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(mac, "msg_1.%s.%s", stamp, body)
		h.Set("webhook-id", "msg_1")
		h.Set("webhook-timestamp", stamp)
		h.Set("webhook-signature", "v1,AAAA v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
}

// hook makes a request of s with everything in order.
func (s sender) hook(secret, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/hooks/"+s.forge, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if s.event != nil {
		s.event(r.Header, "push")
	}
	if secret != "" {
		s.sign(r.Header, secret, []byte(body))
	}
	return r
}

// answer is what any answer about builds has.
type answer struct {
	Builds  []acceptedBuild
	Ignored string
	Unknown bool `json:"unknown_repository"`
	Ping    *pingAnswer
	Error   string
}

func serve(p *Producer, r *http.Request) (int, answer, http.Header) {
	w := httptest.NewRecorder()
	p.Handler().ServeHTTP(w, r)
	if err := asDocumented(r, w.Code, w.Header(), w.Body.Bytes()); err != nil {
		panic(fmt.Sprintf("%s %s: the answer is not what the API's document says: %v", r.Method, r.URL.Path, err))
	}
	var a answer
	_ = json.Unmarshal(w.Body.Bytes(), &a)
	return w.Code, a, w.Header()
}
