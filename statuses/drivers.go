package statuses

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/drone/go-scm/scm"
	"github.com/drone/go-scm/scm/driver/bitbucket"
	"github.com/drone/go-scm/scm/driver/gitea"
	"github.com/drone/go-scm/scm/driver/github"
	"github.com/drone/go-scm/scm/driver/gitlab"
	"github.com/drone/go-scm/scm/driver/stash"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/statuses/target"
)

// said is a status as a forge is told it.
type said struct {
	commit, branch string // branch is the tag's name where there is one; "" where neither is known
	state          scm.State
	context        string
	text           string
	leads          string
}

// stateOf is a state in the words that go-scm has for those of forges.
func stateOf(s State) scm.State {
	switch s {
	case Queued:
		return scm.StatePending
	case Building, Waiting, Preloading, Approval, Held, Soaking:
		return scm.StateRunning
	case Ready, Live:
		return scm.StateSuccess
	case Cancelled, Superseded, Aborted:
		return scm.StateCanceled
	case Broken:
		return scm.StateError
	}
	return scm.StateFailure
}

// client speaks to the forge of a target.
type client struct {
	target target.Target
	scm    *scm.Client
}

func newClient(t target.Target, token messages.Secret, base http.RoundTripper) (*client, error) {
	drivers := map[target.Forge]func(string) (*scm.Client, error){
		target.GitHub: github.New, target.GitLab: gitlab.New, target.Gitea: gitea.New, target.Forgejo: gitea.New,
		target.Bitbucket: bitbucket.New, target.BitbucketServer: stash.New,
	}
	c, err := drivers[t.Forge](t.API())
	if err != nil {
		return nil, err
	}
	c.Client = &http.Client{
		Transport: &sender{base, c.BaseURL.Host, t.Forge, token}, Timeout: answerTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &client{t, c}, nil
}

// tell tells the forge a status. What go-scm's drivers leave out for two of them is sent by the same client: GitLab's
// text and branch, and Bitbucket's word for what was stopped.
func (c *client) tell(ctx context.Context, s said) error {
	repository := c.target.Repository
	switch c.target.Forge {
	case target.GitLab:
		q := url.Values{"state": {gitlabState(s.state)}, "name": {s.context}, "description": {s.text}}
		if s.leads != "" {
			q.Set("target_url", s.leads)
		}
		if s.branch != "" {
			q.Set("ref", s.branch)
		}
		return c.post(ctx, fmt.Sprintf("api/v4/projects/%s/statuses/%s?%s", strings.ReplaceAll(repository, "/", "%2F"), s.commit, q.Encode()), nil)
	case target.Bitbucket:
		return c.post(ctx, fmt.Sprintf("2.0/repositories/%s/commit/%s/statuses/build", repository, s.commit), map[string]string{
			"state": bitbucketState(s.state), "key": c.target.Forge.Name(s.context), "name": s.context, "description": s.text, "url": s.leads,
		})
	}
	_, _, err := c.scm.Repositories.CreateStatus(ctx, repository, s.commit, &scm.StatusInput{
		State: s.state, Label: s.context, Title: s.context, Desc: s.text, Target: s.leads,
	})
	return err
}

// post posts a JSON body, or none, and takes any answer that all is well.
func (c *client) post(ctx context.Context, path string, body map[string]string) error {
	req := &scm.Request{Method: http.MethodPost, Path: path}
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		req.Header, req.Body = http.Header{"Content-Type": {"application/json"}}, bytes.NewReader(b)
	}
	resp, err := c.scm.Do(ctx, req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func gitlabState(s scm.State) string {
	switch s {
	case scm.StatePending:
		return "pending"
	case scm.StateRunning:
		return "running"
	case scm.StateSuccess:
		return "success"
	case scm.StateCanceled:
		return "canceled"
	}
	return "failed"
}

func bitbucketState(s scm.State) string {
	switch s {
	case scm.StatePending, scm.StateRunning:
		return "INPROGRESS"
	case scm.StateSuccess:
		return "SUCCESSFUL"
	case scm.StateCanceled:
		return "STOPPED"
	}
	return "FAILED"
}

// mayTell tells whether the token can write statuses, as far as that can be seen without writing one.
func (c *client) mayTell(ctx context.Context) (found string, err error) {
	repo, _, err := c.scm.Repositories.Find(ctx, c.target.Repository)
	if err != nil {
		return "", err
	}
	if repo.Archived {
		return "", fmt.Errorf("%s is archived: its forge takes no statuses", c.target.Repository)
	}
	switch c.target.Forge {
	case target.GitHub, target.GitLab, target.Gitea, target.Forgejo:
		if repo.Perm == nil || !repo.Perm.Push && !repo.Perm.Admin {
			return "", fmt.Errorf("the token can read %s, but may not write to it: give its user the right to push, and the token %s", c.target.Repository, scopes[c.target.Forge])
		}
		return "the token's user may write statuses", nil
	}
	return "the token can read the repository; whether it may write statuses is seen with the first one", nil
}

// scopes are what a token needs at each forge.
var scopes = map[target.Forge]string{
	target.GitHub:          "the permission \"Commit statuses: read and write\" (of a classic token: repo:status)",
	target.GitLab:          "the scope api and the role Developer",
	target.Gitea:           "the scope write:repository",
	target.Forgejo:         "the scope write:repository",
	target.Bitbucket:       "the scope repository (repository:write where the repository asks for it)",
	target.BitbucketServer: "the permission to read the repository",
}
