package producer

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
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

func (github) event(h http.Header, payload []byte) (event, error) {
	kind, err := one(h, "X-GitHub-Event")
	if err != nil {
		return event{}, err
	}
	e := event{kind: kind, delivery: h.Get("X-GitHub-Delivery")}
	switch kind {
	case "push":
		return readPush(payload, e)
	case "ping":
		return readPing(payload, e)
	default:
		e.ignored = fmt.Sprintf("event %q is not a push", clip(kind))
	}
	return e, nil
}

// readPing reads GitHub's ping event, which it sends when a webhook is made.
func readPing(payload []byte, e event) (event, error) {
	var p struct {
		Hook struct {
			Events []string `json:"events"`
		} `json:"hook"`
		Repository repository `json:"repository"` // a webhook of an organisation has none
	}
	if err := decode(payload, &p); err != nil {
		return e, err
	}
	if l := p.Hook.Events; len(l) > 0 && !slices.Contains(l, "push") && !slices.Contains(l, "*") {
		e.ignored = "a ping, but pushes are not sent: select the push event in the webhook's settings"
		return e, nil
	}
	e.ping, e.repositories = true, p.Repository.urls()
	return e, nil
}
