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

func (github) read(h http.Header, payload []byte) (delivery, error) {
	kind, err := one(h, "X-GitHub-Event")
	if err != nil {
		return delivery{}, err
	}
	d := delivery{kind: kind, id: h.Get("X-GitHub-Delivery")}
	switch kind {
	case "push":
		d.events, err = readPush(payload)
	case "ping":
		err = d.readPing(payload)
	default:
		d.ignored = fmt.Sprintf("event %q is not a push", clip(kind))
	}
	return d, err
}

// readPing reads GitHub's ping event, which it sends when a webhook is made.
func (d *delivery) readPing(payload []byte) error {
	var p struct {
		Hook struct {
			Events []string `json:"events"`
		} `json:"hook"`
		Repository repository `json:"repository"` // a webhook of an organisation has none
	}
	if err := decode(payload, &p); err != nil {
		return err
	}
	if l := p.Hook.Events; len(l) > 0 && !slices.Contains(l, "push") && !slices.Contains(l, "*") {
		d.ignored = "a ping, but pushes are not sent: select the push event in the webhook's settings"
		return nil
	}
	d.ping = &ping{repositories: p.Repository.urls()}
	return nil
}
