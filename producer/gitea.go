package producer

import (
	"fmt"
	"net/http"
	"time"
)

// gitea reads the webhooks of Gitea and of those that it shares its form with. They differ in the
// names of headers (docs.gitea.com/usage/webhooks, forgejo.org/docs "Webhooks", gogs.io/docs/features/webhook).
type gitea struct {
	word   string
	brands []string // in the names of headers, those that count first
}

var _ forge = gitea{}

// giteaAlike are Gitea, Forgejo and Gogs. Forgejo sends Gitea's headers beside its own, so its webhooks work
// at either path.
func giteaAlike() []forge {
	return []forge{gitea{"gitea", []string{"Forgejo", "Gitea"}}, gitea{"forgejo", []string{"Forgejo", "Gitea"}}, gitea{"gogs", []string{"Gogs"}}}
}

func (g gitea) name() string { return g.word }

func (g gitea) signedBy() []string {
	var headers []string
	for _, b := range g.brands {
		headers = append(headers, "X-"+b+"-Signature")
	}
	return headers
}

// brand is the first whose header a request has; the last where it has none of them.
func (g gitea) brand(h http.Header, name string) string {
	for _, b := range g.brands {
		if h.Get("X-"+b+name) != "" {
			return b
		}
	}
	return g.brands[len(g.brands)-1]
}

func (g gitea) proof(h http.Header, _ time.Time) (proof, error) {
	header := "X-" + g.brand(h, "-Signature") + "-Signature"
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

func (g gitea) read(h http.Header, payload []byte) (delivery, error) {
	brand := g.brand(h, "-Event")
	kind, err := one(h, "X-"+brand+"-Event")
	if err != nil {
		return delivery{}, err
	}
	d := delivery{kind: kind, id: h.Get("X-" + brand + "-Delivery")}
	switch {
	case kind == "push":
		err = d.readGiteaPush(payload)
	case kind == "delete", brand == "Gogs" && kind == "create":
		err = d.readRef(payload)
	case kind == "create":
		d.ignored = fmt.Sprintf("event %q is told of by a push event, too", kind)
	default:
		d.ignored = notAPush(kind, "select push events")
	}
	return d, err
}

// readGiteaPush reads a push, or what the button for a test delivery sends: a push that changes nothing,
// of the default branch. Its commit may be the head, or zeros.
func (d *delivery) readGiteaPush(payload []byte) error {
	var p push
	if err := decode(payload, &p); err != nil {
		return err
	}
	if p.Before == p.After && p.After != "" {
		d.ping = &ping{repositories: p.Repository.urls(), defaultBranch: p.Repository.DefaultBranch, events: []string{"push"}}
		return nil
	}
	var err error
	d.events, err = p.events()
	return err
}

// readRef reads events of refs that are new or gone. In Gogs tags, and branches that are gone, have no push event, and a
// new branch has one; in Gitea of today branches that are gone have none (seen with 1.26).
func (d *delivery) readRef(payload []byte) error {
	var p struct {
		Ref        string     `json:"ref"` // the name alone
		Kind       string     `json:"ref_type"`
		Commit     string     `json:"sha"`
		Repository repository `json:"repository"`
		Sender     pusher     `json:"sender"`
	}
	if err := decode(payload, &p); err != nil {
		return err
	}
	e := event{repositories: p.Repository.urls(), commit: p.Commit, pusher: p.Sender.String(), deleted: d.kind == "delete"}
	switch {
	case len(e.repositories) == 0:
		return errNoCloneURL
	case p.Ref == "":
		return fmt.Errorf("ref: is missing: is this the payload of the event %s?", d.kind)
	case p.Kind == "tag":
		e.ref = tagRefs + p.Ref
	case p.Kind == "branch" && e.deleted:
		e.ref = branchRefs + p.Ref
	default:
		d.ignored = fmt.Sprintf("event %q of a branch is told of by a push event, too", d.kind)
		return nil
	}
	err := e.check("ref", "sha")
	d.events = []event{e}
	return err
}
