package producer

import "errors"

// repository is what payloads have of one.
type repository struct {
	CloneURL      string `json:"clone_url"`
	SSHURL        string `json:"ssh_url"`
	HTMLURL       string `json:"html_url"`
	DefaultBranch string `json:"default_branch"`
}

func (r *repository) urls() []string { return nonEmpty(r.CloneURL, r.SSHURL, r.HTMLURL) }

// errNoCloneURL is that a payload doesn't name its repository.
var errNoCloneURL = errors.New("repository.clone_url: is missing: is this the payload of a push?")

// push is what the payload of a push has in common at GitHub, Gitea, Forgejo and Gogs. Only what is
// used is read.
type push struct {
	Ref        string     `json:"ref"`
	Before     string     `json:"before"`
	After      string     `json:"after"`
	Created    bool       `json:"created"`
	Deleted    bool       `json:"deleted"`
	Forced     *bool      `json:"forced"` // GitHub alone says it
	HeadCommit pushCommit `json:"head_commit"`
	Commits    commits    `json:"commits"`
	Repository repository `json:"repository"`
	Pusher     pusher     `json:"pusher"`
}

// pusher is who pushed. Forges name people in one or several of these.
type pusher struct {
	Name     string `json:"name"`
	Login    string `json:"login"`
	UserName string `json:"username"`
}

func (p pusher) String() string {
	for _, name := range []string{p.Name, p.Login, p.UserName} {
		if name != "" {
			return name
		}
	}
	return ""
}

// pushCommit is a commit in the payload of a push. GitLab's has the same fields.
type pushCommit struct {
	ID       string   `json:"id"`
	Message  string   `json:"message"`
	Added    textList `json:"added"`
	Removed  textList `json:"removed"`
	Modified textList `json:"modified"`
}

func (c *pushCommit) files() fileLists { return fileLists{c.Added, c.Removed, c.Modified} }

// commits are those of a push that its payload lists. No forge lists all of a large push.
type commits []pushCommit

// message is that of the commit, or "".
func (c commits) message(id string) string {
	for i := range c {
		if c[i].ID == id {
			return c[i].Message
		}
	}
	return ""
}

// paths are the files that the commits changed.
func (c commits) paths() fileLists {
	var all fileLists
	for i := range c {
		for _, l := range c[i].files() {
			if l.given() && len(l.raw) > len("[]") {
				all = append(all, l)
			}
		}
	}
	return all
}

// GitHub lists so many commits of a push at most, and so many files of a commit
// (docs.github.com, "Webhook events and payloads", push).
const (
	githubMostCommits = 2048
	githubMostFiles   = 3000
)

// complete tells whether paths are all files that differ between before and after. Where commits were
// dropped, files differ that none of the pushed commits changed; so only a forge that says whether
// there were some can be sure of it.
func (p *push) complete() bool {
	if p.Forced == nil || *p.Forced || p.Created || len(p.Commits) == 0 || len(p.Commits) >= githubMostCommits {
		return false
	}
	for i := range p.Commits {
		if p.Commits[i].files().atLeast(githubMostFiles) {
			return false
		}
	}
	return true
}

// readPush reads the payload of GitHub's push event, which Gitea, Forgejo and Gogs share.
func readPush(body []byte) ([]event, error) {
	var p push
	if err := decode(body, &p); err != nil {
		return nil, err
	}
	return p.events()
}

func (p *push) events() ([]event, error) {
	e := event{
		repositories: p.Repository.urls(), ref: p.Ref, before: p.Before, commit: p.After, deleted: p.Deleted,
		forced: p.Forced != nil && *p.Forced, pusher: p.Pusher.String(), paths: p.Commits.paths(), pathsComplete: p.complete(),
	}
	if len(e.repositories) == 0 {
		return nil, errNoCloneURL
	}
	if _, ok := e.tag(); ok && p.HeadCommit.ID != "" && !e.deleted {
		e.commit = p.HeadCommit.ID // after is the tag's own object, where it is an annotated one
	}
	if e.message = p.HeadCommit.Message; p.HeadCommit.ID != e.commit {
		e.message = p.Commits.message(e.commit)
	}
	err := e.check("ref", "after")
	return []event{e}, err
}
