package producer

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// TestMisaddressedWebhooksAreToldWhereToGo sends what every forge sends to the addresses of all others. A
// webhook that proves itself there all the same is taken, as Gitea's is at GitHub's.
func TestMisaddressedWebhooksAreToldWhereToGo(t *testing.T) {
	for name, c := range map[string]struct {
		from sender
		path string
		sign func(h http.Header, secret string, body []byte) // for that address, or nil
		say  string
	}{
		"GitLab to GitHub's, with a token":           {senders()[7], "github", nil, "of GitLab, at the address for github: end the webhook's URL in /hooks/gitlab"},
		"GitLab to GitHub's, signed":                 {senders()[6], "github", nil, "in /hooks/gitlab"},
		"GitLab to Gitea's":                          {senders()[7], "gitea", nil, "in /hooks/gitlab"},
		"GitLab to the generic, where it is signed":  {senders()[6], "generic", nil, "in /hooks/gitlab"},
		"GitLab to the generic, with a token":        {senders()[7], "generic", nil, "in /hooks/gitlab"},
		"Bitbucket to the generic":                   {senders()[8], "generic", nil, "of Bitbucket, at the address for generic: end the webhook's URL in /hooks/bitbucket"},
		"Bitbucket to GitHub's":                      {senders()[9], "github", nil, "in /hooks/bitbucket"},
		"Bitbucket to GitHub's, as if GitHub signed": {senders()[8], "github", senders()[0].sign, "in /hooks/bitbucket"},
		"GitHub to GitLab's":                         {senders()[0], "gitlab", nil, "of GitHub, at the address for gitlab: end the webhook's URL in /hooks/github"},
		"GitHub to Bitbucket's":                      {senders()[0], "bitbucket", nil, "in /hooks/github"},
		"GitHub to the generic":                      {senders()[0], "generic", nil, "in /hooks/github"},
		"Gogs to Gitea's":                            {senders()[5], "gitea", nil, "of Gogs, at the address for gitea: end the webhook's URL in /hooks/gogs"},
		"Gitea to Gogs'":                             {senders()[1], "gogs", nil, "in /hooks/gitea"},
		"Forgejo to GitHub's":                        {senders()[4], "github", nil, "of Forgejo, at the address for github: end the webhook's URL in /hooks/forgejo"},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.from
			s.forge = c.path
			if c.sign != nil {
				s.sign = c.sign
			}
			q := &memoryQueue{}
			status, a, _ := serve(newProducer(t, q, zerolog.Nop()), s.hook(testSecret, s.payload(baseURL, mainRef, testCommit)))
			if status != 400 && status != 401 || !strings.Contains(a.Error, c.say) || len(q.stored) > 0 {
				t.Errorf("status %d, %+v; want %q", status, a, c.say)
			}
		})
	}
	gitea := senders()[1]
	gitea.forge = "github"
	r := gitea.hook("", gitea.payload(baseURL, mainRef, testCommit))
	senders()[0].sign(r.Header, testSecret, []byte(gitea.payload(baseURL, mainRef, testCommit)))
	r.Header.Set("X-GitHub-Event", "push")
	if status, a, _ := serve(newProducer(t, &memoryQueue{}, zerolog.Nop()), r); status != http.StatusAccepted {
		t.Errorf("Gitea to GitHub's address, with GitHub's headers: status %d, %+v", status, a)
	}
}

// TestOtherWordsForForges are what people write, in a pipeline file and in a URL.
func TestOtherWordsForForges(t *testing.T) {
	for word, say := range map[string]string{
		"azure-devops": "Azure DevOps sends generic webhooks", "codecommit": "AWS CodeCommit sends generic webhooks", "stash": "called bitbucket here",
		"Bitbucket-Server": "called bitbucket here", "ghes": "called github here", "codeberg": "write forgejo", "standard-webhooks": "called generic here",
		"gitlap": `did you mean "gitlab"?`, "bitbukket": `did you mean "bitbucket"?`,
	} {
		_, err := LoadPipelines(writeFile(t, strings.Replace(testFile, "forges: [github, generic]", "forges: ["+word+"]", 1)))
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s in a pipeline file: %v", word, err)
		}
		r := httptest.NewRequest(http.MethodPost, "/hooks/"+word, strings.NewReader("{}"))
		if status, a, _ := serve(newProducer(t, &memoryQueue{}, zerolog.Nop()), r); status != http.StatusNotFound || !strings.Contains(a.Error, say) {
			t.Errorf("/hooks/%s: status %d, %+v", word, status, a)
		}
	}
}

// TestOddBodies are refused with what to set, or read.
func TestOddBodies(t *testing.T) {
	for _, s := range senders() {
		push := s.payload(baseURL, mainRef, testCommit)
		for name, c := range map[string]struct {
			header, value, body string
			status              int
			say                 string
		}{
			"compressed":                  {"Content-Encoding", "gzip", push, 415, "Content-Encoding gzip, which is not read: send it as it is"},
			"not compressed, and said so": {"Content-Encoding", "identity", push, 202, ""},
			"JSON that is called text":    {"Content-Type", "text/plain", push, 202, ""},
			"a form with parts":           {"Content-Type", "multipart/form-data; boundary=x", "--x\r\n\r\n" + push + "\r\n--x--\r\n", 400, "sent as multipart/form-data; boundary=x: choose application/json"},
			"XML":                         {"Content-Type", "text/xml", "<push/>", 400, "choose application/json"},
			"a type that can't be read":   {"Content-Type", ";;", push, 202, ""},
			"a field given twice, of which the last counts": {"Content-Type", "application/json", `{"ref":"refs/heads/wip","push":{},"changes":[],"resource":{},` + strings.TrimPrefix(push, "{"), 202, ""},
		} {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				r := s.hook(testSecret, c.body)
				r.Header.Set(c.header, c.value)
				if status, a, _ := serve(newProducer(t, &memoryQueue{}, zerolog.Nop()), r); status != c.status || !strings.Contains(a.Error, c.say) {
					t.Errorf("status %d, %+v; want %d saying %q", status, a, c.status, c.say)
				}
			})
		}
	}
}
