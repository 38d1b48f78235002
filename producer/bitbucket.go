package producer

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// bitbucket reads the webhooks of Bitbucket Cloud (support.atlassian.com, "Event payloads") and of Bitbucket
// Data Center (confluence.atlassian.com, "Event payload"), which are signed alike and differ in all else.
type bitbucket struct{}

var _ forge = bitbucket{}

func (bitbucket) name() string { return "bitbucket" }

func (bitbucket) signedBy() []string { return []string{"X-Hub-Signature"} }

// What is in X-Event-Key.
const (
	cloudPush      = "repo:push"
	dataCenterPush = "repo:refs_changed"
	dataCenterTest = "diagnostics:ping"
)

func (bitbucket) proof(h http.Header, _ time.Time) (proof, error) {
	const header = "X-Hub-Signature"
	if h.Get(header) == "" && h.Get("X-Event-Key") == dataCenterTest {
		return nil, errUnsignedTest
	}
	return prefixedProof(h, header)
}

func (bitbucket) read(h http.Header, payload []byte) (delivery, error) {
	kind, err := one(h, "X-Event-Key")
	if err != nil {
		return delivery{}, err
	}
	d := delivery{kind: kind, id: firstOf(h, "X-Request-UUID", "X-Request-Id")}
	switch kind {
	case cloudPush:
		d.events, err = readCloudPush(payload)
	case dataCenterPush:
		d.events, err = readDataCenterPush(payload)
	case dataCenterTest:
		d.ping = &ping{}
	default:
		d.ignored = notAPush(kind, "select Repository: Push")
	}
	return d, err
}

// cloudRef is a ref before or after a push to Bitbucket Cloud.
type cloudRef struct {
	Type   string `json:"type"` // branch or tag; named_branch and bookmark are Mercurial's
	Name   string `json:"name"`
	Target struct {
		Hash    string `json:"hash"` // of the commit, also for an annotated tag
		Message string `json:"message"`
	} `json:"target"`
}

func (r *cloudRef) full() string {
	switch {
	case r.Name == "":
		return ""
	case r.Type == "tag":
		return tagRefs + r.Name
	}
	return branchRefs + r.Name
}

func readCloudPush(payload []byte) ([]event, error) {
	var p struct {
		Push struct {
			Changes []struct {
				New    *cloudRef `json:"new"` // null where the ref is gone
				Old    *cloudRef `json:"old"` // null where it is new
				Forced bool      `json:"forced"`
			} `json:"changes"`
		} `json:"push"`
		Repository struct {
			FullName string `json:"full_name"`
			Links    struct {
				HTML struct {
					Href string `json:"href"`
				} `json:"html"`
			} `json:"links"`
		} `json:"repository"`
		Actor struct {
			Nickname    string `json:"nickname"`
			DisplayName string `json:"display_name"`
		} `json:"actor"`
	}
	if err := decode(payload, &p); err != nil {
		return nil, err
	}
	urls := nonEmpty(p.Repository.Links.HTML.Href)
	if len(urls) == 0 && p.Repository.FullName != "" {
		urls = []string{"https://bitbucket.org/" + p.Repository.FullName}
	}
	if len(urls) == 0 {
		return nil, errors.New("repository.links.html.href: is missing: is this the payload of a push?")
	}
	pusher := p.Actor.Nickname
	if pusher == "" {
		pusher = p.Actor.DisplayName
	}
	all := make([]event, len(p.Push.Changes))
	for i, c := range p.Push.Changes {
		e := event{repositories: urls, forced: c.Forced, pusher: pusher}
		if c.Old != nil {
			e.ref, e.before, e.deleted = c.Old.full(), c.Old.Target.Hash, true
		}
		if c.New != nil {
			e.ref, e.commit, e.message, e.deleted = c.New.full(), c.New.Target.Hash, c.New.Target.Message, false
		}
		if err := e.check(fmt.Sprintf("push.changes[%d].new.name", i), fmt.Sprintf("push.changes[%d].new.target.hash", i)); err != nil {
			return nil, err
		}
		all[i] = e
	}
	return all, nil
}

// dataCenterRepository is one of a server whose own address not every version tells.
type dataCenterRepository struct {
	Slug    string `json:"slug"`
	Project struct {
		Key string `json:"key"`
	} `json:"project"`
	Links struct {
		Clone []struct {
			Href string `json:"href"`
		} `json:"clone"`
	} `json:"links"`
}

// urls are those that the payload has; path is that below /scm/ of any server where it has none.
func (r *dataCenterRepository) urls() (urls []string, path string) {
	for _, l := range r.Links.Clone {
		urls = append(urls, nonEmpty(l.Href)...)
	}
	if len(urls) == 0 && r.Slug != "" && r.Project.Key != "" {
		path = strings.ToLower("scm/" + r.Project.Key + "/" + r.Slug)
	}
	return urls, path
}

// dataCenterCommit is a commit in the payload of a newer version.
type dataCenterCommit struct {
	ID      string `json:"id"`
	Message string `json:"message"`
}

func readDataCenterPush(payload []byte) ([]event, error) {
	var p struct {
		Changes []struct {
			Ref struct {
				ID string `json:"id"`
			} `json:"ref"`
			From string `json:"fromHash"`
			To   string `json:"toHash"`
			Type string `json:"type"` // ADD, UPDATE, DELETE
		} `json:"changes"`
		Repository dataCenterRepository `json:"repository"`
		ToCommit   dataCenterCommit     `json:"toCommit"`
		Actor      pusher               `json:"actor"`
	}
	if err := decode(payload, &p); err != nil {
		return nil, err
	}
	urls, path := p.Repository.urls()
	if len(urls) == 0 && path == "" {
		return nil, errors.New("repository.slug: is missing, or repository.project.key is: is this the payload of a push?")
	}
	all := make([]event, len(p.Changes))
	for i, c := range p.Changes {
		e := event{repositories: urls, hostless: path, ref: c.Ref.ID, before: c.From, commit: c.To, deleted: c.Type == "DELETE", pusher: p.Actor.String()}
		if p.ToCommit.ID == c.To {
			e.message = p.ToCommit.Message
		}
		if err := e.check(fmt.Sprintf("changes[%d].ref.id", i), fmt.Sprintf("changes[%d].toHash", i)); err != nil {
			return nil, err
		}
		all[i] = e
	}
	return all, nil
}
