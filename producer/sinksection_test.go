package producer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/sinks/form"
)

const sinksFile = `console_url: https://console.example.com/
sinks:
  - name: audit
    url: https://events.example.com/in
    secret_file: events.secret
    headers_file: /etc/headers
    ca_file: ca.pem
    types: [build.failed, rollout.changed]
    fleets: [production]
    severity: warning
    retry_for: 2160h
  - {name: chat, url_file: chat.url, format: slack}
  - {name: own, url_file: chat.url, template: own.tmpl}
`

func sinksIn(t *testing.T, content string) (string, string) {
	t.Helper()
	path := writeFile(t, content)
	return path, filepath.Dir(path)
}

// TestWhereEventsGo reads it without secrets, which are not there.
func TestWhereEventsGo(t *testing.T) {
	path, dir := sinksIn(t, sinksFile+item("    fleets: [{name: production}]"))
	if err := os.WriteFile(filepath.Join(dir, "own.tmpl"), []byte(`{"says": {{json .Text}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := LoadSinks(path)
	if err != nil || len(got.Sinks) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	audit := got.Sinks[0]
	if audit.SecretFile != filepath.Join(dir, "events.secret") || audit.HeadersFile != "/etc/headers" || audit.CAFile != filepath.Join(dir, "ca.pem") ||
		audit.Format != form.CloudEvents || audit.Severity != form.Warning || audit.RetryFor != 90*24*time.Hour || !slices.Equal(audit.Fleets, []string{"production"}) {
		t.Errorf("it is %+v", audit)
	}
	if chat := got.Sinks[1]; chat.URLFile != filepath.Join(dir, "chat.url") || chat.Format != form.Slack || chat.Severity != form.Info || chat.RetryFor != form.DefaultRetryFor {
		t.Errorf("it is %+v", chat)
	}
	if got.Site.Console != "https://console.example.com" || !slices.Equal(got.Site.Fleets["base"], []string{"production"}) {
		t.Errorf("the site is %+v", got.Site)
	}
}

// TestAProducerDoesWithoutTheFilesOfSinks; who sends events doesn't do without a template.
func TestAProducerDoesWithoutTheFilesOfSinks(t *testing.T) {
	path, _ := sinksIn(t, sinksFile+item("    fleets: [{name: production}]"))
	p, err := LoadPipelines(path)
	if err != nil || len(p.Warnings()) != 1 || !strings.Contains(p.Warnings()[0].String(), "own.tmpl") {
		t.Errorf("it is read with %v, %v", p.Warnings(), err)
	}
	if _, err := LoadSinks(path); err == nil || !strings.Contains(err.Error(), "own.tmpl") || !strings.Contains(err.Error(), ":13:") {
		t.Errorf("it says %v", err)
	}
}

func TestMistakesOfSinks(t *testing.T) {
	for name, test := range map[string]struct{ sinks, says string }{
		"no name":                            {"  - {url: \"https://x\"}\n", "fenceline.yaml:2: sinks[0].name: is missing"},
		"a name twice":                       {"  - {name: a, url: \"https://x\", secret_file: s}\n  - {name: a, url: \"https://y\"}\n", `:3: sinks[1].name: sink name "a" is taken by the sink at line 2`},
		"no address":                         {"  - name: a\n", ":2: sinks[0].url: is missing"},
		"an address of its own":              {"  - {name: a, url: \"ftp://x/geheim\"}\n", "sinks[0].url: is no address"},
		"an address in a file":               {"  - {name: a, url_file: \"https://hooks.example.com/geheim\"}\n", "sinks[0].url_file: looks like an address"},
		"a secret":                           {"  - {name: a, url: \"https://x\", secret_file: whsec_geheim}\n", "sinks[0].secret_file: looks like a secret itself"},
		"an unknown format":                  {"  - name: a\n    url: https://x\n    format: slak\n", `:4: sinks[0].format: "slak" is none of cloudevents, slack, mattermost, teams, matrix, did you mean "slack"?`},
		"an unknown type":                    {"  - name: a\n    url: https://x\n    types: [build.faild]\n", `:4: sinks[0].types[0]: "build.faild" is no type of event, did you mean "build.failed"?`},
		"an unknown severity":                {"  - {name: a, url: \"https://x\", severity: fatal}\n", `sinks[0].severity: "fatal" is none of info, warning, error`},
		"a short time":                       {"  - {name: a, url: \"https://x\", retry_for: 1s}\n", "sinks[0].retry_for"},
		"a long time":                        {"  - name: a\n    url: https://x\n    retry_for: 2161h\n", ":4: sinks[0].retry_for: 2161h0m0s is longer than events are kept, which is 90 days: give at most 2160h"},
		"a long time for counts of refusals": {"  - name: a\n    url: https://x\n    types: [build.failed, refusals.counted]\n    retry_for: 1000h\n", ":5: sinks[0].retry_for: 1000h0m0s is longer than events of the type refusals.counted are kept, which is 30 days: give at most 720h"},
		"a bad template":                     {"  - {name: a, url: \"https://x\", template: bad.tmpl}\n", "sinks[0].template: bad.tmpl:2:"},
		"a template of text":                 {"  - {name: a, url: \"https://x\", template: text.tmpl}\n", "what it makes is no JSON"},
		"an unknown field":                   {"  - {name: a, url: \"https://x\", secret: geheim}\n", `unknown field "secret"`},
		"a bad console":                      {"  []\nconsole_url: console\n", ":3: console_url: \"console\" is not an address"},
	} {
		t.Run(name, func(t *testing.T) {
			path, dir := sinksIn(t, "sinks:\n"+test.sinks+item())
			for file, content := range map[string]string{"bad.tmpl": "{\n{{nope}}\n", "text.tmpl": "hello {{.Text}}"} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := LoadPipelines(path)
			if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "geheim") {
				t.Errorf("it says %v, not %s", err, test.says)
			}
		})
	}
}

func TestWhatSinksAreWarnedOf(t *testing.T) {
	for name, test := range map[string]struct{ sink, says string }{
		"no TLS":          {"{name: a, url: \"http://x/geheim\", secret_file: s}", "events go to x without TLS"},
		"no secret":       {"{name: a, url: \"https://x\"}", "events are not signed"},
		"a chat's secret": {"{name: a, url: \"https://hooks.slack.com/services/geheim\", format: slack}", "name that as url_file"},
		"a fleet":         {"{name: a, url: \"https://x\", secret_file: s, fleets: [producton]}", `no pipeline feeds a fleet "producton"`},
	} {
		path, _ := sinksIn(t, "sinks:\n  - "+test.sink+"\n"+item("    fleets: [{name: production}]"))
		p, err := LoadPipelines(path)
		if err != nil || len(p.Warnings()) != 1 || !strings.Contains(p.Warnings()[0].String(), test.says) || strings.Contains(p.Warnings()[0].String(), "geheim") {
			t.Errorf("%s: %v, %v", name, p.Warnings(), err)
		}
	}
}
