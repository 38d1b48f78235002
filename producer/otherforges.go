package producer

import (
	"fmt"
	"net/http"
	"slices"
)

// otherForge is one whose webhooks are not read.
type otherForge struct {
	name   string   // as people write it
	words  []string // that it may be called below /hooks/ and in a pipeline file
	header string   // that its webhooks alone have, or "" for none
}

// otherForges are those that people try.
var otherForges = []otherForge{
	{"GitLab", []string{"gitlab"}, "X-Gitlab-Event"},
	{"Bitbucket", []string{"bitbucket", "stash"}, "X-Event-Key"},
	{"Azure DevOps", []string{"azure", "azuredevops", "azure-devops", "tfs"}, ""},
	{"Gogs", []string{"gogs"}, "X-Gogs-Event"},
}

// instead says what to use in place of a forge that is not supported.
func (f otherForge) instead() string {
	return fmt.Sprintf("%s's webhooks are not supported yet: send a signed webhook to /hooks/generic instead, from a CI job or a post-receive hook: 'fenceline notify' does that", f.name)
}

// otherForgeCalled finds a forge that is not supported by its word.
func otherForgeCalled(word string) (otherForge, bool) {
	i := slices.IndexFunc(otherForges, func(f otherForge) bool { return slices.Contains(f.words, word) })
	if i < 0 {
		return otherForge{}, false
	}
	return otherForges[i], true
}

// senderUnsupported finds the forge that is not supported and sent a request.
func senderUnsupported(h http.Header) (otherForge, bool) {
	if h.Get("X-Gitea-Event") != "" || h.Get("X-Forgejo-Event") != "" { // they have Gogs' headers, too
		return otherForge{}, false
	}
	i := slices.IndexFunc(otherForges, func(f otherForge) bool { return f.header != "" && h.Get(f.header) != "" })
	if i < 0 {
		return otherForge{}, false
	}
	return otherForges[i], true
}
