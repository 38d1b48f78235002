package site

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Hook is a webhook, signed as the Standard Webhooks specification 1.0.0 says.
type Hook struct {
	Body   []byte
	Header http.Header
}

// Answer is what a producer says to a hook.
type Answer struct {
	Status  int
	Builds  []AcceptedBuild
	Ignored string
	Error   string
}

// AcceptedBuild is a build that a hook asked for.
type AcceptedBuild struct {
	Build     string
	Duplicate bool // it was asked for before
}

// SignHook signs a body with a secret as it is in its file.
func SignHook(secret string, body []byte) Hook {
	id, stamp := "msg_"+rand.Text(), strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
	return Hook{body, http.Header{
		"Content-Type": {"application/json"},
		"Webhook-Id":   {id}, "Webhook-Timestamp": {stamp},
		"Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}}
}

// PushHook is the generic webhook of a push.
func PushHook(secret, repository, ref, commit string) Hook {
	body, _ := json.Marshal(map[string]string{ // of strings: it doesn't fail
		"repository": repository, "ref": ref, "after": commit, "before": strings.Repeat("0", 40), "pusher": "tests",
	})
	return SignHook(secret, body)
}

// Send sends the hook to a producer. The error is that of the connection, or of an answer
// that can't be read: a refusal is an Answer.
func (h Hook) Send(ctx context.Context, producer string) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, producer+"/hooks/generic", bytes.NewReader(h.Body))
	if err != nil {
		return Answer{}, fmt.Errorf("making a webhook: %w", err)
	}
	req.Header = h.Header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("sending a webhook: %w", err)
	}
	defer resp.Body.Close()
	a := Answer{Status: resp.StatusCode}
	body, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	if err != nil {
		return a, fmt.Errorf("reading the answer to a webhook, %s: %q: %w", resp.Status, body, err)
	}
	return a, nil
}
