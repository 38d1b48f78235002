package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
		Long:    `Lists the sinks that a worker sends events to, what waits for each, and what keeps events from it.`,
		Example: "  fenceline sinks list", Args: settings.Args(0, 0),
	}
	return Family("sinks", "Look at the programs and chats that are sent what happens", "  fenceline sinks list",
		operator(list, func(ctx context.Context, s *session, _ []string) error {
			all, err := s.sinks(ctx)
			if err != nil {
				return err
			}
			return s.print(all, func(p *terminal.Page) { writeSinks(p, all) })
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

func writeSinks(p *terminal.Page, all []messages.SinkRecord) {
	p.Head("SINK", "WAITING", "OLDEST", "LAST SENT", "PROBLEM")
	for i := range all {
		r := &all[i]
		p.Row(r.Sink, r.Waiting, overview.Ago(r.Oldest), cmp.Or(overview.Ago(r.Sent), "never"), r.Problem)
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
		if r.Problem != "" {
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
