package producer

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// TestForms sends what GitHub sends by default and Gitea on demand: the payload in a field of a form.
// GitHub signs the form, Gitea the payload.
func TestForms(t *testing.T) {
	payload := strings.ReplaceAll(forgePayload(baseURL, mainRef, testCommit), `"ada"`, `"Ada & Grün + 100 %"`)
	form := url.Values{"payload": {payload}}.Encode()
	for name, c := range map[string]struct {
		body, kind, signed string // signed is what the signature is of
		status             int
		say                string
	}{
		"the form is signed":              {form, "application/x-www-form-urlencoded", form, 202, ""},
		"the payload is signed":           {form, "application/x-www-form-urlencoded", payload, 202, ""},
		"with a character set":            {form, "Application/X-WWW-Form-URLencoded; charset=utf-8", form, 202, ""},
		"every byte escaped":              {"payload=" + escaped(payload), "application/x-www-form-urlencoded", "payload=" + escaped(payload), 202, ""},
		"another field before":            {"a=b&" + form, "application/x-www-form-urlencoded", "a=b&" + form, 202, ""},
		"JSON that is called a form":      {payload, "application/x-www-form-urlencoded", payload, 202, ""},
		"signed by nobody":                {form, "application/x-www-form-urlencoded", form + "x", 401, "does not match"},
		"without a payload":               {"a=b", "application/x-www-form-urlencoded", "a=b", 400, "without the field payload"},
		"with a broken escape":            {"payload=%7", "application/x-www-form-urlencoded", "payload=%7", 400, "hexadecimal"},
		"with a payload that is no JSON":  {"payload=hello", "application/x-www-form-urlencoded", "payload=hello", 400, "not a JSON payload"},
		"without a payload, nor a secret": {"a=b", "application/x-www-form-urlencoded", "x", 401, "does not match"},
	} {
		for _, s := range senders()[:3] { // those of forges
			t.Run(s.forge+"/"+name, func(t *testing.T) {
				q := &memoryQueue{}
				r := s.hook("", c.body)
				r.Header.Set("Content-Type", c.kind)
				s.sign(r.Header, testSecret, []byte(c.signed))
				status, a, _ := serve(newProducer(t, q, zerolog.Nop()), r)
				if status != c.status || !strings.Contains(a.Error, c.say) {
					t.Errorf("status %d, %+v; want %d saying %q", status, a, c.status, c.say)
				}
				if status == 202 && (len(q.stored) != 2 || q.stored[0].RequestedBy != "Ada & Grün + 100 %") {
					t.Errorf("stored %+v", q.stored)
				}
			})
		}
	}
}

func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString("%" + strings.ToUpper(string("0123456789abcdef"[s[i]>>4])+string("0123456789abcdef"[s[i]&15])))
	}
	return b.String()
}

// TestPingsTellWhatBecomesOfAPush: who sets a webhook up looks at the answer of the ping.
func TestPingsTellWhatBecomesOfAPush(t *testing.T) {
	for name, c := range map[string]struct {
		secret, body string
		status       int
		say          string
	}{
		"everything in order":          {testSecret, `{"hook":{"events":["push"]},"repository":{"clone_url":"` + baseURL + `"}}`, 200, "would be taken, of branch main for pipeline base, branch main for pipeline base-staging"},
		"of an organisation":           {testSecret, `{"hook":{"config":{"content_type":"json"}}}`, 200, "would be taken"},
		"all events":                   {testSecret, `{"hook":{"events":["*"]}}`, 200, "would be taken"},
		"other events alone":           {testSecret, `{"hook":{"events":["issues","star"]}}`, 200, "pushes are not sent"},
		"of a repository nobody has":   {testSecret, `{"hook":{"events":["push"]},"repository":{"clone_url":"https://git.example.com/a/b.git"}}`, 200, `a push would be ignored: no pipeline of this webhook's secret builds this repository, "git.example.com/a/b"`},
		"of another secret's pipeline": {testOther, `{"repository":{"clone_url":"` + baseURL + `"}}`, 200, "a push would be ignored"},
		"no JSON":                      {testSecret, `hello`, 400, "not a JSON payload"},
		"wrongly signed":               {"guess", `{}`, 401, "does not match"},
	} {
		for _, form := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				s := senders()[0]
				body, kind := c.body, "application/json"
				if form {
					body, kind = url.Values{"payload": {c.body}}.Encode(), "application/x-www-form-urlencoded"
				}
				r := s.hook(c.secret, body)
				s.event(r.Header, "ping")
				r.Header.Set("Content-Type", kind)
				status, a, _ := serve(newProducer(t, &memoryQueue{}, zerolog.Nop()), r)
				if status != c.status || !strings.Contains(a.Error+a.Ignored, c.say) {
					t.Errorf("status %d, %+v; want %d saying %q", status, a, c.status, c.say)
				}
			})
		}
	}
}

// TestForgesThatAreNotSupportedSayWhatToUse sends what they send, to wherever it is tried.
func TestForgesThatAreNotSupportedSayWhatToUse(t *testing.T) {
	for name, c := range map[string]struct {
		paths  []string
		header http.Header
		body   string
	}{
		"Bitbucket": {
			[]string{"github", "gitea", "generic", "bitbucket"},
			http.Header{"X-Event-Key": {"repo:push"}},
			`{"push":{"changes":[{"new":{"type":"branch","name":"main","target":{"hash":"` + testCommit + `"}}}]},"repository":{"full_name":"ops/base"}}`,
		},
		"GitLab": {
			[]string{"github", "gitea", "generic", "gitlab"},
			http.Header{"X-Gitlab-Event": {"Push Hook"}, "X-Gitlab-Token": {testSecret}},
			`{"object_kind":"push","ref":"refs/heads/main","after":"` + testCommit + `","project":{"git_http_url":"` + baseURL + `"},"repository":{"git_http_url":"` + baseURL + `"}}`,
		},
		"Gogs": {[]string{"gitea", "gogs"}, http.Header{"X-Gogs-Event": {"push"}}, `{}`},
	} {
		for _, path := range c.paths {
			for _, signed := range []bool{false, true} {
				t.Run(name+" to "+path, func(t *testing.T) {
					s := senders()[3] // GitLab signs so, too
					s.forge = path
					r := s.hook("", c.body)
					r.Header = c.header.Clone()
					if signed {
						s.sign(r.Header, testSecret, []byte(c.body))
						r.Header.Set("X-Hub-Signature", "sha256="+hexMAC(testSecret, []byte(c.body)))
					}
					q := &memoryQueue{}
					status, a, _ := serve(newProducer(t, q, zerolog.Nop()), r)
					if status < 400 || status >= 500 || !strings.Contains(a.Error, name+"'s webhooks are not supported yet") || !strings.Contains(a.Error, "fenceline notify") || len(q.stored) > 0 {
						t.Errorf("status %d, %+v", status, a)
					}
				})
			}
		}
	}
	for _, word := range []string{"azure-devops", "gitlab"} {
		_, err := LoadPipelines(writeFile(t, strings.Replace(testFile, "forges: [github, generic]", "forges: ["+word+"]", 1)))
		if err == nil || !strings.Contains(err.Error(), "not supported yet") {
			t.Errorf("%s in a pipeline file: %v", word, err)
		}
	}
}
