package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"github.com/fenceline/fenceline/terminal/terminaltest"
	"github.com/spf13/cobra"
)

// hostile is a text as a stranger may write one: it orders a terminal about, and has lines that look
// like those of commands.
const hostile = "evil\x1b]52;c;ZXZpbA==\x07\x1b[2J\r\b\x00\x7f\u009b31m\u202egnol\u2066\u200f\u061c\u2028\u2029\u0085\t\xff" +
	"\nfleet forged: 9 of 9 members up\n  HELD by forged\n  current forged\n    fix: run forged\n12:00:00.000  flipped       forged\nerror: forged\nchecked forged"

// forged are the beginnings of lines that only commands may write.
func forged() []string {
	return []string{"fleet forged", "  HELD by forged", "  current forged", "    fix: run forged", "12:00:00.000  flipped", "error: forged", "checked forged"}
}

// hostileInstallation has a hostile build, hook, node, branch, image's name, reason and dead letter.
func hostileInstallation(t *testing.T) *queue.Client {
	t.Helper()
	c := installation(t)
	prepare(t, c)
	ref := messages.BuildRef{Build: "base-gggggggg", Pipeline: "base", Order: 16}
	failure := &messages.Failure{
		Class: messages.FailureHooks, Reason: hostile, Place: hostile, Detail: hostile, Fix: hostile,
		Findings: []messages.Finding{{File: hostile, Line: 1, Problem: hostile, Fix: hostile}, {File: "w", Problem: hostile, Warning: true}},
	}
	plain := *failure
	plain.Findings = nil
	for _, r := range []messages.BuildRecord{
		{BuildRef: ref, State: messages.BuildStateFailed, Failure: failure},
		{BuildRef: messages.BuildRef{Build: "base-hhhhhhhh", Pipeline: "other", Order: 17}, State: messages.BuildStateFailed, Failure: &plain},
		{BuildRef: messages.BuildRef{Build: "base-iiiiiiii", Pipeline: "base", Order: 18}, State: messages.BuildStateRunning, LastError: hostile},
		{BuildRef: messages.BuildRef{Build: "base-jjjjjjjj", Pipeline: "base", Order: 19}, State: messages.BuildStateRunning},
	} {
		r.Worker, r.Ref, r.Commit, r.Tag, r.Announced = hostile, "refs/heads/"+hostile, hostile, hostile, true
		create(t, store.Builds(c), r.Build, r)
	}
	publishHostile(t, c)
	create(t, store.Sinks(c), messages.SinkKey("chat"), messages.SinkRecord{Sink: "chat", Problem: hostile})
	if _, err := store.Fleets(c).Modify(t.Context(), "production", func(r *messages.FleetRecord) error {
		r.Hold = &messages.Hold{By: hostile, Reason: hostile, At: noon()}
		r.Applied.Error, r.Applied.Value = hostile, hostile
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, state := range []messages.RolloutState{messages.RolloutFailed, messages.RolloutApproval} {
		id := "production-base-" + string(state)
		create(t, store.Rollouts(c), id, messages.RolloutRecord{
			ID: id, Fleet: "production", State: state, Why: hostile, Failed: map[string]string{hostile: hostile}, Members: []string{"node-1"},
			Ready: messages.ImageReady{BuildRef: messages.BuildRef{Build: "base-" + string(state), Order: 30}, Image: imageTwo, Commit: hostile},
		})
	}
	if err := store.NewNode(c).Heartbeat(t.Context(), &messages.NodeStatus{
		Fleet: "production", Node: "node-3", Interval: messages.Duration(1e10), Version: hostile, Labels: map[string]string{hostile: hostile},
		Engine: messages.Engine{Name: hostile, Version: hostile, Error: hostile}, Containers: []messages.ContainerUse{{Container: hostile, Image: hostile}},
		Images:   []messages.PresentImage{{Image: imageTwo, ID: hostile, Local: hostile}},
		Problems: []messages.ImageProblem{{Image: hostile, Reason: hostile}}, Fetching: &messages.ImageFetch{Image: hostile, Bytes: 1, Layer: hostile, From: hostile},
		Mirror: hostile, Troubles: []messages.MirrorTrouble{{Mirror: hostile, Reason: hostile}},
		Applied: &messages.NodeApplied{Image: hostile, State: hostile, Error: hostile, Mended: hostile},
		Ledger:  []messages.LedgerEntry{{Image: hostile, Fleet: hostile, ID: hostile, Tag: hostile, Why: hostile}},
	}); err != nil {
		t.Fatal(err)
	}
	publish(t, c, &messages.BuildRequested{
		Build: "base-kkkkkkkk", Ref: "refs/heads/main", Commit: strings.Repeat("1", 40), Cause: messages.CausePush, Received: noon(),
		Pipeline: messages.Pipeline{Name: "base", Repository: "http://127.0.0.1:1/base.git", Branch: "main", Dockerfile: "Dockerfile", Image: "127.0.0.1:1/own/base", HooksDir: "/h", Timeout: 1e9, Attempts: 1},
	})
	for i, source := range []string{hostile + ":1", "example.com/base:" + hostile} {
		create(t, store.BaseLooks(c), fmt.Sprint("base.", i), messages.BaseLook{Source: source, Digest: hostile, Looker: hostile, Problem: hostile, Since: noon(), Again: noon()})
	}
	if _, err := queuetest.JetStream(t, c).Publish(t.Context(), "$KV.fenceline-fence.production.docker/image", []byte(hostile)); err != nil {
		t.Fatal(err)
	}
	return c
}

// publishHostile publishes what builders, nodes and controllers say, with hostile words in it.
func publishHostile(t *testing.T, c *queue.Client) {
	t.Helper()
	ref := messages.BuildRef{Build: "base-gggggggg", Pipeline: "base", Order: 16}
	failure := messages.Failure{Class: messages.FailureUser, Reason: hostile, Fix: hostile, Findings: []messages.Finding{{File: hostile, Problem: hostile, Fix: hostile}}}
	bases := []messages.PinnedBase{{Source: hostile + ":1", Image: imageOne}, {Source: "example.com/base:" + hostile, Image: imageTwo}}
	for _, p := range []messages.Payload{
		&messages.BuildStarted{BuildRef: ref, Attempt: 1, Worker: hostile},
		&messages.BuildLog{BuildRef: ref, Attempt: 1, Step: messages.StepBuilt, Vertex: hostile, Text: hostile},
		&messages.BasePinned{BuildRef: ref, Attempt: 1, Bases: bases},
		&messages.ImageReady{BuildRef: ref, Image: imageTwo, Commit: hostile, Ref: hostile, HooksDir: "/h", Bases: bases},
		&messages.BuildSuperseded{BuildRef: ref, Commit: hostile, Head: hostile},
		&messages.BuildCancelled{BuildRef: ref, By: hostile},
		&messages.NodeFailed{Fleet: "production", Node: "node-1", Step: hostile, Reason: hostile},
		&messages.TrialFinished{Fleet: "production", Node: "node-1", Rollout: "r", TrialResult: messages.TrialResult{Reason: hostile}},
		&messages.RolloutChanged{Fleet: "production", Rollout: "r", State: hostile, Why: hostile, By: hostile},
		&messages.DeadLetter{
			Stream: "hostile", Sequence: 1, Subject: hostile, Reason: hostile, Headers: messages.Headers{hostile: {hostile}}, Body: []byte(hostile), At: noon(),
		},
		&messages.BuildFailed{BuildRef: ref, Failure: failure},
		&messages.CallsAudited{Calls: []messages.AuditedCall{{At: noon(), Path: hostile, By: hostile, From: hostile, Delivery: hostile, Why: hostile, Builds: []string{hostile}}}},
		&messages.DecisionMade{At: noon(), Action: hostile, Fleet: hostile, About: hostile, To: hostile, By: hostile, Via: hostile, From: hostile, Reason: hostile, Outcome: hostile, Why: hostile},
		&messages.RefusalsCounted{Refusals: []messages.Refusals{{Path: hostile, From: hostile, Why: hostile, Count: 2}}},
	} {
		if _, letter := p.(*messages.DeadLetter); letter { // its name says where it is kept
			if _, err := c.Last(t.Context(), c.Space().EventsStream(), c.Space().Subject(p)); err == nil {
				continue
			}
		}
		publish(t, c, p)
	}
}

// hostileFolder has a pipeline file, a Dockerfile and hooks of a stranger's.
func hostileFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "folder\x1b[31m\nfleet forged")
	clitest.Write(t, filepath.Join(dir, "fenceline.yaml"), "version: 1\npipelines:\n  - name: \""+`\e[31m\nchecked forged\u202e`+"\"\n    \"\\e]52;c\\nfleet forged\": 1\n")
	clitest.Write(t, filepath.Join(dir, "plain.yaml"), `version: 1
pipelines:
  - {name: base, repository: "http://127.0.0.1:1/base.git", image: 127.0.0.1:1/own/base, rebuild_on: {base: true}, webhook: {secret_file: elsewhere}, fleets: [{name: production}]}
`)
	clitest.Write(t, filepath.Join(dir, "Dockerfile"), "FROM scratch\nEVIL\x1b[31m\u202e forged\n")
	clitest.Write(t, filepath.Join(dir, "hooks", "pre-running"), "#!/bin/\x1b[31m\u202esh\nif \x1b]52;c\x07\n")
	clitest.Write(t, filepath.Join(dir, "hooks", "pre-runnin\x1b[31m\n    fix: run forged"), "#!/bin/sh\n")
	return dir
}

// hostileLines is a command line for each command, and what it needs on standard input.
func hostileLines(t *testing.T, server string) map[string][][]string {
	t.Helper()
	dir, secret := hostileFolder(t), filepath.Join(t.TempDir(), "secret")
	clitest.Write(t, secret, "0123456789abcdef0123456789abcdef\n")
	plain := filepath.Join(dir, "plain.yaml")
	hostileTokens := filepath.Join(dir, "console-tokens")
	clitest.Write(t, hostileTokens, hostile+"\n")
	sunk := filepath.Join(dir, "sunk.yaml")
	clitest.Write(t, sunk, "version: 1\nsinks: [{name: chat, url: \""+server+"\"}]\npipelines: []\n")
	producer := []string{"--producer", server, "--token-file", secret}
	return map[string][][]string{
		"init":                 {{"--dir", filepath.Join(dir, "made")}, {"--dir", "x", "--node", hostile}},
		"install":              {{"--role", hostile}, {"--role", "builder", "--dry-run", "--settings", hostile}},
		"doctor":               {{hostile}, {"controller", "--nats-monitor", server}},
		"status":               {{}},
		"builds":               {{}, {"--pipeline", hostile}},
		"builds show":          {{"base-gggggggg"}, {"base-iiiiiiii"}, {hostile}},
		"nodes":                {{}, {hostile}},
		"nodes show":           {{"node-3"}, {hostile}, {"production", hostile}},
		"nodes retire":         {{hostile}, {"node-3"}, {"production", hostile}},
		"rollouts":             {{}, {hostile}},
		"rollouts show":        {{"production-base-failed"}, {"production-base-gggggggg"}, {hostile}},
		"history":              {{}, {hostile}},
		"trace":                {{"base-gggggggg"}, {imageTwo.Digest(), "--all"}, {"node-3"}, {hostile}},
		"diff":                 {{hostile}, {"base-gggggggg"}, {"base-gggggggg", hostile}, {"production", "--platform", hostile}},
		"audit":                {{}, {"--known"}, {hostile}},
		"logs":                 {{"base-gggggggg"}, {"base-hhhhhhhh", "-f"}, {hostile}},
		"watch":                {{hostile}},
		"submit":               {append([]string{"base"}, producer...), append([]string{hostile}, producer...), {"base", "--context", hostile}, {"base", "--commit", hostile}},
		"cancel":               {{hostile}, {"base-jjjjjjjj"}},
		"retry":                {{hostile}, {"base-gggggggg"}},
		"rollback":             {{hostile}, {"--to", hostile}},
		"hold":                 {{hostile}, {}},
		"release":              {{hostile}, {}},
		"promote":              {{hostile}, {"production", hostile}},
		"approve":              {{hostile}, {"production-base-failed"}, {"production-base-approval"}},
		"abort":                {{hostile}, {"production-base-failed"}},
		"config":               {{hostile}},
		"config get":           {{"fence", "docker/image"}, {hostile, "x"}},
		"config set":           {{"fence", "docker/image", hostile}, {"fence", "docker/image", "a/b", "--force", "--reason", hostile}},
		"fleets":               {{hostile}},
		"fleets repair":        {{hostile}, {"production"}},
		"fleets order":         {{hostile, "1"}, {"production", hostile}},
		"dead-letters":         {{hostile}},
		"dead-letters list":    {{}},
		"dead-letters show":    {{"hostile-1"}, {hostile}},
		"dead-letters requeue": {{"hostile-1"}, {hostile}},
		"dead-letters drop":    {{hostile}, {"--older-than", "100000h"}},
		"lint":                 {{dir}, {hostile}},
		"render":               {{hostile}, {"base", "--config", filepath.Join(dir, "fenceline.yaml")}, {"--pipelines", dir, hostile}},
		"schema":               {{}, {hostile}},
		"openapi":              {{}, {hostile}},
		"graph":                {{"--config", plain}, {"--config", plain, "--dot"}, {"--config", filepath.Join(dir, "fenceline.yaml")}, {"--config", hostile}, {hostile}},
		"plan":                 {{"base", "--config", plain}, {"base"}, {"base", "--branch", hostile}, {"base", "--config", hostile}, {hostile}},
		"explain-hook":         {{hostile}, {"-", "--config", filepath.Join(dir, "fenceline.yaml")}, {"-", "--forge", hostile, "--header", hostile}},
		"hook":                 {{hostile}},
		"hook flush":           {{hostile}, {"--git-dir", hostile}},
		"hook post-receive":    {{"--git-dir", t.TempDir(), "--url", server, "--repository", hostile, "--secret-file", secret}, {"--git-dir", hostile}},
		"notify":               {{"--url", server, "--repository", hostile, "--secret-file", secret}},
		"console":              {{hostile}},
		"console token":        {{hostile}, {"ada", "--role", hostile}, {"ada", "--console-tokens-file", hostileTokens}},
		"console list":         {{"--console-tokens-file", hostileTokens}, {hostile}},
		"console revoke":       {{hostile}, {"ada", "--console-tokens-file", hostileTokens}, {hostile, "--console-tokens-file", hostileTokens}},
		"sinks":                {{hostile}},
		"sinks list":           {{}, {hostile}},
		"sinks test":           {{hostile, "--config", plain}, {"chat", "--config", sunk}, {"chat", "--config", sunk, "--type", hostile}, {"chat", "--config", filepath.Join(dir, "fenceline.yaml")}},
		"version":              {{}, {hostile}},
	}
}

// TestNothingHostileReachesATerminal runs every command over what strangers wrote. A new command has to
// be added to hostileLines.
func TestNothingHostileReachesATerminal(t *testing.T) {
	answered(t, hostileInstallation(t), hostile)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": hostile, "ignored": hostile})
	}))
	defer server.Close()
	lines := hostileLines(t, server.URL)
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		name := strings.TrimPrefix(c.CommandPath(), "fenceline ")
		if c.HasParent() && lines[name] == nil {
			t.Errorf("%s is not tried: add it to hostileLines", name)
		}
		if c.HasParent() {
			for _, args := range lines[name] {
				line := append(strings.Fields(name), args...)
				tryHostile(t, line)
				if c.Flags().Lookup("output") != nil {
					tryHostile(t, append(line, "-o", "json"))
				}
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(NewRoot())
	tryHostile(t, []string{hostile})
	tryHostile(t, []string{"status", "--" + hostile})
	t.Setenv("FENCELINE_OUTPUT", hostile[:5]+"\x1b[31m")
	tryHostile(t, []string{"status"})
}

// tryHostile runs one command line, and looks at all that it prints. It may fail.
func tryHostile(t *testing.T, args []string) {
	t.Helper()
	s := withInput(t, "0 1 refs/heads/"+strings.ReplaceAll(hostile, "\n", "")+"\n"+hostile+"\n", args...)
	if s.out+s.err == "" && args[0] != "logs" { // a log as JSON may be empty
		t.Errorf("fenceline %q prints nothing", args)
	}
	harmless(t, args, s.out)
	harmless(t, args, s.err)
	if args[len(args)-1] == "json" && strings.HasPrefix(s.out, "{") {
		var v any
		d := json.NewDecoder(strings.NewReader(s.out))
		for d.More() {
			if err := d.Decode(&v); err != nil {
				t.Errorf("fenceline %q prints no JSON: %v", args, err)
				return
			}
		}
	}
}

// harmless fails where a text has what a terminal obeys, or a line that a stranger wrote.
func harmless(t *testing.T, args []string, text string) {
	t.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }); i >= 0 {
		t.Errorf("fenceline %q prints %q", args, text[max(0, i-30):min(len(text), i+30)])
	}
	if !utf8.ValidString(text) {
		t.Errorf("fenceline %q prints what is no UTF-8", args)
	}
	for line := range strings.Lines(text) {
		for _, f := range forged() {
			if strings.HasPrefix(line, f) {
				t.Errorf("fenceline %q prints a forged line %q", args, line)
			}
		}
	}
}

// TestNothingHostileInWatch does the same for the command that goes on.
func TestNothingHostileInWatch(t *testing.T) {
	for _, format := range []string{"table", "json"} {
		c := installation(t)
		prepare(t, c)
		ctx, stop := context.WithCancel(t.Context())
		var out, errs clitest.Output
		begun, ended := out.Await("watching"), make(chan int, 1)
		go func() {
			ended <- Execute(ctx, NewRoot(), []string{"watch", "-o", format}, strings.NewReader(""), &out, &errs)
		}()
		<-begun
		last := out.Await("failed")
		publishHostile(t, c)
		<-last
		beat(t, c, messages.WorkFailed, hostile)
		all := out.Await("dead letter")
		<-all
		stop()
		<-ended
		harmless(t, []string{"watch", format}, out.String())
		harmless(t, []string{"watch", format}, errs.String())
	}
}

// TestJSONIsFaithful: programs get the very text.
func TestJSONIsFaithful(t *testing.T) {
	hostileInstallation(t)
	want := strings.ToValidUTF8(hostile, "\uFFFD")
	o := decoded[statusReport](t, "status")
	if got := o.Fleets[0].Record.Hold.Reason; got != want {
		t.Errorf("a reason is %q, want %q", got, want)
	}
	var found bool
	for _, b := range decoded[[]overview.Build](t, "builds") {
		found = found || b.Failure != nil && b.Failure.Reason == want
	}
	if !found {
		t.Error("no build has the reason")
	}
}

// TestTablesFitTheTerminal of 80 columns, whatever is in them.
func TestTablesFitTheTerminal(t *testing.T) {
	c := hostileInstallation(t)
	long := strings.Repeat("a long reason of 図書館 e\u0301\u0301 ⚠\ufe0f ", 50)
	if _, err := store.Builds(c).Modify(t.Context(), "base-iiiiiiii", func(r *messages.BuildRecord) error {
		r.LastError = long
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"status", "builds", "nodes", "rollouts", "history", "dead-letters list", "logs base-hhhhhhhh", "dead-letters show hostile-1"} {
		term := terminaltest.Open(t, 80)
		var errs bytes.Buffer
		Execute(t.Context(), NewRoot(), strings.Fields(name), strings.NewReader(""), term.File, &errs)
		shown := term.Shown()
		if shown == "" {
			t.Errorf("%s shows nothing: %s", name, errs.String())
		}
		harmless(t, []string{name}, shown)
		for line := range strings.Lines(shown) {
			if n := displaywidth.String(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%s shows a line of %d columns: %q", name, n, line)
			}
		}
	}
	if out := done(t, "builds"); !strings.Contains(out, strings.TrimSpace(terminal.Visible(long))) {
		t.Error("where there is no terminal the reason is cut")
	}
}

// TestLogLinesAreFiltered: what was logged is visible, and the colours of the log alone pass.
func TestLogLinesAreFiltered(t *testing.T) {
	for name, test := range map[string]struct {
		term, noColor string
		colours       bool
	}{
		"a terminal with colours": {"xterm", "", true}, "a dumb one": {"dumb", "", false}, "NO_COLOR": {"xterm", "1", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TERM", test.term)
			t.Setenv("NO_COLOR", test.noColor)
			term := terminaltest.Open(t, 80)
			log := NewLogger(term.File, false)
			log.Error().Str("text", hostile).Strs("list", []string{hostile}).Interface("deep", map[string]any{"a": []string{hostile}}).
				Err(io.ErrUnexpectedEOF).Msg(hostile)
			shown := term.Shown()
			if colours := strings.Contains(shown, "\x1b["); colours != test.colours {
				t.Errorf("colours: %v in %q", colours, shown)
			}
			for _, code := range []string{"\x1b[31m", "\x1b[1m", "\x1b[36m", "\x1b[90m", "\x1b[0m"} { // of the writer itself
				shown = strings.ReplaceAll(shown, code, "")
			}
			harmless(t, []string{name}, shown)
		})
	}
	var b bytes.Buffer
	log := NewLogger(&b, false)
	log.Error().Str("text", hostile).Msg(hostile)
	harmless(t, []string{"log"}, b.String())
	var line map[string]string
	if err := json.Unmarshal(b.Bytes(), &line); err != nil || line["message"] != strings.ToValidUTF8(hostile, "\uFFFD") {
		t.Errorf("%v, %q", err, line)
	}
}
