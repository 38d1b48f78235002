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
	"strings"
	"testing"
	"time"
)

// hook is a webhook as a sender makes it.
type hook struct {
	path   string // below /hooks/
	body   []byte
	header http.Header
}

// pushHook is the generic webhook of a push, signed.
func (s *stack) pushHook(repository, ref, commit string) hook {
	body, _ := json.Marshal(map[string]string{
		"repository": repository, "ref": ref, "after": commit, "before": strings.Repeat("0", 40), "pusher": "tests",
	})
	return signed(body)
}

// signed signs a body as Standard Webhooks has it.
func signed(body []byte) hook {
	id, stamp := "msg_"+rand.Text(), fmt.Sprint(time.Now().Unix())
	mac := hmac.New(sha256.New, []byte(secretText))
	fmt.Fprintf(mac, "%s.%s.", id, stamp)
	mac.Write(body)
	return hook{"generic", body, http.Header{
		"Content-Type": {"application/json"},
		"Webhook-Id":   {id}, "Webhook-Timestamp": {stamp},
		"Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}}
}

// github makes a GitHub webhook of a body, signed.
func github(event string, body []byte) hook {
	mac := hmac.New(sha256.New, []byte(secretText))
	mac.Write(body)
	return hook{"github", body, http.Header{
		"Content-Type": {"application/json"}, "X-Github-Event": {event}, "X-Github-Delivery": {rand.Text()},
		"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))},
	}}
}

// answer is what the producer says.
type answer struct {
	status  int
	Builds  []struct{ Build string }
	Ignored string
	Error   string
}

func (s *stack) send(ctx context.Context, h hook) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.http+"/hooks/"+h.path, bytes.NewReader(h.body))
	if err != nil {
		return answer{}, err
	}
	req.Header = h.header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return a, fmt.Errorf("status %d with %q: %w", resp.StatusCode, b, err)
	}
	return a, nil
}

func TestRefusedHooks(t *testing.T) {
	s := shared.get(t)
	commit := s.push(t, "hooks", exporting("hooks"))
	known := s.git.URL + "/hooks.git"
	good := s.pushHook(known, "refs/heads/main", commit)
	without := func(name string) hook {
		h := hook{good.path, good.body, good.header.Clone()}
		h.header.Del(name)
		return h
	}
	tests := map[string]struct {
		hook   hook
		status int
		says   string
	}{
		"unsigned":         {without("Webhook-Signature"), 401, "webhook-signature"},
		"without time":     {without("Webhook-Timestamp"), 401, "webhook-timestamp"},
		"changed body":     {hook{good.path, bytes.Replace(good.body, []byte("main"), []byte("evil"), 1), good.header}, 401, "signature"},
		"cut body":         {hook{good.path, good.body[:len(good.body)/2], good.header}, 401, "signature"},
		"not JSON":         {signed([]byte("hello")), 400, "JSON"},
		"signed but cut":   {signed(good.body[:len(good.body)/2]), 400, "JSON"},
		"huge":             {signed(bytes.Repeat([]byte("x"), 26<<20)), 413, "bytes"},
		"no commit":        {s.pushHook(known, "refs/heads/main", "beef"), 400, "commit"},
		"unsigned GitHub":  {hook{"github", good.body, http.Header{"X-Github-Event": {"push"}}}, 401, "X-Hub-Signature-256"},
		"unknown event":    {github("watch", []byte(`{}`)), 200, "watch"},
		"other repository": {s.pushHook(s.git.URL+"/other.git", "refs/heads/main", commit), 200, "repository"},
		"other branch":     {s.pushHook(known, "refs/heads/feature", commit), 200, "branch"},
		"a tag":            {s.pushHook(known, "refs/tags/v1", commit), 200, "tag"},
		"branch deletion":  {s.pushHook(known, "refs/heads/main", strings.Repeat("0", 40)), 200, "delet"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := s.send(t.Context(), test.hook)
			if err != nil {
				t.Fatal(err)
			}
			said := got.Error + got.Ignored
			if got.status != test.status || len(got.Builds) != 0 || !strings.Contains(strings.ToLower(said), strings.ToLower(test.says)) {
				t.Errorf("status %d, %q, builds %v; want status %d, no build and a word about %q", got.status, said, got.Builds, test.status, test.says)
			}
		})
	}
	t.Run("the same push again is the same build", func(t *testing.T) {
		var ids []string
		for range 2 {
			got, err := s.send(t.Context(), s.pushHook(known, "refs/heads/main", commit))
			if err != nil || got.status != 202 || len(got.Builds) != 1 {
				t.Fatalf("%+v, %v", got, err)
			}
			ids = append(ids, got.Builds[0].Build)
		}
		if ids[0] != ids[1] {
			t.Errorf("two builds, %q, for one push", ids)
		}
	})
}

// TestSlowHook holds a request open without its body: others are served meanwhile, and it
// ends with an answer.
func TestSlowHook(t *testing.T) {
	t.Parallel() // it mostly waits
	s := shared.get(t)
	conn, err := net.Dial("tcp", s.http)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	h := s.pushHook(s.git.URL+"/hooks.git", "refs/heads/main", strings.Repeat("a", 40))
	fmt.Fprintf(conn, "POST /hooks/generic HTTP/1.1\r\nHost: fenceline\r\nContent-Length: 100\r\n")
	for name, values := range h.header {
		fmt.Fprintf(conn, "%s: %s\r\n", name, values[0])
	}
	fmt.Fprint(conn, "\r\n{")
	if got, err := s.send(t.Context(), s.pushHook(s.git.URL+"/other.git", "refs/heads/main", strings.Repeat("a", 40))); err != nil || got.status != 200 {
		t.Fatalf("another hook meanwhile: %+v, %v", got, err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(reply), " 408 ") {
		t.Errorf("the slow sender got %q, %v; want 408", reply, err)
	}
}

// TestUnknownCaller asks for a build without the token.
func TestUnknownCaller(t *testing.T) {
	s := shared.get(t)
	for name, token := range map[string]string{"none": "", "a wrong one": "Bearer guess"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.http+"/v1/builds", strings.NewReader(`{"pipeline":"hooks"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("token %s: status %d, want 401", name, resp.StatusCode)
		}
	}
}
