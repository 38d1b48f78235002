package statuses

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/statuses/target"
)

const (
	// answerTime bounds a call of a forge altogether.
	answerTime = 20 * time.Second
	// answerBytes bounds what is read of an answer, refusalBytes of one that refuses.
	answerBytes, refusalBytes = 1 << 20, 64 << 10
	// reasonMost bounds, in bytes, what a forge says of a refusal.
	reasonMost = 300
)

// refusal is an answer of a forge other than that it did what it was asked.
type refusal struct {
	status int
	reason string        // what the forge says of it, made visible
	away   time.Duration // how long it asks to be left alone; 0 where it doesn't say
	limit  bool          // it is for having asked too often
}

// Error is the status, and the reason.
func (r *refusal) Error() string {
	text := fmt.Sprintf("%d %s", r.status, http.StatusText(r.status))
	if r.reason != "" {
		text += ": " + r.reason
	}
	return text
}

// sender sends requests with a token to one host, and to no other. It is a round tripper that takes every answer but
// one that all is well for an error, which is a *refusal, as the drivers keep neither body nor headers.
type sender struct {
	base  http.RoundTripper
	host  string // with the port where the address has one
	forge target.Forge
	token messages.Secret
}

// RoundTrip refuses requests to other hosts.
func (s *sender) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != s.host {
		return nil, fmt.Errorf("it is not sent to %s: the token is for %s alone", req.URL.Host, s.host)
	}
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", s.authorization())
	req.Header.Set("User-Agent", "fenceline")
	resp, err := s.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		defer resp.Body.Close()
		return nil, s.refused(resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerBytes))
	_ = resp.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// authorization is the header that the token goes into. Bitbucket has tokens that go with a user's name, as USER:TOKEN.
func (s *sender) authorization() string {
	token := s.token.Reveal()
	switch {
	case s.forge == target.Gitea || s.forge == target.Forgejo:
		return "token " + token
	case (s.forge == target.Bitbucket || s.forge == target.BitbucketServer) && strings.Contains(token, ":"):
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(token))
	}
	return "Bearer " + token
}

// refused reads what a forge says where it doesn't do what it is asked.
func (s *sender) refused(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, refusalBytes))
	r := &refusal{status: resp.StatusCode, reason: s.without(reason(body)), away: wait(resp.Header)}
	if at := resp.Header.Get("Location"); at != "" && resp.StatusCode < http.StatusBadRequest {
		r.reason = "it redirects to " + visible(redirectHost(at)) + ", which the token is not sent to"
	}
	exhausted := resp.Header.Get("X-RateLimit-Remaining") == "0"
	told := strings.Contains(strings.ToLower(r.reason), "rate limit")
	r.limit = r.status == http.StatusTooManyRequests || r.status == http.StatusForbidden && (r.away > 0 || exhausted || told)
	return r
}

func redirectHost(location string) string {
	if u, err := url.Parse(location); err == nil && u.Host != "" {
		return u.Host
	}
	return location
}

// without is a text in which the token, should a forge repeat it, is not.
func (s *sender) without(text string) string {
	for _, part := range append(strings.Split(s.token.Reveal(), ":"), s.authorization()) {
		if len(part) >= 8 {
			text = strings.ReplaceAll(text, part, "…")
		}
	}
	return messages.Shorten(visible(text), reasonMost)
}

// reason is what an answer says, by the names that forges have for it.
func reason(body []byte) string {
	var said struct {
		Message json.RawMessage `json:"message"` // GitLab's may be an object
		Error   json.RawMessage `json:"error"`
		Errors  []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &said) != nil {
		if text := string(body); !strings.Contains(text, "<") { // a page is for browsers
			return text
		}
		return ""
	}
	var nested struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(said.Error, &nested) == nil && nested.Message != "" {
		return nested.Message
	}
	text := cmp.Or(plain(said.Message), plain(said.Error))
	for _, e := range said.Errors {
		if e.Message != "" {
			text = strings.TrimPrefix(text+": "+e.Message, ": ")
		}
	}
	return text
}

// plain is a JSON string's text, or the JSON of anything else.
func plain(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// wait is how long an answer asks to be left alone.
func wait(h http.Header) time.Duration {
	after := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(after, 10, 32); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(after); err == nil {
		return max(time.Until(at), time.Second)
	}
	for _, name := range []string{"X-RateLimit-", "RateLimit-"} {
		at, err := strconv.ParseInt(h.Get(name+"Reset"), 10, 64)
		if h.Get(name+"Remaining") == "0" && err == nil {
			return max(time.Until(time.Unix(at, 0)), time.Second)
		}
	}
	return 0
}

// unknownAuthority tells whether the forge's certificate is of nobody who is trusted.
func unknownAuthority(err error) bool {
	return errors.As(err, new(x509.UnknownAuthorityError))
}
