package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/spf13/cobra"
)

// TestWhatIsDoneIsNotToldAsRefused though something that follows from it failed.
func TestWhatIsDoneIsNotToldAsRefused(t *testing.T) {
	for err, want := range map[error]bool{
		fmt.Errorf("build x: %w: %w", builds.ErrUnannounced, queue.ErrUnavailable):      true,
		fmt.Errorf("%w, but the letter stays: %w", builds.ErrRequeued, errors.New("x")): true,
		fmt.Errorf("%w, but: %w", people.ErrDecided, queue.ErrUnavailable):              true,
		errNotApplied:        true,
		builds.ErrOver:       false,
		queue.ErrUnavailable: false,
	} {
		if stands(err) != want {
			t.Errorf("%v stands: %t", err, !want)
		}
	}
}

// full is a place that nothing can be written to.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestWhatCannotBePrintedIsDone and so told, whatever it was.
func TestWhatCannotBePrintedIsDone(t *testing.T) {
	queuetest.FleetRecord(t, installation(t), "production")
	t.Setenv("FENCELINE_STATE", t.TempDir())
	if status := Execute(t.Context(), NewRoot(), []string{"hold", "production"}, strings.NewReader(""), full{}, full{}); status != ExitFailed {
		t.Errorf("it ends with %d", status)
	}
	toldOf(t, "hold", "production  accepted")
}

// TestEveryActIsAudited has each command that decides something carried out and refused, with who, from where and about what.
func TestEveryActIsAudited(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	ask := func(number int) string {
		a, err := builds.New(c).Request(t.Context(), buildstest.Request("base", number), "")
		queuetest.Must(t, err)
		return a.Build
	}
	cancelled := ask(20)
	last, err := c.Last(t.Context(), c.Space().RequestsStream(), c.Space().AnyRequest("base"))
	queuetest.Must(t, err)
	for n := range 3 {
		publish(t, c, &messages.DeadLetter{Stream: "s", Sequence: uint64(n + 1), Subject: last.Subject, Reason: "no registry", Headers: last.Message.Headers, Body: last.Message.Body, At: noon()})
	}
	const rollout = "production-base-zzzzzzzz"
	create(t, store.Rollouts(c), rollout, messages.RolloutRecord{
		ID: rollout, Fleet: "production", State: messages.RolloutApproval, Policy: messages.Policy{Approval: true},
		Ready: messages.ImageReady{BuildRef: messages.BuildRef{Build: "base-zzzzzzzz", Pipeline: "base", Order: 10}, Image: imageTwo},
	})
	_, err = queuetest.JetStream(t, c).Publish(t.Context(), "$KV.fenceline-fleets.staging", []byte(wrecked))
	queuetest.Must(t, err)
	one, two := imageOne.Digest(), imageTwo.Digest()
	acting := func() { controlled(t, c) }
	told := map[string]bool{} // by command
	for _, act := range []struct {
		args   string
		does   bool
		says   messages.DecisionMade
		before func()
	}{
		{"approve " + rollout + " --reason tried", true, messages.DecisionMade{Fleet: "production", About: rollout, Reason: "tried"}, nil},
		{"approve " + rollout, false, messages.DecisionMade{Fleet: "production", About: rollout}, nil},
		{"abort " + rollout + " --reason leaks", true, messages.DecisionMade{Fleet: "production", About: rollout, Reason: "leaks"}, nil},
		{"abort production-base-aaaaaaaa", false, messages.DecisionMade{Fleet: "production", About: "production-base-aaaaaaaa"}, nil},
		{"abort none", false, messages.DecisionMade{About: "none"}, nil},
		{"cancel " + cancelled, true, messages.DecisionMade{About: cancelled}, nil},
		{"cancel base-aaaaaaaa", false, messages.DecisionMade{About: "base-aaaaaaaa"}, nil},
		{"retry " + cancelled, true, messages.DecisionMade{About: cancelled}, nil},
		{"retry base-none", false, messages.DecisionMade{About: "base-none"}, nil},
		{"dead-letters requeue s-1", true, messages.DecisionMade{About: "s-1"}, nil},
		{"dead-letters requeue s-2 s-9", false, messages.DecisionMade{About: "s-2 s-9"}, nil},
		{"dead-letters drop s-9", false, messages.DecisionMade{About: "s-9"}, nil},
		{"dead-letters drop s-2", true, messages.DecisionMade{About: "s-2"}, nil},
		{"dead-letters drop --older-than 1h", true, messages.DecisionMade{About: "s-3"}, nil},
		{"dead-letters drop --all", true, messages.DecisionMade{About: "all: there is none"}, nil},
		{"nodes retire node-1", false, messages.DecisionMade{About: "node-1"}, nil},
		{"nodes retire node-2", true, messages.DecisionMade{Fleet: "production", About: "node-2"}, nil},
		{"nodes retire --silent-for 1d production", true, messages.DecisionMade{Fleet: "production", About: "all that are silent for 24h0m0s: there is none"}, nil},
		{"fleets repair staging", true, messages.DecisionMade{Fleet: "staging"}, nil},
		{"fleets repair production", false, messages.DecisionMade{Fleet: "production"}, nil},
		{"fleets order production 1 --force", true, messages.DecisionMade{Fleet: "production", About: "1"}, nil},
		{"fleets order production 9999", false, messages.DecisionMade{Fleet: "production", About: "9999"}, nil},
		{"hold production --reason freeze", false, messages.DecisionMade{Fleet: "production", Reason: "freeze"}, nil},
		{"release production", true, messages.DecisionMade{Fleet: "production"}, nil},
		{"release production --reason again", false, messages.DecisionMade{Fleet: "production", Reason: "again"}, nil},
		{"hold prodction --reason freeze", false, messages.DecisionMade{About: "prodction", Reason: "freeze"}, nil},
		{"hold production --reason freeze", true, messages.DecisionMade{Fleet: "production", Reason: "freeze"}, nil},
		{"promote production " + two + " --reason new", true, messages.DecisionMade{Fleet: "production", About: two, Reason: "new"}, acting},
		{"promote production " + two, false, messages.DecisionMade{Fleet: "production", About: two}, nil},
		{"rollback production --to " + one + " --reason old", true, messages.DecisionMade{Fleet: "production", To: one, Reason: "old"}, nil},
		{"rollback production --to sha256:00", false, messages.DecisionMade{Fleet: "production", To: "sha256:00"}, nil},
		{"config set production fence docker/image by/hand", false, messages.DecisionMade{Fleet: "production", About: "fence docker/image by/hand", Reason: "asked for by hand"}, nil},
		{"config set production fence docker/image by/hand --force", true, messages.DecisionMade{Fleet: "production", About: "fence docker/image by/hand", Reason: "asked for by hand"}, nil},
	} {
		if act.before != nil {
			act.before()
		}
		before := len(decoded[lostCalls](t, "audit").Decisions)
		s := fenceline(t, strings.Fields(act.args)...)
		if (s.status == ExitDone) != act.does {
			t.Errorf("%s: %+v", act.args, s)
			continue
		}
		all := decoded[lostCalls](t, "audit").Decisions
		if len(all) != before+1 {
			t.Errorf("%s: %d events: %+v", act.args, len(all)-before, all[before:])
			continue
		}
		got := all[before]
		host, err := os.Hostname()
		queuetest.Must(t, err)
		if got.By != whoami() || got.From != host || got.Via != "command line" || got.At.IsZero() || got.Doubtful {
			t.Errorf("%s: by whom and from where is %+v", act.args, got)
		}
		if (got.Outcome == messages.OutcomeAccepted) != act.does || (got.Why == "") != act.does {
			t.Errorf("%s: what came of it is %+v", act.args, got)
		}
		if !strings.HasPrefix(act.args+" ", got.Action+" ") || got.Fleet != act.says.Fleet || got.About != act.says.About || got.To != act.says.To || got.Reason != act.says.Reason {
			t.Errorf("%s: what was asked for is %+v", act.args, got)
		}
		told[got.Action] = true
	}
	// What decides nothing about an installation: it shows, or is about files of this machine, or asks a producer, which audits it.
	others := strings.Fields("init install doctor status builds nodes rollouts history logs watch trace diff graph audit plan render lint schema openapi submit sinks console explain-hook hook notify version help completion config dead-letters fleets" +
		" builds_show nodes_show rollouts_show config_get dead-letters_list dead-letters_show hook_post-receive hook_flush")
	for _, name := range paths(NewRoot()) {
		family, _, _ := strings.Cut(name, " ")
		if !told[name] && !slices.Contains(others, strings.ReplaceAll(name, " ", "_")) && !slices.Contains([]string{"sinks", "console", "install", "completion"}, family) {
			t.Errorf("%q is neither tried here nor known to decide nothing", name)
		}
	}
}

// paths are the commands that do something, without the program's name.
func paths(cmd *cobra.Command) (out []string) {
	for _, c := range cmd.Commands() {
		if c.Runnable() {
			_, name, _ := strings.Cut(c.CommandPath(), " ")
			out = append(out, name)
		}
		out = append(out, paths(c)...)
	}
	return out
}
