package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

func newLogsCmd() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "logs BUILD", Short: "Show a build's progress, while it runs and after",
		Example: "  fenceline logs alsek-k3x9q2wd -f",
		Args:    settings.Args(1, 1),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the build has ended")
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		if err := messages.CheckID("build", args[0]); err != nil {
			return settings.Usage(err)
		}
		err := s.attended(ctx, func(ctx context.Context) error { return s.showLogs(ctx, args[0], follow) })
		if errors.Is(err, errAway) {
			err = s.goesOn(args[0], err)
		}
		if err != nil || s.format == formatJSON {
			return err
		}
		return s.showFailure(ctx, args[0])
	})
}

// goesOn says of a build that is waited for no longer how to follow it.
func (s *session) goesOn(build string, why error) error {
	return fmt.Errorf("%w: build %s goes on without this command: 'fenceline logs -f %s' follows it", why, build, build)
}

// showFailure ends the log of a build that failed with why, and what to do. A queued build
// has no record yet.
func (s *session) showFailure(ctx context.Context, build string) error {
	e, err := store.Builds(s.queue).Get(ctx, build)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return nil
	case err != nil:
		return err
	case e.Value.Failure != nil:
		p := terminal.NewPage(s.out)
		writeEnd(p, &e.Value)
		return p.Flush()
	}
	return nil
}

// errEnded ends the reading of a log whose build has ended.
var errEnded = errors.New("the build has ended")

func (s *session) showLogs(ctx context.Context, build string, follow bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p, err := s.printerOf(ctx, build)
	if err != nil {
		return err
	}
	read := queue.ReadOptions{Filters: []string{s.queue.Space().AnyVersion(messages.TypeBuildLog, p.pipeline, build)}}
	if err := s.queue.Read(ctx, s.queue.Space().LogsStream(), read, p.show); err != nil {
		return err
	}
	if !follow || p.ended {
		return nil
	}
	go s.untilEnded(ctx, build, cancel)
	read.FromSequence, read.Follow = p.last+1, true
	err = s.queue.Read(ctx, s.queue.Space().LogsStream(), read, p.show)
	if errors.Is(context.Cause(ctx), errEnded) {
		read.Follow = false
		read.FromSequence = p.last + 1
		return s.queue.Read(context.WithoutCancel(ctx), s.queue.Space().LogsStream(), read, p.show) // what came with the end
	}
	return err
}

// untilEnded ends ctx once the build's outcome is announced.
func (s *session) untilEnded(ctx context.Context, build string, cancel context.CancelCauseFunc) {
	err := store.Build(s.queue, build).Watch(ctx, func(e queue.Entry[messages.BuildRecord]) {
		if e.Value.Ended() && e.Value.Announced {
			cancel(errEnded)
		}
	}, nil)
	cancel(err)
}

// logPrinter prints a build's log.
type logPrinter struct {
	s        *session
	pipeline string
	ended    bool
	last     uint64 // sequence of what was printed last
	vertex   string
}

// printerOf finds the build, queued or claimed.
func (s *session) printerOf(ctx context.Context, build string) (*logPrinter, error) {
	b, err := s.findBuild(ctx, build)
	if err != nil {
		return nil, err
	}
	return &logPrinter{s: s, pipeline: b.Pipeline, ended: b.State != overview.StateQueued && b.State != string(messages.BuildStateRunning)}, nil
}

func (p *logPrinter) show(r queue.Received) error {
	p.last = r.Sequence
	l, ok := r.Payload.(*messages.BuildLog)
	if !ok {
		return nil
	}
	if p.s.format == formatJSON {
		return p.s.printLine(l)
	}
	page := terminal.NewPage(p.s.out)
	p.text(page, l)
	return page.Flush()
}

func (p *logPrinter) text(page *terminal.Page, l *messages.BuildLog) {
	if l.Step != "" {
		page.Line("== %s (attempt %d)", l.Step, l.Attempt)
	}
	if l.Vertex != "" && l.Vertex != p.vertex {
		p.vertex = l.Vertex
		page.Line("-- %s", l.Vertex)
	}
	if l.Text != "" {
		page.Text("   ", l.Text)
	}
}
