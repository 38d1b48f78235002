package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// said is what a command line did.
type said struct {
	out, err string
	status   int
}

// fenceline runs a command line of an operator.
func fenceline(t *testing.T, args ...string) said {
	t.Helper()
	return withInput(t, "", args...)
}

func withInput(t *testing.T, in string, args ...string) said {
	t.Helper()
	if os.Getenv(settings.StateVariable) == "" {
		t.Setenv(settings.StateVariable, t.TempDir()) // where nothing has run
	}
	var out, err bytes.Buffer
	status := Execute(t.Context(), NewRoot(), args, strings.NewReader(in), &out, &err)
	return said{out.String(), err.String(), status}
}

// installation is a NATS server with declared streams, which commands in this test find.
func installation(t *testing.T) *queue.Client {
	t.Helper()
	s := queuetest.Start(t)
	t.Setenv("FENCELINE_NATS", s.URL())
	return s.Client(t)
}

// done fails the test unless a command line ended well, and returns its output.
func done(t *testing.T, args ...string) string {
	t.Helper()
	s := fenceline(t, args...)
	if s.status != ExitDone || s.err != "" {
		t.Fatalf("fenceline %s: status %d, %s", strings.Join(args, " "), s.status, s.err)
	}
	return s.out
}

func TestVariablesStandForFlags(t *testing.T) {
	client := installation(t) // $FENCELINE_NATS
	t.Setenv("FENCELINE_OUTPUT", "json")
	if out := done(t, "builds"); out != "[]\n" {
		t.Errorf("with $FENCELINE_OUTPUT=json it prints %q", out)
	}
	if out := done(t, "builds", "-o", "table"); strings.HasPrefix(out, "[") {
		t.Errorf("the flag doesn't go before the variable: %q", out)
	}
	t.Setenv("FENCELINE_PIPELINE", "other") // what a command does is on its line alone
	create(t, store.Builds(client), "base-aaaaaaaa", messages.BuildRecord{BuildRef: messages.BuildRef{Build: "base-aaaaaaaa", Pipeline: "base", Order: 1}, State: messages.BuildStateRunning})
	if out := done(t, "builds"); !strings.Contains(out, "base-aaaaaaaa") {
		t.Errorf("a variable chose the builds: %q", out)
	}
	t.Setenv("FENCELINE_OUTPUT", "xml")
	if s := fenceline(t, "builds"); s.status != ExitUsage || !strings.Contains(s.err, "$FENCELINE_OUTPUT") {
		t.Errorf("a bad variable: status %d, %q", s.status, s.err)
	}
}
