package cli

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/fence/natskv"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/terminal"
)

const (
	imageOne = messages.Image("registry.example.com/exampleco/base@sha256:1111111111111111111111111111111111111111111111111111111111111111")
	imageTwo = messages.Image("registry.example.com/exampleco/base@sha256:2222222222222222222222222222222222222222222222222222222222222222")
	commit   = "0123456789abcdef0123456789abcdef01234567"
)

// noon is when everything in the prepared records happened.
func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }

func create[T any](t *testing.T, r *queue.Records[T], key string, v T) {
	t.Helper()
	if _, err := r.Create(t.Context(), key, v); err != nil {
		t.Fatal(err)
	}
}

func pipeline() messages.Pipeline {
	return messages.Pipeline{
		Name: "base", Repository: "https://git.example.com/ops/base.git", Branch: "main", Dockerfile: "Dockerfile",
		Image: imageOne.Name(), HooksDir: messages.DefaultHooksDir, Timeout: messages.Duration(time.Minute), Attempts: 3,
	}
}

// prepare fills an installation with fixed records: an image that is current, one that is on
// its way, builds in every state, a node that is up and one that is silent.
func prepare(t *testing.T, c *queue.Client) {
	t.Helper()
	ref := func(build string, order uint64) messages.BuildRef {
		return messages.BuildRef{Build: build, Pipeline: "base", Order: order}
	}
	for _, r := range []messages.BuildRecord{
		{BuildRef: ref("base-aaaaaaaa", 11), State: messages.BuildStateSucceeded, Attempt: 1, Worker: "b1", Commit: commit, Image: imageOne, Announced: true},
		{BuildRef: ref("base-bbbbbbbb", 12), State: messages.BuildStateSucceeded, Attempt: 2, Worker: "b2", Commit: commit, Image: imageTwo, Announced: true},
		{BuildRef: ref("base-cccccccc", 13), State: messages.BuildStateFailed, Attempt: 1, Worker: "b1", Commit: commit, Announced: true,
			Failure: &messages.Failure{Class: messages.FailureUser, Reason: "no such file\nmore", Place: "Dockerfile:3", Fix: "add it"}},
		{BuildRef: ref("base-dddddddd", 14), State: messages.BuildStateRunning, Attempt: 2, Worker: "b2", Commit: commit, LastError: "registry is gone"},
		{BuildRef: ref("base-eeeeeeee", 15), State: messages.BuildStateCancelled, Attempt: 1, Worker: "b2", Announced: true},
	} {
		r.Received, r.Updated = noon(), noon().Add(time.Minute)
		create(t, store.Builds(c), r.Build, r)
	}
	create(t, store.Fleets(c), "production", messages.FleetRecord{
		Fleet: "production", Epoch: 3, Decision: "d", Highest: 11,
		Current: messages.FleetImage{Image: imageOne, Build: "base-aaaaaaaa", Order: 11, Rollout: "production-base-aaaaaaaa"},
		Hold:    &messages.Hold{By: "ann", Reason: "release freeze", At: noon()},
		Applied: messages.Applied{Epoch: 2, Value: string(imageOne)},
	})
	for _, node := range []string{"node-1", "node-2"} {
		create(t, store.Members(c), messages.NodeKey("production", node), messages.Member{Fleet: "production", Node: node, Joined: noon()})
	}
	beat(t, c, messages.WorkFailed, "pulling: disk full")
	for _, r := range []messages.RolloutRecord{
		{ID: "production-base-aaaaaaaa", Ready: messages.ImageReady{BuildRef: ref("base-aaaaaaaa", 11), Image: imageOne, Commit: commit},
			State: messages.RolloutDone, Members: []string{"node-1", "node-2"}, Present: 2},
		{ID: "production-base-bbbbbbbb", Ready: messages.ImageReady{BuildRef: ref("base-bbbbbbbb", 12), Image: imageTwo, Commit: commit},
			State: messages.RolloutHeld, Why: "the fleet is held", Members: []string{"node-1", "node-2"}, Present: 1},
	} {
		r.Fleet, r.Opened, r.Updated = "production", noon(), noon()
		create(t, store.Rollouts(c), r.ID, r)
	}
	f := natskv.New(c, "production")
	first, err := f.Set(t.Context(), "stackato/stack/alsek", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Set(t.Context(), string(imageOne), first.Revision); err != nil {
		t.Fatal(err)
	}
}

// written is what is written to a page.
func written(t *testing.T, write func(*terminal.Page)) string {
	t.Helper()
	var out strings.Builder
	p := terminal.NewPage(&out)
	write(p)
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// beat sends node-1's heartbeat.
func beat(t *testing.T, c *queue.Client, state messages.WorkState, reason string) {
	t.Helper()
	err := store.NewNode(c).Heartbeat(t.Context(), &messages.NodeStatus{
		Fleet: "production", Node: "node-1", Instance: "i1", Beat: 1, Interval: messages.Duration(10 * time.Second), Version: "v1",
		Engine: messages.Engine{Name: "docker", Version: "20.10.24", API: "1.41"}, FreeBytes: 5_400_000_000, Revision: 1,
		Images: []messages.PresentImage{{Image: imageOne, ID: "sha256:aa", Local: "fenceline.local/production:1111111111111111111111111111111111111111111111111111111111111111"}},
		Ledger: []messages.LedgerEntry{
			{Image: imageOne, Fleet: "production", Tag: "fenceline.local/production:1111111111111111111111111111111111111111111111111111111111111111", At: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), Why: "rollout production-base-aaaaaaaa"},
			{Image: imageTwo, Fleet: "staging", ID: "abcdefgh", Found: true, At: time.Date(2020, 1, 1, 3, 4, 5, 0, time.UTC), Why: "was there already, for build base-bbbbbbbb"},
		},
		LedgerMore: 3,
		Work:       &messages.NodeWork{Rollout: "production-base-bbbbbbbb", Image: imageTwo, State: state, Reason: reason, Bytes: 12_300},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestOutput pins what commands print for fixed records, for people and for programs.
func TestOutput(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	answered(t, c, string(imageOne))
	age, gap, at := regexp.MustCompile(`\d+[smhd] ago`), regexp.MustCompile(`  +`), regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	for name, args := range map[string][]string{
		"status": {"status"}, "builds": {"builds"}, "nodes": {"nodes"}, "node-show": {"nodes", "show", "node-1"}, "rollouts": {"rollouts"}, "history": {"history"},
		"config-get": {"config", "get", "fence", "docker/image"}, "dead-letters": {"dead-letters", "list"},
	} {
		t.Run(name, func(t *testing.T) {
			table := gap.ReplaceAllString(age.ReplaceAllString(done(t, args...), "AGE"), "  ")
			js := done(t, append(args, "-o", "json")...)
			if name == "history" { // its times are the store's
				table, js = at.ReplaceAllString(table, "TIME"), at.ReplaceAllString(js, "TIME")
			}
			clitest.Golden(t, "testdata/"+name+".txt", table)
			clitest.Golden(t, "testdata/"+name+".json", js)
		})
	}
}

// TestFilters shows what is there, and refuses names of what is not: with what may be meant, and with
// what there is.
func TestFilters(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	answered(t, c, string(imageOne))
	for _, args := range [][]string{
		{"builds", "--pipeline", "base"}, {"rollouts", "production"}, {"nodes", "production"}, {"history", "production"},
		{"rollouts", "--fleet", "production"}, {"nodes", "--fleet=production"}, {"config", "get", "production", "fence", "docker/image"},
		{"config", "get", "fence", "docker/image", "--fleet", "production"},
	} {
		if out := done(t, append(args, "-o", "json")...); len(out) < 10 {
			t.Errorf("fenceline %v prints %s", args, out)
		}
	}
	for _, test := range []struct{ args, near, far string }{
		{"builds --pipeline", "bsae", "zzzzzzzzz"}, {"rollouts", "prodction", "z"}, {"rollouts --fleet", "prodction", "z"}, {"nodes", "prodction", "z"},
		{"nodes --fleet", "prodction", "z"}, {"history", "prodction", "z"}, {"hold", "prodction", "z"}, {"release", "prodction", "z"}, {"rollback", "prodction", "z"},
		{"approve", "production-base-bbbbbbbx", "zzzzzzzzz"}, {"abort", "production-base-bbbbbbbx", "zzzzzzzzz"},
		{"logs", "base-ccccccbc", "zzzzzzzzz"}, {"cancel", "base-ccccccbc", "zzzzzzzzz"}, {"retry", "base-ccccccbc", "zzzzzzzzz"},
		{"nodes retire", "node-22", "zzzzzzzzz"}, {"nodes retire production", "node-22", "zzzzzzzzz"}, {"nodes retire", "prodction.node-1", "zzzzzzzzz"},
	} {
		if s := fenceline(t, append(strings.Fields(test.args), test.near)...); s.status != ExitFailed || !strings.Contains(s.err, "did you mean") || s.out != "" {
			t.Errorf("fenceline %s %s: %+v", test.args, test.near, s)
		}
		if s := fenceline(t, append(strings.Fields(test.args), test.far)...); s.status != ExitFailed || !strings.Contains(s.err, "there is no ") || s.out != "" {
			t.Errorf("fenceline %s %s: %+v", test.args, test.far, s)
		}
	}
	if s := fenceline(t, "rollouts", "production", "--fleet", "production"); s.status != ExitUsage {
		t.Errorf("a fleet given twice: %+v", s)
	}
}

func TestNothingYet(t *testing.T) {
	installation(t)
	if out := done(t, "status"); !strings.Contains(out, "No fleet yet") || !strings.Contains(out, "No build yet") {
		t.Errorf("status of an empty installation is %q", out)
	}
	for _, args := range [][]string{{"rollback"}, {"config", "get", "fence", "docker/image"}, {"history"}} {
		if s := fenceline(t, args...); s.status != ExitFailed || !strings.Contains(s.err, "there is no fleet yet") {
			t.Errorf("fenceline %v: %d, %q", args, s.status, s.err)
		}
	}
}

func TestSeveralFleets(t *testing.T) {
	c := installation(t)
	for _, fleet := range []string{"staging", "production"} {
		create(t, store.Members(c), messages.NodeKey(fleet, "n"), messages.Member{Fleet: fleet, Node: "n", Joined: noon()})
	}
	if s := fenceline(t, "hold"); s.status != ExitUsage || !strings.Contains(s.err, "production, staging") {
		t.Errorf("hold without a fleet: %d, %q", s.status, s.err)
	}
	if s := fenceline(t, "hold", "NOT.A.FLEET"); s.status != ExitUsage {
		t.Errorf("hold of a bad name: %d, %q", s.status, s.err)
	}
}

// TestDecisions runs people's decisions on prepared records, without a controller but for the fence config.
func TestDecisions(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	if s := fenceline(t, "rollback", ""); s.status != ExitUsage { // of a script whose variable is empty
		t.Errorf("a fleet without a name: %+v", s)
	}
	if s := fenceline(t, "hold"); s.status != ExitFailed || !strings.Contains(s.err, "held by ann") {
		t.Errorf("holding what is held: %+v", s)
	}
	done(t, "release")
	if out := done(t, "hold", "--reason", "a test"); out != "production: held (a test)\n" {
		t.Errorf("hold prints %q", out)
	}
	done(t, "release")
	if s := fenceline(t, "release"); s.status != ExitFailed || !strings.Contains(s.err, "no hold") {
		t.Errorf("release again: %+v", s)
	}
	if s := fenceline(t, "promote", "sha256:00"); s.status != ExitFailed || !strings.Contains(s.err, "no such image") {
		t.Errorf("promoting what there is not: %+v", s)
	}
	done(t, "abort", "production-base-bbbbbbbb")
	done(t, "nodes", "retire", "node-2")
	if s := fenceline(t, "nodes", "retire", "node-2"); s.status != ExitFailed {
		t.Errorf("retiring it again: %+v", s)
	}
	done(t, "cancel", "base-dddddddd")
	controlled(t, c)
	if s := fenceline(t, "config", "set", "fence", "docker/image", "by/hand"); s.status != ExitFailed || !strings.Contains(s.err, "--force sets it all the same") {
		t.Errorf("setting what no node can report: %+v", s)
	}
	if out := done(t, "config", "set", "fence", "docker/image", "by/hand", "--force", "--reason", "a test"); out != "production: by/hand, and held until 'fenceline release production'\n" {
		t.Errorf("config set prints %q", out)
	}
	if out := done(t, "history"); !strings.Contains(out, "by/hand") || !strings.Contains(out, "a test") || !strings.Contains(out, whoami()) {
		t.Errorf("the history is %q", out)
	}
	if out := done(t, "status"); !strings.Contains(out, "set the fence config to by/hand: a test") {
		t.Errorf("the status is %q", out)
	}
	if out := done(t, "config", "get", "fence", "docker/image"); out != "by/hand\n" {
		t.Errorf("what was set is %q", out)
	}
	for _, args := range [][]string{
		{"config", "get", "router", "x"}, {"config", "set", "fence", "docker/images", "x"}, {"config", "set", "fence", "docker/image", ""},
	} {
		if s := fenceline(t, args...); s.status != ExitUsage {
			t.Errorf("fenceline %v: %+v", args, s)
		}
	}
}

// TestDecisionThatNobodyFollows tells a decision from its effect.
func TestDecisionThatNobodyFollows(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	if _, err := store.Fleets(c).Modify(t.Context(), "production", func(r *messages.FleetRecord) error {
		r.Previous = messages.FleetImage{Image: imageTwo, Build: "base-bbbbbbbb", Order: 12, Rollout: "production-base-bbbbbbbb"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if s := fenceline(t, "rollback", "--force", "--wait", "1ms"); s.status != ExitFailed || !strings.Contains(s.err, "is a controller running?") {
		t.Errorf("rollback without a controller: %+v", s)
	}
	if out := done(t, "status"); !strings.Contains(out, "epoch 4") {
		t.Errorf("the decision doesn't stand: %s", out)
	}
}
