package form

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// TestEveryTypeHasASample, by which templates are checked, and a sentence of its own.
func TestEveryTypeHasASample(t *testing.T) {
	for _, typ := range Types() {
		e := (&Site{}).Sample(typ)
		if e == nil {
			t.Errorf("there is no sample of %s", typ)
			continue
		}
		if strings.Contains(e.Text, "dev.fenceline") || strings.Contains(e.Text, "\n") || len(e.Text) < 10 {
			t.Errorf("of %s people read %q", typ, e.Text)
		}
	}
	if (&Site{}).Sample("build.broken") != nil {
		t.Error("there is a sample of what there is not")
	}
}

func of(t *testing.T, s Site, p messages.Payload) *Event {
	t.Helper()
	body, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	e, ok := s.Of(messages.Envelope{ID: "1", Source: "/fenceline/test", Subject: messages.About(p), Time: time.Unix(1700000000, 0)}, p, body)
	if !ok {
		t.Fatalf("%s is no event", p.MessageType())
	}
	return e
}

func TestSentencesAndSeverities(t *testing.T) {
	change := func(s messages.RolloutState, why, by string) *messages.RolloutChanged {
		return &messages.RolloutChanged{Fleet: "production", Rollout: "production-b", Image: sampleImage, State: s, Why: why, By: by}
	}
	const image = "registry.example.com/exampleco/base@0123456789ab"
	ref := messages.BuildRef{Pipeline: "base", Build: "base-b"}
	for _, test := range []struct {
		p        messages.Payload
		severity Severity
		text     string
	}{
		{change(messages.RolloutDone, "", ""), Info, "production: " + image + " is live"},
		{change(messages.RolloutApproval, "", ""), Warning, "production: " + image + " waits for approval"},
		{change(messages.RolloutHeld, "held: freeze", "ann"), Warning, "production: " + image + " is held: held: freeze (ann)"},
		{change(messages.RolloutFailed, "too few nodes", ""), Error, "production: " + image + " failed: too few nodes"},
		{&messages.RolloutChanged{Fleet: "production", Rollout: "r", State: messages.RolloutHeld}, Warning, "production: is held"},
		{&messages.BuildFailed{BuildRef: ref, Commit: strings.Repeat("a", 40), Failure: messages.Failure{Class: messages.FailureHooks, Reason: "a hook is refused", Findings: []messages.Finding{{File: "pre-running", Line: 3, Problem: "if without fi", Fix: "add fi"}}}}, Error,
			"base: build base-b of aaaaaaaaaaaa was refused: a hook is refused: pre-running:3: if without fi; add fi"},
		{&messages.TrialFinished{Fleet: "production", Node: "n1", Rollout: "r", TrialResult: messages.TrialResult{Passed: true}}, Info, "production: the trial of no image passed on n1"},
		{&messages.TrialFinished{Fleet: "production", Node: "n1", Rollout: "r", TrialResult: messages.TrialResult{Reason: "exit 1"}}, Error, "production: the trial of no image failed on n1: exit 1"},
		{&messages.DeadLetter{Stream: "s", Sequence: 4, Subject: "x", Reason: "not JSON"}, Error, "nobody could handle a message on x: not JSON; dead letter s-4 waits for a person"},
		{&messages.DecisionMade{Action: "rollback", Fleet: "production", By: "ann", Via: "console", From: "192.0.2.7", Outcome: messages.OutcomeAccepted, Reason: "logins break"}, Info, "ann: rollback production: logins break (console, 192.0.2.7)"},
		{&messages.DecisionMade{Action: "promote", Fleet: "production", To: "sha256:1", By: "ann", Via: "command line", Outcome: messages.OutcomeRefused, Why: "too few nodes"}, Warning, "ann: promote production sha256:1: refused: too few nodes (command line)"},
		{&messages.BuildCancelled{BuildRef: ref, By: "ann"}, Info, "base: build base-b was cancelled by ann"},
		{&messages.NodeFailed{Fleet: "production", Node: "n1", Step: "pull", Reason: "red\x1b[31m\nline"}, Warning, `production: node n1 failed (pull): red\x1b[31m line`},
	} {
		if e := of(t, Site{}, test.p); e.Text != test.text || e.Severity != test.severity {
			t.Errorf("it is %s: %q, not %s: %q", e.Severity, e.Text, test.severity, test.text)
		}
	}
}

// TestWhatASinkWants: by type, fleet and severity. A build is of the fleets that its pipeline feeds.
func TestWhatASinkWants(t *testing.T) {
	site := Site{Fleets: map[string][]string{"base": {"staging", "production"}}}
	failed := of(t, site, &messages.BuildFailed{BuildRef: messages.BuildRef{Pipeline: "base", Build: "b"}, Failure: messages.Failure{Reason: "no"}})
	live := of(t, site, &messages.RolloutChanged{Fleet: "production", Rollout: "r", State: messages.RolloutDone})
	calls := of(t, site, &messages.CallsAudited{Lost: 1})
	for name, test := range map[string]struct {
		sink  Sink
		wants []*Event
	}{
		"all":          {Sink{Severity: Info}, []*Event{failed, live}},
		"a type":       {Sink{Severity: Info, Types: []string{"build.failed"}}, []*Event{failed}},
		"the calls":    {Sink{Severity: Info, Types: []string{"calls.audited"}}, []*Event{calls}},
		"production":   {Sink{Severity: Info, Fleets: []string{"production"}}, []*Event{failed, live}},
		"another one":  {Sink{Severity: Info, Fleets: []string{"other"}}, nil},
		"staging":      {Sink{Severity: Info, Fleets: []string{"staging"}}, []*Event{failed}},
		"what is bad":  {Sink{Severity: Error}, []*Event{failed}},
		"bad in other": {Sink{Severity: Error, Fleets: []string{"other"}}, nil},
	} {
		for _, e := range []*Event{failed, live, calls} {
			if got := test.sink.Wants(e); got != slices.Contains(test.wants, e) {
				t.Errorf("%s: it wants %s: %t", name, e.Type, got)
			}
		}
	}
	if got := failed.Lanes(); !slices.Equal(got, []string{"fleet staging", "fleet production", "pipeline base"}) {
		t.Errorf("a build stands in %v", got)
	}
}

func TestACloudEventIsAsItWasPublished(t *testing.T) {
	p := &messages.NodeFailed{Fleet: "production", Node: "n1", Step: "pull", Reason: "no"}
	body, err := of(t, Site{}, p).CloudEvent()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"specversion":"1.0","id":"1","source":"/fenceline/test","type":"dev.fenceline.node.failed.v1","subject":"n1","time":"2023-11-14T22:13:20Z",` +
		`"datacontenttype":"application/json","severity":"warning","text":"production: node n1 failed (pull): no","data":{"fleet":"production","node":"n1","step":"pull","reason":"no"}}`
	if string(body) != want {
		t.Errorf("it is %s", body)
	}
}

// hostile is text as others may write it, with what each markup acts on.
const hostile = `</p><script>x</script> <!channel> @channel @all **b** _i_ [l](http://x) ` + "`c`" + ` ~s~ & "q" \`

func chatted(t *testing.T, f Format, console string) (map[string]any, string) {
	t.Helper()
	s, err := Sink{Name: "x", URL: "https://chat.example.com", Format: f}.Fill()
	if err != nil {
		t.Fatal(err)
	}
	e := of(t, Site{Console: console}, &messages.NodeFailed{Fleet: "production", Node: "n1", Rollout: "production-b", Step: "pull", Reason: hostile})
	body, contentType, err := s.Body(e)
	if err != nil || contentType != "application/json" {
		t.Fatalf("%s: %s, %v", f, contentType, err)
	}
	var made map[string]any
	if err := json.Unmarshal(body, &made); err != nil {
		t.Fatalf("%s: %v in %s", f, err, body)
	}
	return made, string(body)
}

// at walks into what JSON says.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch key := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				t.Fatalf("no %v in %v", p, v)
			}
			v = m[key]
		case int:
			l, ok := v.([]any)
			if !ok || key >= len(l) {
				t.Fatalf("no %v in %v", p, v)
			}
			v = l[key]
		}
	}
	return v
}

// TestChatsShowTextAsItIs: nothing of what others write is acted on, and the link is there where the console has an address.
func TestChatsShowTextAsItIs(t *testing.T) {
	const console = "https://console.example.com"
	slack, _ := chatted(t, Slack, console)
	if text, _ := at(t, slack, "text").(string); strings.ContainsAny(text, "<>") || !strings.Contains(text, "&lt;!channel&gt;") {
		t.Errorf("Slack is sent %q", text)
	}
	if kind := at(t, slack, "blocks", 0, "text", "type"); kind != "plain_text" {
		t.Errorf("Slack's section is %v", kind)
	}
	if link := at(t, slack, "blocks", 1, "elements", 0, "text"); link != "<"+console+"/rollouts/production-b|Open in the console>" {
		t.Errorf("Slack's link is %v", link)
	}
	mattermost, _ := chatted(t, Mattermost, console)
	text, _ := at(t, mattermost, "text").(string)
	for _, inert := range []string{"@\u200bchannel", "@\u200ball", `\*\*b\*\*`, `\[l\]\(http\:`, "\\`c\\`", `\<script\>`, "\\~\u200bs"} {
		if !strings.Contains(text, inert) {
			t.Errorf("Mattermost is sent %q, without %q", text, inert)
		}
	}
	if link := at(t, mattermost, "attachments", 0, "title_link"); link != console+"/rollouts/production-b" {
		t.Errorf("Mattermost's link is %v", link)
	}
	teams, _ := chatted(t, Teams, console)
	card := at(t, teams, "attachments", 0, "content")
	if at(t, teams, "type") != "message" || at(t, card, "type") != "AdaptiveCard" || at(t, card, "body", 0, "inlines", 0, "type") != "TextRun" {
		t.Errorf("Teams is sent %v", teams)
	}
	if got, _ := at(t, card, "body", 0, "inlines", 0, "text").(string); !strings.Contains(got, "**b**") || at(t, card, "actions", 0, "url") != console+"/rollouts/production-b" {
		t.Errorf("Teams' card is %v", card)
	}
	matrix, _ := chatted(t, Matrix, console)
	formatted, _ := at(t, matrix, "formatted_body").(string)
	if strings.Contains(formatted, "<script>") || !strings.Contains(formatted, "&lt;script&gt;") || !strings.Contains(formatted, `<a href="`+console+`/rollouts/production-b">`) {
		t.Errorf("Matrix is sent %q", formatted)
	}
	if calls, _ := at(t, matrix, "m.mentions").(map[string]any); calls == nil || len(calls) > 0 {
		t.Errorf("Matrix' message calls %v", calls)
	}
	for _, f := range []Format{Slack, Mattermost, Teams, Matrix} {
		if _, body := chatted(t, f, ""); strings.Contains(body, "Open in the console") {
			t.Errorf("%s leads to a console that has no address: %s", f, body)
		}
	}
}

// TestLinksLeadToNamesAlone: what a node says of a rollout, or a person of a fleet, adds no markup to a message, and leads nowhere else.
func TestLinksLeadToNamesAlone(t *testing.T) {
	const console, hostile = "https://console.example.com", "x|y> <!channel> <https://evil.example.com"
	site := Site{Console: console}
	for want, p := range map[string]messages.Payload{
		console + "/fleets/production": &messages.NodeFailed{Fleet: "production", Node: "n1", Rollout: hostile},
		console + "/":                  &messages.DecisionMade{Action: "hold", Fleet: hostile, By: "ann", Outcome: messages.OutcomeRefused},
	} {
		e, ok := site.Of(messages.Envelope{ID: "1", Source: "/x"}, p, json.RawMessage("{}"))
		if !ok || e.Link != want {
			t.Errorf("it leads to %q", e.Link)
		}
	}
}

// TestTheExamplesAreTheForms that are built in.
func TestTheExamplesAreTheForms(t *testing.T) {
	for _, f := range Formats() {
		if f == string(CloudEvents) {
			continue
		}
		built, err := chats.ReadFile(f + ".tmpl")
		if err != nil {
			t.Fatal(err)
		}
		example, err := os.ReadFile(filepath.Join("..", "..", "examples", "sinks", f+".tmpl"))
		if err != nil || string(example) != string(built) {
			t.Errorf("examples/sinks/%s.tmpl is another: %v", f, err)
		}
	}
}

func TestTemplatesThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ text, says string }{
		"bad syntax":        {"{\n{{if}}\n}", "t.tmpl:2: "},
		"an unknown field":  {"{\"a\": 1,\n \"b\": {{json .Nope}}}", "t.tmpl:2:"},
		"an unknown word":   {"{{jsn .Text}}", `function "jsn" not defined`},
		"bare text":         {"{\"text\":\n \"{{.Text}}\"}", "of an event build.failed: what it makes is no JSON"},
		"no JSON":           {"hello", "what it makes is no JSON"},
		"a missing data":    {"{{json .Data.attempt}}", "t.tmpl:1:"},
		"text of 300 kB":    {`"{{printf "%0300000d" 1}}"`, "more than 262144 bytes"},
		"one that is empty": {"", "no JSON"},
		"without an end":    {"{{if .By}}\n{{else}}{{range 100000000000}}{{end}}{{end}}\"x\"", "t.tmpl:2:16: number 100000000000: 10000 is the most"},
		"a long way round":  {"{{$n := 10001}}{{with $n}}{{range .}}{{end}}{{end}}1", "number 10001: 10000 is the most"},
		"one it calls":      {`{{define "a"}}{{range print (len "b") 0xffffffff}}{{end}}{{end}}{{template "a" 20000}}1`, "10000 is the most"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseTemplate("t.tmpl", test.text)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("it says %v, not %q", err, test.says)
			}
		})
	}
	if _, err := ParseTemplate("t.tmpl", `{"says": {{json .Text}}, "by": {{json .By}}, "all": {{json .Data}}}`); err != nil {
		t.Errorf("a good one is refused: %v", err)
	}
}

func TestMistakesOfASinkNameTheirField(t *testing.T) {
	for name, test := range map[string]struct {
		sink        Sink
		field, says string
	}{
		"no address":             {Sink{}, "url", "is missing"},
		"two addresses":          {Sink{URL: "https://x", URLFile: "y"}, "url_file", "beside url"},
		"no address of HTTP":     {Sink{URL: "ftp://x/secret"}, "url", "is no address"},
		"a password":             {Sink{URL: "https://ann:secret@x"}, "url", "headers_file"},
		"a fragment":             {Sink{URL: "https://x/secret#y"}, "url", "fragment"},
		"a port":                 {Sink{URL: "https://x:70000/secret"}, "url", "ports go from 1 to 65535"},
		"a format and template":  {Sink{URL: "https://x", Format: Slack, Template: "x"}, "template", "beside format"},
		"an unknown format":      {Sink{URL: "https://x", Format: "slak"}, "format", `did you mean "slack"`},
		"a template that fails":  {Sink{URL: "https://x", Template: "{{", TemplateFile: "x.tmpl"}, "template", "x.tmpl:1"},
		"a template of bad JSON": {Sink{URL: "https://x", Template: "{", TemplateFile: "x.tmpl"}, "template", "no JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.sink.Fill()
			at, ok := err.(*FieldError) //nolint:errorlint // it says so
			if !ok || at.Field != test.field || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("it says %v", err)
			}
		})
	}
}

// FuzzChats: whatever others write, what a chat is sent is JSON, and acts on nothing.
func FuzzChats(f *testing.F) {
	f.Add(hostile)
	f.Add("\x00\xff\u202e<at>x</at>")
	var sinks []Sink
	for _, name := range Formats() {
		s, err := Sink{Name: "x", URL: "https://chat.example.com", Format: Format(name)}.Fill()
		if err != nil {
			f.Fatal(err)
		}
		sinks = append(sinks, s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := &messages.NodeFailed{Fleet: "production", Node: "n1", Step: "pull", Reason: text}
		e := of(t, Site{Console: "https://console.example.com"}, p)
		for i := range sinks {
			body, _, err := sinks[i].Body(e)
			if err != nil || !json.Valid(body) {
				t.Fatalf("%s: %v: %q", sinks[i].Format, err, body)
			}
		}
		if s := slack(e.Text); strings.ContainsAny(s, "<>") {
			t.Errorf("Slack is sent %q", s)
		}
	})
}
