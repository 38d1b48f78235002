package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/producer"
	"github.com/fenceline/fenceline/sinks"
	"github.com/fenceline/fenceline/sinks/form"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

func newSinksCmd() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the sinks that events are sent to, and what waits for each",
		Long: `Lists the sinks that a worker sends events to, what waits for each, and what keeps events from it.
LOST are events that were removed by the limits of a stream before the sink was sent them. What
waits and was not read yet, and what is lost, counts whether the sink wants it or not.`,
		Example: "  fenceline sinks list", Args: settings.Args(0, 0),
	}
	return Family("sinks", "Look at the programs and chats that are sent what happens", "  fenceline sinks list",
		operator(list, func(ctx context.Context, s *session, _ []string) error {
			all, err := s.sinks(ctx)
			if err != nil {
				return err
			}
			shown := shownSinks(all)
			return s.print(shown, func(p *terminal.Page) { writeSinks(p, shown) })
		}), newSinksTestCmd())
}

// sinks are the records of the sinks that events are sent to, by name. There are none where an installation, or the credential
// that asks, is from before there were any.
func (s *session) sinks(ctx context.Context) ([]messages.SinkRecord, error) {
	out := []messages.SinkRecord{}
	all, err := store.Sinks(s.queue).List(ctx)
	if err != nil && !errors.Is(err, queue.ErrUndeclared) && !errors.Is(err, queue.ErrForbidden) {
		return nil, fmt.Errorf("listing sinks: %w", err)
	}
	for _, e := range all {
		out = append(out, e.Value)
	}
	slices.SortFunc(out, func(a, b messages.SinkRecord) int { return strings.Compare(a.Sink, b.Sink) })
	return out, nil
}

// shownSink is a sink as people and programs are shown it.
type shownSink struct {
	Sink         string    `json:"sink"`
	State        string    `json:"state"`              // ok, failing, disabled or removed
	Waiting      int       `json:"waiting"`            // events that are not delivered yet; those that are not read yet count whether the sink wants them or not
	Oldest       time.Time `json:"oldest,omitzero"`    // when the first of those that were read happened
	Lost         uint64    `json:"lost"`               // events that a stream's limits removed before they were sent, of any kind
	LastLost     time.Time `json:"last_lost,omitzero"` // when that was last seen
	LastSent     time.Time `json:"last_sent,omitzero"` // when it took an event last
	Problem      string    `json:"problem,omitempty"`  // what keeps events from it
	ProblemSince time.Time `json:"problem_since,omitzero"`
	NextTry      time.Time `json:"next_try,omitzero"` // nothing is sent before
	AsOf         time.Time `json:"as_of"`             // when the worker that sends wrote this down
}

func shownSinks(all []messages.SinkRecord) []shownSink {
	out := []shownSink{}
	for i := range all {
		r := &all[i]
		state := "ok"
		switch {
		case r.Unnamed:
			state = "removed"
		case r.Gone != "":
			state = "disabled"
		case r.Problem != "":
			state = "failing"
		}
		out = append(out, shownSink{r.Sink, state, r.Waiting, r.Oldest, r.Lost, r.LostAt, r.Sent, r.Problem, r.Since, r.Next, r.Written})
	}
	return out
}

func writeSinks(p *terminal.Page, all []shownSink) {
	p.Head("SINK", "STATE", "WAITING", "OLDEST", "LAST SENT", "LOST", "PROBLEM")
	for i := range all {
		k := &all[i]
		lost := strconv.FormatUint(k.Lost, 10)
		if k.Lost > 0 {
			lost += ", last " + overview.Ago(k.LastLost)
		}
		problem := k.Problem
		if time.Until(k.NextTry) > 0 {
			problem += " (next try at " + k.NextTry.Local().Format(time.TimeOnly) + ")"
		}
		p.Row(k.Sink, k.State, k.Waiting, overview.Ago(k.Oldest), cmp.Or(overview.Ago(k.LastSent), "never"), lost, problem)
	}
	if len(all) == 0 {
		p.Line("no sink is sent anything: name some under sinks in the pipeline file, and run the role statuses")
	}
}

// sinkProblem is what keeps events from a sink.
type sinkProblem struct {
	Sink    string    `json:"sink"`
	Problem string    `json:"problem"`
	Since   time.Time `json:"since"`
	Waiting int       `json:"waiting"`
}

func (s *session) sinkProblems(ctx context.Context) ([]sinkProblem, error) {
	all, err := s.sinks(ctx)
	var out []sinkProblem
	for _, r := range all {
		if r.Problem != "" && !r.Unnamed {
			out = append(out, sinkProblem{r.Sink, r.Problem, r.Since, r.Waiting})
		}
	}
	return out, err
}

// tried is what came of a sink's test.
type tried struct {
	Sink   string `json:"sink"`
	Type   string `json:"type"`
	ID     string `json:"id"`
	Answer string `json:"answer"` // status line
}

func newSinksTestCmd() *cobra.Command {
	var files settings.PipelineFiles
	var f format
	typ := "rollout.changed"
	cmd := &cobra.Command{
		Use: "test SINK", Short: "Send a sink a sample event, and say what it answers",
		Long: `Sends one event to a sink of the pipeline file, from this machine, as the role statuses sends them:
with the same address, headers and signatures. Its text begins with "test:", its source is
/fenceline/test. It is sent once, whatever types, fleets and severity the sink asks for.`,
		Example: "  fenceline sinks test ops-chat --config /etc/fenceline/fenceline.yaml\n  fenceline sinks test ops-chat --type build.failed",
		Args:    settings.Args(1, 1),
	}
	files.Add(cmd.Flags())
	cmd.Flags().StringVar(&typ, "type", typ, "the type of the event")
	f.flag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := files.Path(cmd.Flags())
		if err != nil {
			return err
		}
		all, err := producer.LoadSinks(path)
		if err != nil {
			return err
		}
		s := &session{out: cmd.OutOrStdout(), format: f}
		return s.testSink(cmd.Context(), &all, args[0], typ, path)
	}
	return cmd
}

func (s *session) testSink(ctx context.Context, all *producer.Sinks, name, typ, path string) error {
	i := slices.IndexFunc(all.Sinks, func(k form.Sink) bool { return k.Name == name })
	if i < 0 {
		var known []string
		for _, k := range all.Sinks {
			known = append(known, k.Name)
		}
		return settings.Usage(unknown("sink", name, known, path+" has "+cmp.Or(strings.Join(known, ", "), "none")))
	}
	if err := form.CheckType(typ); err != nil {
		return settings.Usagef("--type: %w", err)
	}
	e := all.Site.Sample(typ)
	status, err := sinks.Try(ctx, &all.Sinks[i], e)
	if err != nil {
		return fmt.Errorf("sink %s has not taken the event: %w", name, err)
	}
	return s.print(tried{name, typ, e.ID, status}, func(p *terminal.Page) {
		p.Line("sink %s has taken the event %s (%s): %s", name, e.ID, typ, status)
	})
}

// sinkChecks look at the files of each sink. Nothing is sent.
func (d *doctor) sinkChecks(role string) []func(context.Context) checked {
	config := d.config
	if config == "" && role == settings.RoleStatuses {
		config = defaultPipelineFile
	}
	if config == "" {
		return nil
	}
	all, err := producer.LoadSinks(config)
	if err != nil {
		return nil // statusChecks says so
	}
	var out []func(context.Context) checked
	for _, k := range all.Sinks {
		out = append(out, func(ctx context.Context) checked {
			c := checked{What: "sink " + k.Name}
			if err := sinks.Check(ctx, &k); err != nil {
				return c.problem(err)
			}
			c.Found = "its files can be used; 'fenceline sinks test " + k.Name + "' sends it an event"
			return c
		})
	}
	return out
}
