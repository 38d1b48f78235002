package cli

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
)

// TestArguments are refused before anything is done.
func TestArguments(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	asked := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	defer server.Close()
	dir := t.TempDir()
	clitest.Write(t, filepath.Join(dir, "file"), "0123456789abcdef0123456789abcdef\n")
	submit := []string{"submit", "base", "--producer", server.URL, "--token-file", filepath.Join(dir, "file")}
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"a negative wait":            {[]string{"rollback", "--wait", "-5s"}, "less than nothing"},
		"a negative wait, otherwise": {[]string{"promote", "--wait=-1ns", "sha256:00"}, "less than nothing"},
		"a wait without a unit":      {[]string{"rollback", "--wait", "5"}, "such as 90s"},
		"a wait that is no number":   {[]string{"rollback", "--wait", "soon"}, "such as 90s"},
		"too many days":              {[]string{"rollback", "--wait", "999999999d"}, "such as 90s"},
		"negative days":              {[]string{"nodes", "retire", "--silent-for", "-7d"}, "less than nothing"},
		"zeros for a commit":         {append(submit, "--commit", strings.Repeat("0", 40)), "no commit"},
		"zeros of SHA-256":           {append(submit, "--commit", strings.Repeat("0", 64)), "no commit"},
		"a short commit":             {append(submit, "--commit", "0123456"), "all 40"},
		"no commit":                  {append(submit, "--commit", ""), "all 40"},
		"a file for a context":       {append(submit, "--context", filepath.Join(dir, "file")), "name the folder"},
		"no folder for a context":    {append(submit, "--context", filepath.Join(dir, "none")), "name a folder"},
		"a timeout without a wait":   {append(submit, "--timeout", "5s"), "--wait"},
		"one argument":               {[]string{"status", "production"}, "1 argument given"},
		"no node":                    {[]string{"nodes", "retire"}, "no node is named"},
		"a fleet for a node":         {[]string{"nodes", "retire", "production"}, "is a fleet"},
		"silence and a node":         {[]string{"nodes", "retire", "--silent-for", "7d", "production", "node-2"}, "finds the nodes itself"},
		"too short a silence":        {[]string{"nodes", "retire", "--silent-for", "1s"}, "from 1m0s on"},
		"no letter":                  {[]string{"dead-letters", "drop"}, "--all"},
		"letters and all":            {[]string{"dead-letters", "drop", "x", "--all"}, "--all"},
		"all and some":               {[]string{"dead-letters", "requeue", "--older-than", "1d", "--all"}, "--all"},
	} {
		if s := fenceline(t, test.args...); s.status != ExitUsage || !strings.Contains(s.err, test.says) || s.out != "" {
			t.Errorf("%s: %+v, want status %d and %q", name, s, ExitUsage, test.says)
		}
	}
	select {
	case path := <-asked:
		t.Errorf("the producer is asked for %s all the same", path)
	default:
	}
	if e, err := store.Fleets(c).Get(t.Context(), "production"); err != nil || e.Value.Epoch != 3 {
		t.Errorf("the fleet's record is %+v, %v", e.Value, err)
	}
}

// TestVersion is a command as it is a flag.
func TestVersion(t *testing.T) {
	if out := done(t, "version"); out != done(t, "--version") || !strings.HasPrefix(out, "fenceline ") {
		t.Errorf("the version is %q", out)
	}
	if v := decoded[map[string]string](t, "version"); v["version"] != Version() || v["go"] == "" || v["platform"] == "" {
		t.Errorf("the version is %v", v)
	}
}

// TestRetire retires several nodes, and one that is up by force alone.
func TestRetire(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	join := func(fleet string, nodes ...string) {
		for _, node := range nodes {
			create(t, store.Members(c), messages.NodeKey(fleet, node), messages.Member{Fleet: fleet, Node: node, Joined: noon()})
		}
	}
	join("production", "node-3", "node-4", "staging")
	join("staging", "node-2", "node-9")
	is := func(key string, want bool) {
		t.Helper()
		if _, err := store.Members(c).Get(t.Context(), key); (err == nil) != want {
			t.Errorf("%s is a member: %v, want %v", key, err == nil, want)
		}
	}
	refused(t, "is up: node-1", "nodes", "retire", "node-3", "node-1")
	is("production.node-3", true)
	if s := fenceline(t, "nodes", "retire", "node-2"); s.status != ExitUsage || !strings.Contains(s.err, "production.node-2, staging.node-2") {
		t.Errorf("a name of two nodes: %+v", s)
	}
	if s := fenceline(t, "nodes", "retire", "staging", "node-2"); s.status != ExitUsage || !strings.Contains(s.err, "a fleet and a node") {
		t.Errorf("a fleet that is a node's name: %+v", s)
	}
	if out := done(t, "nodes", "retire", "staging.node-2", "node-3"); out != "staging: node-2 retired\nproduction: node-3 retired\n" {
		t.Errorf("it prints %q", out)
	}
	toldOf(t, "nodes retire", "staging node-2 accepted", "production node-3 accepted")
	is("staging.node-2", false)
	is("production.node-2", true)
	done(t, "nodes", "retire", "production", "node-2", "node-4")
	is("production.node-2", false)
	is("production.node-4", false)
	done(t, "nodes", "retire", "node-9", "--fleet", "staging")
	done(t, "nodes", "retire", "node-1", "--force")
	is("production.node-1", false)
}

func TestShowANode(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	create(t, store.Members(c), messages.NodeKey("staging", "node-2"), messages.Member{Fleet: "staging", Node: "node-2", Joined: noon()})
	for _, words := range [][]string{{"node-1"}, {"production", "node-1"}, {"production.node-1"}, {"node-1", "--fleet", "production"}} {
		if out := done(t, append([]string{"nodes", "show"}, words...)...); !strings.Contains(out, "was there already, for build base-bbbbbbbb") {
			t.Errorf("%v prints %q", words, out)
		}
	}
	if out := done(t, "nodes", "show", "staging", "node-2"); !strings.Contains(out, "silent: no heartbeat") || strings.Contains(out, "ledger") {
		t.Errorf("of a silent node it prints %q", out)
	}
	refused(t, "node-1, node-2", "nodes", "show", "production", "node-9")
	for _, words := range [][]string{nil, {"node-2"}, {"production", "node-1", "node-2"}} {
		if s := fenceline(t, append([]string{"nodes", "show"}, words...)...); s.status != ExitUsage {
			t.Errorf("%v: %+v", words, s)
		}
	}
}

// TestRetireTheSilent retires those members alone whose silence is long enough, by the clock of NATS.
func TestRetireTheSilent(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	create(t, store.Members(c), "production.node-8", messages.Member{Fleet: "production", Node: "node-8", Silent: true})
	create(t, store.Members(c), "production.node-7", messages.Member{Fleet: "production", Node: "node-7", Silent: true})
	if out := done(t, "nodes"); !strings.Contains(out, "last heard 1m ago") {
		t.Errorf("nodes says %s", out)
	}
	if out := done(t, "nodes", "retire", "--silent-for", "1d"); out != "no member was silent for 24h0m0s\n" {
		t.Errorf("it prints %q", out)
	}
	if got := decoded[[]map[string]string](t, "nodes", "retire", "--silent-for", "1m", "production"); len(got) != 2 || got[0]["node"] != "node-7" {
		t.Errorf("it retires %v", got)
	}
	toldOf(t, "nodes retire", "production node-7 accepted", "production node-8 accepted")
	if all := decoded[[]overview.Node](t, "nodes"); len(all) != 2 { // one that is up, and one whose silence nobody noted
		t.Errorf("the nodes are %+v", all)
	}
}

// TestManyDeadLetters are dropped by name, age and all.
func TestManyDeadLetters(t *testing.T) {
	c := installation(t)
	letter := func(n uint64, at string) {
		l := &messages.DeadLetter{Stream: "s", Sequence: n, Subject: "s", Reason: "r", At: noon()}
		if at == "now" {
			info, err := store.NewClock(c).Now(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			l.At = info
		}
		publish(t, c, l)
	}
	for n, at := range []string{"old", "old", "now", "old", "now"} {
		letter(uint64(n+1), at)
	}
	if s := fenceline(t, "dead-letters", "drop", "s-1", "s-99"); s.status != ExitFailed || !strings.Contains(s.err, "s-99") {
		t.Errorf("one that there is not: %+v", s)
	}
	lettersOf(t, 5)
	if out := done(t, "dead-letters", "drop", "s-1", "s-4"); out != "s-1: dropped\ns-4: dropped\n" {
		t.Errorf("it prints %q", out)
	}
	if got := decoded[[]map[string]string](t, "dead-letters", "drop", "--older-than", "7d"); len(got) != 1 || got[0]["name"] != "s-2" {
		t.Errorf("it drops %v", got)
	}
	if out := done(t, "dead-letters", "requeue", "--older-than", "7d"); out != "there is no such dead letter\n" {
		t.Errorf("it prints %q", out)
	}
	done(t, "dead-letters", "drop", "--all")
	lettersOf(t, 0)
	toldOf(t, "dead-letters drop", " s-1 accepted", " s-4 accepted", " s-2 accepted", " s-3 accepted", " s-5 accepted")
}

// toldOf fails where audit doesn't show that such was decided, each of them by itself.
func toldOf(t *testing.T, action string, want ...string) {
	t.Helper()
	var told []string
	for _, d := range decoded[lostCalls](t, "audit").Decisions {
		if d.Action == action {
			told = append(told, d.Fleet+" "+d.About+" "+string(d.Outcome))
		}
	}
	for _, w := range want {
		if !slices.Contains(told, w) {
			t.Errorf("of %s audit shows %q, without %q", action, told, w)
		}
	}
}

// TestOneThingToLookAt: a build that the machines are to blame for is shown once, not also as a dead letter.
func TestOneThingToLookAt(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	requests := c.Space().RequestsStream()
	r := messages.BuildRecord{
		BuildRef: messages.BuildRef{Build: "base-kkkkkkkk", Pipeline: "base", Order: 20}, State: messages.BuildStateFailed, Announced: true, Request: 42,
		Failure: &messages.Failure{Class: messages.FailureInfrastructure, Reason: "no registry"},
	}
	create(t, store.Builds(c), r.Build, r)
	publish(t, c, &messages.DeadLetter{Stream: requests, Sequence: 42, Subject: "s", Reason: "no registry", At: noon()})
	out := done(t, "status")
	if strings.Contains(out, "dead letter") || strings.Count(out, "no image since build base-kkkkkkkk") != 1 {
		t.Errorf("status says %s", out)
	}
	publish(t, c, &messages.DeadLetter{Stream: requests, Sequence: 43, Subject: "s", Reason: "unreadable", At: noon()})
	if out := done(t, "status"); !strings.Contains(out, "\n1 dead letter: ") {
		t.Errorf("status says %s", out)
	}
}

// TestRetryTakesTheLetterAway: what was sent again is nothing to look at.
func TestRetryTakesTheLetterAway(t *testing.T) {
	c := installation(t)
	a, err := builds.New(c).Request(t.Context(), &messages.BuildRequested{
		Build: "base-ffffffff", Pipeline: pipeline(), Ref: "refs/heads/main", Commit: commit, Cause: messages.CausePush, Received: noon(),
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	asked, err := c.Last(t.Context(), c.Space().RequestsStream(), c.Space().RequestSubject("base"))
	if err != nil {
		t.Fatal(err)
	}
	create(t, store.Builds(c), a.Build, messages.BuildRecord{
		BuildRef: messages.BuildRef{Build: a.Build, Pipeline: "base", Order: a.Order}, State: messages.BuildStateFailed, Announced: true,
		Request: asked.Sequence, Asked: &asked.Message, Failure: &messages.Failure{Class: messages.FailureInfrastructure, Reason: "no registry"},
	})
	publish(t, c, &messages.DeadLetter{Stream: c.Space().RequestsStream(), Sequence: asked.Sequence, Subject: asked.Subject, Reason: "no registry", At: noon()})
	lettersOf(t, 1)
	done(t, "retry", a.Build)
	lettersOf(t, 0)
}

// TestWarningsUnderAFailure are told from what failed it, and hide no reason.
func TestWarningsUnderAFailure(t *testing.T) {
	f := &messages.Failure{
		Class: messages.FailureUser, Reason: "no such file", Place: "Dockerfile:3", Fix: "add it",
		Findings: []messages.Finding{{File: "repository", Problem: "the credential ends soon", Fix: "make another", Warning: true}},
	}
	r := &messages.BuildRecord{BuildRef: messages.BuildRef{Build: "b"}, State: messages.BuildStateFailed, Failure: f}
	want := "b: failed\n  warning: repository: the credential ends soon; make another\n  at Dockerfile:3\n  no such file\n  fix: add it\n  then push, or build the same again: fenceline retry b\n"
	if got := written(t, func(p *terminal.Page) { writeEnd(p, r) }); got != want {
		t.Errorf("it says %q", got)
	}
}

// TestPrintingGoesThroughTheFilter: commands write text by pages alone.
func TestPrintingGoesThroughTheFilter(t *testing.T) {
	var files []string
	for _, some := range []string{"*.go", "install/*.go", "pki/*.go"} {
		found, err := filepath.Glob(some)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	seen := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		seen++
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(source), "\n") {
			_, call, found := strings.Cut(line, "fmt.Fprint")
			_, to, _ := strings.Cut(call, "(")
			if strings.Contains(line, "fmt.Print") || strings.Contains(line, "os.Stdout") || found && !strings.HasPrefix(to, "&") && !strings.HasPrefix(to, "mac,") {
				t.Errorf("%s:%d: %s: print by a terminal.Page", file, n+1, strings.TrimSpace(line))
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d files were seen", seen)
	}
}
