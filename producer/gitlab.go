package producer

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// gitlab reads GitLab's webhooks of projects and groups, and its system hooks (docs.gitlab.com, "Webhook
// events", "System hooks"). It signs as Standard Webhooks says where the webhook has a signing token,
// and sends its older secret token as it is.
type gitlab struct{}

var _ forge = gitlab{}

func (gitlab) name() string { return "gitlab" }

func (gitlab) signedBy() []string { return []string{"webhook-signature", "X-Gitlab-Token"} }

// proof takes either of both: a webhook may have them at once while one takes the other's place.
func (gitlab) proof(h http.Header, now time.Time) (proof, error) {
	const header = "X-Gitlab-Token"
	token := h.Values(header)
	switch {
	case len(token) > 1:
		return nil, fmt.Errorf("header %s is given %d times", header, len(token))
	case h.Get("webhook-signature") == "" && (len(token) == 0 || token[0] == ""):
		return nil, errors.New("header webhook-signature or " + header + " is missing: give the webhook a signing token or, in a GitLab without one, a secret token, the same as in the pipeline's secret_file")
	case h.Get("webhook-signature") == "":
		return wordProof(token[0]), nil
	}
	signed, err := standardProof(h, now)
	if err != nil || len(token) == 0 {
		return signed, err
	}
	known := wordProof(token[0])
	return func(body []byte, k *hookKey) bool {
		ok := signed(body, k)
		return known(body, k) || ok
	}, nil
}

// gitlabPush is the payload of a push or of a system hook's repository update, which has changes in
// place of ref, before and after.
type gitlabPush struct {
	Kind     string       `json:"object_kind"`
	Name     string       `json:"event_name"` // system hooks alone have it in every version
	Ref      string       `json:"ref"`
	Before   string       `json:"before"`
	After    string       `json:"after"`
	Checkout string       `json:"checkout_sha"` // the commit, where after is an annotated tag's own object
	User     string       `json:"user_username"`
	UserName string       `json:"user_name"`
	Project  gitlabURLs   `json:"project"`
	Older    gitlabURLs   `json:"repository"` // of a GitLab before 8.5
	Commits  commits      `json:"commits"`
	Changes  []gitlabMove `json:"changes"`
}

// gitlabURLs are those that GitLab has for a project.
type gitlabURLs struct {
	HTTP string `json:"git_http_url"`
	SSH  string `json:"git_ssh_url"`
	Web  string `json:"web_url"`
}

// gitlabMove is the change of one ref in a repository update.
type gitlabMove struct {
	Ref    string `json:"ref"`
	Before string `json:"before"`
	After  string `json:"after"`
}

func (gitlab) read(h http.Header, payload []byte) (delivery, error) {
	kind, err := one(h, "X-Gitlab-Event")
	if err != nil {
		return delivery{}, err
	}
	d := delivery{kind: kind, id: firstOf(h, "X-Gitlab-Event-UUID", "webhook-id", "Idempotency-Key")}
	if kind != "Push Hook" && kind != "Tag Push Hook" && kind != "System Hook" {
		d.ignored = notAPush(kind, "select Push events, and Tag push events if tags are built")
		return d, nil
	}
	if kind == "System Hook" {
		if d.kind, err = systemHook(payload); err != nil || d.kind != "push" && d.kind != "tag_push" && d.kind != "repository_update" {
			d.ignored = notAPush(d.kind, "select Push events, or Repository update events")
			return d, err
		}
	}
	var p gitlabPush
	if err := decode(payload, &p); err != nil {
		return d, err
	}
	d.events, err = p.events()
	return d, err
}

// systemHook is what a system hook tells of. What else its payload has differs from kind to kind.
func systemHook(payload []byte) (string, error) {
	var p struct {
		Kind string `json:"object_kind"`
		Name string `json:"event_name"`
	}
	err := decode(payload, &p)
	if p.Name != "" {
		return p.Name, err
	}
	return p.Kind, err
}

func (p *gitlabPush) events() ([]event, error) {
	urls := nonEmpty(p.Project.HTTP, p.Project.SSH, p.Project.Web, p.Older.HTTP, p.Older.SSH)
	if len(urls) == 0 {
		return nil, errors.New("project.git_http_url: is missing: is this the payload of a push?")
	}
	pusher := p.User
	if pusher == "" {
		pusher = p.UserName
	}
	if p.Name == "repository_update" {
		all := make([]event, len(p.Changes))
		for i, c := range p.Changes {
			all[i] = event{repositories: urls, ref: c.Ref, before: c.Before, commit: c.After, pusher: pusher}
			if err := all[i].check(fmt.Sprintf("changes[%d].ref", i), fmt.Sprintf("changes[%d].after", i)); err != nil {
				return nil, err
			}
		}
		return all, nil
	}
	e := event{repositories: urls, ref: p.Ref, before: p.Before, commit: p.After, pusher: pusher, paths: p.Commits.paths()}
	if _, ok := e.tag(); ok && p.Checkout != "" {
		e.commit = p.Checkout
	}
	e.message = p.Commits.message(e.commit)
	err := e.check("ref", "after")
	return []event{e}, err
}
