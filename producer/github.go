package producer

import (
	"net/http"
	"time"
)

// github reads GitHub's webhooks (docs.github.com, "Webhook events and payloads" and
// "Validating webhook deliveries"). Its SHA-1 signature does not count.
type github struct{}

var _ forge = github{}

func (github) name() string { return "github" }

func (github) signedBy() []string { return []string{"X-Hub-Signature-256"} }

func (github) proof(h http.Header, _ time.Time) (proof, error) {
	return prefixedProof(h, "X-Hub-Signature-256")
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
		d.ignored = notAPush(kind, "select the push event")
	}
	return d, err
}

// maxEvents is more kinds of events than GitHub has.
const maxEvents = 200

// readPing reads GitHub's ping event, which it sends when a webhook is made.
func (d *delivery) readPing(payload []byte) error {
	var p struct {
		Hook struct {
			Events textList `json:"events"`
		} `json:"hook"`
		Repository repository `json:"repository"` // a webhook of an organisation has none
	}
	if err := decode(payload, &p); err != nil {
		return err
	}
	d.ping = &ping{repositories: p.Repository.urls(), defaultBranch: p.Repository.DefaultBranch, events: p.Hook.Events.first(maxEvents)}
	return nil
}
