package producer

import (
	"fmt"
	"net/http"
	"time"
)

// gitea reads the webhooks of Gitea and of Forgejo, which differ in the names of headers
// (docs.gitea.com/usage/webhooks, forgejo.org/docs "Webhooks").
type gitea struct{}

var _ forge = gitea{}

func (gitea) name() string { return "gitea" }

func (gitea) proof(h http.Header, _ time.Time) (proof, error) {
	header := "X-Gitea-Signature"
	if h.Get("X-Forgejo-Signature") != "" {
		header = "X-Forgejo-Signature"
	}
	digits, err := one(h, header)
	if err != nil {
		return nil, fmt.Errorf("%w: give the webhook a secret, the same as in the pipeline's secret_file", err)
	}
	p, err := hexProof(digits)
	if err != nil {
		return nil, fmt.Errorf("header %s %w", header, err)
	}
	return p, nil
}

func (gitea) read(h http.Header, payload []byte) (delivery, error) {
	brand := "Gitea"
	if h.Get("X-Forgejo-Event") != "" {
		brand = "Forgejo"
	}
	kind, err := one(h, "X-"+brand+"-Event")
	if err != nil {
		return delivery{}, err
	}
	d := delivery{kind: kind, id: h.Get("X-" + brand + "-Delivery")}
	if kind != "push" {
		d.ignored = fmt.Sprintf("event %q is not a push", clip(kind))
		return d, nil
	}
	d.events, err = readPush(payload)
	return d, err
}
