package producer

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// brand is a forge as its requests show it.
type brand struct {
	name   string // as people write it
	header string // that its webhooks have
	forge  string // its path below /hooks/
}

// brands are in this order, since Forgejo sends Gitea's headers too, and both send Gogs' and GitHub's.
var brands = []brand{
	{"GitLab", "X-Gitlab-Event", "gitlab"},
	{"Bitbucket", "X-Event-Key", "bitbucket"},
	{"Forgejo", "X-Forgejo-Event", "forgejo"},
	{"Gitea", "X-Gitea-Event", "gitea"},
	{"Gogs", "X-Gogs-Event", "gogs"},
	{"GitHub", "X-GitHub-Event", "github"},
}

// misaddressed says, of a request that could not be taken, that it is another forge's, and where that
// one's go; "" where it is not known to be. It ends so that the cause can follow.
func misaddressed(h http.Header, forge string) string {
	i := slices.IndexFunc(brands, func(b brand) bool { return h.Get(b.header) != "" })
	if i < 0 || brands[i].forge == forge || forge == "gitea" && brands[i].forge == "forgejo" {
		return ""
	}
	return fmt.Sprintf("this is a webhook of %s, at the address for %s: end the webhook's URL in /hooks/%s; ", brands[i].name, forge, brands[i].forge)
}

// otherForge is one that has no name of its own here.
type otherForge struct {
	words   []string // that it may be called below /hooks/ and in a pipeline file
	instead string   // what to do
}

var otherForges = []otherForge{
	{[]string{"azure", "azuredevops", "azure-devops", "tfs", "vsts"}, "Azure DevOps sends generic webhooks: write generic, and give its service hook the URL that ends in /hooks/generic and the secret as the password (docs/forges/azure-devops.md)"},
	{[]string{"codecommit", "aws-codecommit", "aws"}, "AWS CodeCommit sends generic webhooks by EventBridge: write generic, and give its API destination the URL that ends in /hooks/generic (docs/forges/aws-codecommit.md)"},
	{[]string{"stash", "bitbucket-server", "bitbucketserver", "bitbucket-data-center", "bitbucket-datacenter", "bitbucket-cloud", "bitbucketcloud"}, "Bitbucket Cloud and Bitbucket Data Center are both called bitbucket here: write that, and end the webhook's URL in /hooks/bitbucket"},
	{[]string{"github-enterprise", "github-enterprise-server", "ghe", "ghes"}, "GitHub Enterprise is called github here: write that, and end the webhook's URL in /hooks/github"},
	{[]string{"codeberg"}, "Codeberg is a Forgejo: write forgejo, and end the webhook's URL in /hooks/forgejo"},
	{[]string{"standard-webhooks", "standardwebhooks", "post-receive", "git"}, "webhooks that are signed as Standard Webhooks says are called generic here: write that, and end the webhook's URL in /hooks/generic"},
}

// otherForgeCalled says what to write in place of a word.
func otherForgeCalled(word string) (string, bool) {
	i := slices.IndexFunc(otherForges, func(f otherForge) bool { return slices.Contains(f.words, strings.ToLower(word)) })
	if i < 0 {
		return "", false
	}
	return otherForges[i].instead, true
}
