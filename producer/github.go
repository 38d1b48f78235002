package producer

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// github reads GitHub's webhooks (docs.github.com, "Webhook events and payloads" and
// "Validating webhook deliveries"). Its SHA-1 signature does not count.
type github struct{}

var _ forge = github{}

func (github) name() string { return "github" }

func (github) proof(h http.Header, _ time.Time) (proof, error) {
	const header = "X-Hub-Signature-256"
	v, err := one(h, header)
	if err != nil {
		return nil, fmt.Errorf("%w: give the webhook a secret, the same as in the pipeline's secret_file", err)
	}
	digits, ok := strings.CutPrefix(v, "sha256=")
	if !ok {
		return nil, errors.New("header " + header + " does not begin with sha256=")
	}
	p, err := hexProof(digits)
	if err != nil {
		return nil, fmt.Errorf("header %s %w", header, err)
	}
	return p, nil
}

func (github) event(h http.Header, body []byte) (event, error) {
	kind, err := one(h, "X-GitHub-Event")
	if err != nil {
		return event{}, err
	}
	e := event{kind: kind, delivery: h.Get("X-GitHub-Delivery")}
	switch kind {
	case "push":
		return readPush(h, body, e)
	case "ping":
		e.ignored = "a ping: the webhook and its secret are set up correctly"
	default:
		e.ignored = fmt.Sprintf("event %q is not a push", clip(kind))
	}
	return e, nil
}
