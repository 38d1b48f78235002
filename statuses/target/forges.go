package target

import (
	"net/url"
	"slices"
	"strings"
)

// Forge is a kind of forge.
type Forge string

// The forges that take statuses.
const (
	GitHub          Forge = "github" // GitHub, and GitHub Enterprise Server
	GitLab          Forge = "gitlab"
	Gitea           Forge = "gitea"
	Forgejo         Forge = "forgejo"          // by the API of Gitea, which it keeps
	Bitbucket       Forge = "bitbucket"        // Bitbucket Cloud
	BitbucketServer Forge = "bitbucket-server" // Bitbucket Data Center, and Server
)

// Forges lists them.
func Forges() []Forge {
	return []Forge{GitHub, GitLab, Gitea, Forgejo, Bitbucket, BitbucketServer}
}

func forgeNames() []string {
	var out []string
	for _, f := range Forges() {
		out = append(out, string(f))
	}
	return out
}

// api is where a forge's API is, of one that people reach at an address.
func (f Forge) api(site url.URL) url.URL {
	site.Path = strings.TrimSuffix(site.Path, "/")
	switch {
	case f == GitHub && slices.Contains([]string{"github.com", "www.github.com", "api.github.com"}, site.Host):
		site.Host, site.Path = "api.github.com", ""
	case f == GitHub && !strings.HasSuffix(site.Path, "/api/v3"):
		site.Path += "/api/v3" // of GitHub Enterprise Server
	case f == Bitbucket && site.Host == "bitbucket.org":
		site.Host = "api.bitbucket.org"
	}
	return site
}

// MostText is how many characters of a status' text a forge takes: GitHub refuses more than 140, Bitbucket and
// GitLab more than 255. Gitea keeps as much as it is given, but shows one line.
func (f Forge) MostText() int {
	if f == GitHub {
		return 140
	}
	return 255
}

// mostName is how many characters of a status' name a forge takes, of which it is the key.
func (f Forge) mostName() int {
	if f == Bitbucket {
		return 40
	}
	return 255
}
