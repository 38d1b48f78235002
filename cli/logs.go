package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/fenceline/fenceline/builder/buildkit/display"
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
		Long: `Prints what the build has written so far. With -f it goes on until the build has ended, on a
terminal as BuildKit shows its builds: what steps write while they run, folded when they are
done, and at the end the output of those that failed. Elsewhere, and with --plain, each line
has its step's number.`,
		Example: "  fenceline logs alsek-k3x9q2wd -f",
		Args:    settings.Args(1, 1),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the build has ended")
	plain := plainFlag(cmd, "NO_COLOR and TERM=dumb do")
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		if err := messages.CheckID("build", args[0]); err != nil {
			return settings.Usage(err)
		}
		v := logView{out: s.out, follow: follow, plain: *plain}
		err := s.attended(ctx, func(ctx context.Context) error { return s.showLogs(ctx, args[0], v) })
		switch {
		case errors.Is(err, errAway):
			err = s.goesOn(args[0], err)
		case follow && interrupted(ctx, err):
			err = s.goesOn(args[0], errInterrupted)
		}
		if err != nil || s.format == formatJSON {
			return err
		}
		return s.showFailure(ctx, args[0])
	})
}

// plainFlag lets cmd show lines where it would draw on a terminal.
func plainFlag(cmd *cobra.Command, as string) *bool {
	return cmd.Flags().Bool("plain", false, "print lines on a terminal, too, as "+as)
}

// logView is how a log is shown.
type logView struct {
	out     io.Writer
	follow  bool // until the build has ended
	plain   bool // draw nothing
	running bool // show nothing of a build that has ended already
}

// goesOn says of a build that is waited for no longer how to follow it.
func (s *session) goesOn(build string, why error) error {
	return fmt.Errorf("%w: build %s goes on without this command: 'fenceline logs -f %s' follows it, 'fenceline cancel %s' ends it", why, build, build, build)
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

func (s *session) showLogs(ctx context.Context, build string, v logView) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	look := func(ask func() error) error {
		if !v.follow {
			return ask()
		}
		return s.answered(ctx, ask) // who follows waits for the server from the beginning
	}
	var p *logPrinter
	err = look(func() (err error) { p, err = s.printerOf(ctx, build, v.out); return err })
	if err != nil || p.ended && v.running {
		return err
	}
	if v.follow && !p.ended && s.format != formatJSON {
		if err := look(func() error { return p.draw(ctx, build, v.plain) }); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.drawn(errors.Is(context.Cause(ctx), errEnded))) }()
	}
	read := queue.ReadOptions{Filters: []string{s.queue.Space().AnyVersion(messages.TypeBuildLog, p.pipeline, build)}}
	err = look(func() error {
		read.FromSequence = p.last + 1
		return s.queue.Read(ctx, s.queue.Space().LogsStream(), read, p.show)
	})
	if err != nil {
		return err
	}
	if !v.follow || p.ended {
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
	out      io.Writer
	pipeline string
	ended    bool
	last     uint64 // sequence of what was printed last
	vertex   string
	display  *display.Display // nil for lines
}

// printerOf finds the build, queued or claimed.
func (s *session) printerOf(ctx context.Context, build string, out io.Writer) (*logPrinter, error) {
	b, err := s.findBuild(ctx, build)
	if err != nil {
		return nil, err
	}
	ended := b.State != overview.StateQueued && b.State != string(messages.BuildStateRunning)
	return &logPrinter{s: s, out: out, pipeline: b.Pipeline, ended: ended}, nil
}

// draw has the log shown as BuildKit shows its builds, and notes with it.
func (p *logPrinter) draw(ctx context.Context, build string, plain bool) error {
	info, err := store.Builds(p.s.queue).Info(ctx)
	if err != nil {
		return err
	}
	to, tty := terminal.Behind(p.out)
	if tty = tty && !plain && terminal.Colours(); !tty {
		to = p.out
	}
	if p.display, err = display.New(to, tty, info.Now); err != nil {
		return err
	}
	p.s.drawing.Store(p.display)
	_, err = p.display.Write([]byte("build " + build))
	return err
}

// drawn ends that, when the build has ended or before; what is shown from then on are lines.
func (p *logPrinter) drawn(ended bool) error {
	d := p.display
	if d == nil {
		return nil
	}
	p.display = nil
	p.s.drawing.Store(nil)
	return d.Close(ended)
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
	if p.display != nil && !display.Drawable(l) { // an older builder's
		if err := p.drawn(false); err != nil {
			return err
		}
	}
	if p.display != nil {
		p.display.Show(l, r.Stored)
		return nil
	}
	page := terminal.NewPage(p.out)
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
