package e2e

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/demo/site"
)

// hook is a webhook as a sender makes it.
type hook struct {
	path   string // below /hooks/
	body   []byte
	header http.Header
}

// pushHook is the generic webhook of a push, signed.
func (s *stack) pushHook(repository, ref, commit string) hook {
	return generic(site.PushHook(secretText, repository, ref, commit))
}

// signed signs a body as Standard Webhooks has it.
func signed(body []byte) hook { return signedBy(secretText, body) }

func signedBy(secret string, body []byte) hook { return generic(site.SignHook(secret, body)) }

func generic(h site.Hook) hook { return hook{"generic", h.Body, h.Header} }

// digest is a body's HMAC in hexadecimal digits, as most forges sign.
func digest(body []byte) string {
	mac := hmac.New(sha256.New, []byte(secretText))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// github makes a GitHub webhook of a body, signed.
func github(event string, body []byte) hook {
	return forged("github", body, "X-Github-Event", event, "X-Github-Delivery", rand.Text(), "X-Hub-Signature-256", "sha256="+digest(body))
}

// forged makes a forge's webhook with headers, which are names and values in turns.
func forged(path string, body []byte, headers ...string) hook {
	h := hook{path, body, http.Header{"Content-Type": {"application/json"}}}
	for i := 0; i < len(headers); i += 2 {
		h.header.Set(headers[i], headers[i+1])
	}
	return h
}

// pushOf are the webhooks by which forges tell of one push to main, by forge.
func pushOf(url, commit string) map[string]hook {
	fill := func(form string) []byte {
		return []byte(strings.NewReplacer("URL", url, "BEFORE", strings.Repeat("1", 40), "AFTER", commit).Replace(form))
	}
	alike := fill(`{"ref":"refs/heads/main","before":"BEFORE","after":"AFTER","commits":[{"id":"AFTER"}],"repository":{"clone_url":"URL"},"pusher":{"login":"ada"}}`)
	gitlab := fill(`{"object_kind":"push","ref":"refs/heads/main","before":"BEFORE","after":"AFTER","checkout_sha":"AFTER","project":{"git_http_url":"URL"},"commits":[],"total_commits_count":0}`)
	cloud := fill(`{"push":{"changes":[{"old":{"type":"branch","name":"main","target":{"hash":"BEFORE"}},"new":{"type":"branch","name":"main","target":{"hash":"AFTER"}}},` +
		`{"old":null,"new":{"type":"tag","name":"v1","target":{"hash":"AFTER"}}}]},"repository":{"links":{"html":{"href":"URL"}}}}`)
	dataCenter := fill(`{"changes":[{"ref":{"id":"refs/heads/main"},"fromHash":"BEFORE","toHash":"AFTER","type":"UPDATE"}],"repository":{"links":{"clone":[{"href":"URL","name":"http"}]}}}`)
	azure := fill(`{"eventType":"git.push","resource":{"refUpdates":[{"name":"refs/heads/main","oldObjectId":"BEFORE","newObjectId":"AFTER"}],"repository":{"remoteUrl":"URL"}}}`)
	return map[string]hook{
		"GitHub":                github("push", alike),
		"GitLab":                forged("gitlab", gitlab, "X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", secretText),
		"Gitea":                 forged("gitea", alike, "X-Gitea-Event", "push", "X-Gitea-Signature", digest(alike)),
		"Forgejo":               forged("forgejo", alike, "X-Forgejo-Event", "push", "X-Forgejo-Signature", digest(alike)),
		"Gogs":                  forged("gogs", alike, "X-Gogs-Event", "push", "X-Gogs-Signature", digest(alike)),
		"Bitbucket Cloud":       forged("bitbucket", cloud, "X-Event-Key", "repo:push", "X-Hub-Signature", "sha256="+digest(cloud)),
		"Bitbucket Data Center": forged("bitbucket", dataCenter, "X-Event-Key", "repo:refs_changed", "X-Hub-Signature", "sha256="+digest(dataCenter)),
		"Azure DevOps":          forged("generic", azure, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("any:"+secretText))),
	}
}

// answer is what the producer says.
type answer struct {
	status int
	Builds []struct {
		Build     string
		Duplicate bool
	}
	Ignored string
	Error   string
	Trace   string
}

func (s *stack) send(ctx context.Context, h hook) (answer, error) { return sendTo(ctx, s.http, h) }

// sendTo sends a hook to the producer at an address.
func sendTo(ctx context.Context, address string, h hook) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/hooks/"+h.path, bytes.NewReader(h.body))
	if err != nil {
		return answer{}, err
	}
	req.Header = h.header
	status, body, err := ask(req)
	a := answer{status: status}
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		return a, fmt.Errorf("status %d with %q: %w", status, body, err)
	}
	return a, nil
}

// ask sends a request and returns the status and the body of the answer.
func ask(req *http.Request) (int, string, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// TestRefusedHooks sends what is no push of a pipeline: the answer says why and, where the
// sender is wrong, how to mend it. Nothing is built for it.
func TestRefusedHooks(t *testing.T) {
	s := shared.get(t)
	defer s.unharmed(t, "flow")()
	own := s.build(t, "hooks", exporting("hooks"))
	commit := s.ended(t, own).Commit
	builds := s.buildsOf(t, "hooks")
	known := s.git.URL + "/hooks.git"
	good := s.pushHook(known, "refs/heads/main", commit)
	without := func(name string) hook {
		h := hook{good.path, good.body, good.header.Clone()}
		h.header.Del(name)
		return h
	}
	deleted := fmt.Appendf(nil, `{"ref":"refs/heads/main","after":%q,"deleted":true,"repository":{"clone_url":%q}}`, strings.Repeat("0", 40), known)
	lab, compressed := pushOf(known, commit)["GitLab"], hook{good.path, good.body, good.header.Clone()}
	compressed.header.Set("Content-Encoding", "gzip")
	tests := map[string]struct {
		hook   hook
		status int
		says   []string
	}{
		"unsigned":                      {without("Webhook-Signature"), 401, []string{"webhook-signature is missing", "sign it as Standard Webhooks says"}},
		"without time":                  {without("Webhook-Timestamp"), 401, []string{"webhook-timestamp is missing", "sign it as Standard Webhooks says"}},
		"changed body":                  {hook{good.path, bytes.Replace(good.body, []byte("main"), []byte("evil"), 1), good.header}, 401, []string{"signature does not match", "secret_file"}},
		"another's secret":              {signedBy("a guess", good.body), 401, []string{"signature does not match", "secret_file"}},
		"cut body":                      {hook{good.path, good.body[:len(good.body)/2], good.header}, 401, []string{"signature does not match"}},
		"not JSON":                      {signed([]byte("hello")), 400, []string{"not a JSON payload"}},
		"signed but cut":                {signed(good.body[:len(good.body)/2]), 400, []string{"not a JSON payload"}},
		"huge":                          {signed(bytes.Repeat([]byte("x"), 26<<20)), 413, []string{"more than 26214400 bytes", "look at what sends it"}},
		"no commit":                     {s.pushHook(known, "refs/heads/main", "beef"), 400, []string{"after:", "beef"}},
		"no repository":                 {s.pushHook("", "refs/heads/main", commit), 400, []string{"repository:", "give the repository's URL"}},
		"unsigned GitHub":               {hook{"github", good.body, http.Header{"X-Github-Event": {"push"}}}, 401, []string{"X-Hub-Signature-256 is missing", "give the webhook a secret"}},
		"unknown event":                 {github("watch", []byte(`{}`)), 200, []string{"watch", "not a push"}},
		"other repository":              {s.pushHook(s.git.URL+"/other.git", "refs/heads/main", commit), 200, []string{"repository"}},
		"other branch":                  {s.pushHook(known, "refs/heads/feature", commit), 200, []string{"branch", "feature"}},
		"a tag":                         {s.pushHook(known, "refs/tags/v1", commit), 200, []string{`tag "v1"`}},
		"branch deletion":               {s.pushHook(known, "refs/heads/main", strings.Repeat("0", 40)), 200, []string{"main", "deleted"}},
		"GitLab's, at GitHub's address": {hook{"github", lab.body, lab.header}, 401, []string{"webhook of GitLab", "in /hooks/gitlab"}},
		"compressed":                    {compressed, 415, []string{"Content-Encoding gzip", "send it as it is"}},
		"deletion (GitHub)":             {github("push", deleted), 200, []string{"main", "deleted"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := s.send(t.Context(), test.hook)
			if err != nil {
				t.Fatal(err)
			}
			said := got.Error
			if test.status == http.StatusOK {
				said = got.Ignored
			}
			if got.status != test.status || len(got.Builds) != 0 {
				t.Errorf("status %d, builds %v; want status %d and no build", got.status, got.Builds, test.status)
			}
			says(t, said, test.says...)
		})
	}
	if now := s.buildsOf(t, "hooks"); !slices.Equal(now, builds) {
		t.Errorf("the builds were %q and are %q", builds, now)
	}
	t.Run("the same push again is the same build", func(t *testing.T) {
		got, err := s.send(t.Context(), good)
		if err != nil || got.status != http.StatusAccepted || len(got.Builds) != 1 || got.Builds[0].Build != own {
			t.Errorf("%+v, %v; want 202 and %s", got, err, own)
		}
	})
	for forge, h := range pushOf(known, commit) {
		t.Run("the same push, told of by "+forge, func(t *testing.T) {
			got, err := s.send(t.Context(), h)
			if err != nil || got.status != http.StatusAccepted || len(got.Builds) != 1 || got.Builds[0].Build != own || !got.Builds[0].Duplicate {
				t.Errorf("%+v, %v; want 202 and %s", got, err, own)
			}
		})
	}
}

// buildsOf are the IDs of a pipeline's builds.
func (s *stack) buildsOf(t *testing.T, pipeline string) []string {
	t.Helper()
	all, err := s.builds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, b := range all {
		if b.Pipeline == pipeline {
			ids = append(ids, b.Build)
		}
	}
	return ids
}

// TestCutHook hangs up in the middle of a body: nothing comes of it.
func TestCutHook(t *testing.T) {
	s := shared.get(t)
	h := s.pushHook(s.git.URL+"/hooks.git", "refs/heads/main", strings.Repeat("b", 40))
	conn := s.begin(t, h, h.body[:len(h.body)/2])
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if reply := awaitReply(t, conn); !strings.Contains(reply, " 400 ") || !strings.Contains(reply, "before its Content-Length: send it again") {
		t.Errorf("the sender got %q; want 400, the cause and the fix", reply)
	}
}

// TestSlowHook holds a request open without its body: others are served meanwhile, and it
// ends with an answer.
func TestSlowHook(t *testing.T) {
	t.Parallel() // it mostly waits
	s := shared.get(t)
	h := s.pushHook(s.git.URL+"/hooks.git", "refs/heads/main", strings.Repeat("a", 40))
	conn := s.begin(t, h, h.body[:1])
	if got, err := s.send(t.Context(), s.pushHook(s.git.URL+"/other.git", "refs/heads/main", strings.Repeat("a", 40))); err != nil || got.status != 200 {
		t.Fatalf("another hook meanwhile: %+v, %v", got, err)
	}
	if reply := awaitReply(t, conn); !strings.Contains(reply, " 408 ") || !strings.Contains(reply, "did not arrive within") || !strings.Contains(reply, "send it again") {
		t.Errorf("the slow sender got %q; want 408, the cause and the fix", reply)
	}
}

// begin sends a hook with only the beginning of its body.
func (s *stack) begin(t *testing.T, h hook, body []byte) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.http)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST /hooks/%s HTTP/1.1\r\nHost: fenceline\r\nContent-Length: %d\r\n", h.path, len(h.body))
	for name, values := range h.header {
		fmt.Fprintf(conn, "%s: %s\r\n", name, values[0])
	}
	if _, err := fmt.Fprintf(conn, "\r\n%s", body); err != nil {
		t.Fatal(err)
	}
	return conn
}

// awaitReply reads until the server hangs up.
func awaitReply(t *testing.T, conn net.Conn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("after %q: %v", reply, err)
	}
	return string(reply)
}

// TestUnknownCaller asks for a build without the token.
func TestUnknownCaller(t *testing.T) {
	s := shared.get(t)
	for token, want := range map[string]string{
		"":             "Authorization is missing",
		"Bearer guess": "the token is wrong: use one of the producer's own",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.http+"/v1/builds", strings.NewReader(`{"pipeline":"hooks"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", token)
		status, body, err := ask(req)
		if err != nil || status != http.StatusUnauthorized || !strings.Contains(body, want) {
			t.Errorf("with %q: %v, status %d, %s; want 401 and %q", token, err, status, body, want)
		}
	}
}
