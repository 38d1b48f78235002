package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// refuses starts a program that has to give up with status 1, and returns what it said.
func refuses(t *testing.T, p site.Program) string {
	t.Helper()
	c, err := started.start(p)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Kill()
	await(t, "fenceline "+p.Args[0]+" to refuse", func(context.Context) error {
		select {
		case <-c.Done():
			return nil
		default:
			return errRuns
		}
	})
	if c.ExitCode() != 1 {
		t.Errorf("it ended with status %d, want 1:\n%s", c.ExitCode(), c.Tail(20))
	}
	return c.Output()
}

// says sees that a text has what it has to.
func says(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("it says %q, without %q", text, want)
		}
	}
}

// TestNATSGoneAtStart starts everything that needs NATS without it.
func TestNATSGoneAtStart(t *testing.T) {
	s := fresh(t)
	gone, err := site.Address("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "nats://" + gone
	for name, args := range map[string][]string{
		"producer":    {"--config", s.config(), "--listen", s.http},
		"controller":  {},
		"builder":     {},
		"distributor": {"--fleet", "gone", "--node", "n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // a role waits a while for its NATS
			args := append([]string{"run", name, "--nats", url}, args...)
			says(t, refuses(t, site.Program{Path: program(), Args: args, Dir: s.dir}), url, "does not answer", "check the address and that the server runs")
		})
	}
	t.Run("status", func(t *testing.T) {
		says(t, fails(t, t.TempDir(), 1, "status", "--nats", url), url, "does not answer", "check the address and that the server runs")
	})
}

// TestStreamOfOthers starts the roles that declare streams where one of its name has other
// settings. It is left as it is.
func TestStreamOfOthers(t *testing.T) {
	s := fresh(t)
	server := queuetest.Start(t)
	js := queuetest.JetStream(t, server.Connect(t))
	have := jetstream.StreamConfig{
		Name: "fenceline-requests", Subjects: []string{"fenceline.build.requested.>"}, MaxMsgs: 3, Retention: jetstream.WorkQueuePolicy,
	}
	if _, err := js.CreateStream(t.Context(), have); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "fenceline.build.requested.v1.of-others", []byte("theirs")); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"producer":   {"--config", s.config(), "--listen", s.http},
		"controller": {},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"run", name, "--nats", server.URL()}, args...)
			says(t, refuses(t, site.Program{Path: program(), Args: args, Dir: s.dir}), have.Name, "exists with retention WorkQueue where Limits is needed", "use another prefix")
		})
	}
	stream, err := js.Stream(t.Context(), have.Name)
	if err != nil {
		t.Fatal(err)
	}
	info := stream.CachedInfo()
	if got := info.Config; got.MaxMsgs != have.MaxMsgs || got.Retention != have.Retention {
		t.Errorf("the stream was changed to %+v", got)
	}
	if info.State.Msgs != 1 {
		t.Errorf("the stream has %d messages, not the one that was there", info.State.Msgs)
	}
}
