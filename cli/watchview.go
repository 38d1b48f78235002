package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"
)

// viewEvery is how often the view looks whether something has changed.
const viewEvery = 250 * time.Millisecond

// pane is a part of the view that keys can move in.
type pane int

const (
	paneFleets pane = iota
	paneNodes
	paneLog
	panes
)

// view is `watch` on a terminal. It is for one goroutine, that of the program which runs it.
type view struct {
	ctx   context.Context //nolint:containedctx // of actions: it lasts as long as the view
	s     *session
	board *board
	seen  *sight

	columns, rows int
	awaySince     time.Time // zero while the server is there
	away          string    // why

	focus    pane
	fleet    int    // the chosen one
	chosen   string // its name, as fleets come and go
	top      int    // first node on the screen
	back     int    // lines of what happened, or of the log, below the screen
	troubled bool   // only nodes that are
	logs     bool   // the log in place of what happened
	asking   *question
	acts     sync.WaitGroup // that are being carried out
	said     string         // how the last action went
	nodesRow int            // rows of the nodes' pane, as drawn last
}

// drawsOn tells whether the session's output and input are a terminal that can be drawn on, and gives both.
func (s *session) drawsOn(plain bool) (in, out *os.File, ok bool) {
	to, tty := terminal.Behind(s.out)
	out, isFile := to.(*os.File)
	in, reads := s.in.(*os.File)
	kind := os.Getenv("TERM")
	ok = tty && isFile && reads && term.IsTerminal(int(in.Fd())) && !plain && s.format != formatJSON && kind != "dumb" && kind != ""
	return in, out, ok
}

// show runs the view until somebody quits it, or ctx ends. The terminal is then as it was, whatever went wrong.
func (w *watcher) show(ctx context.Context, in, out *os.File) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if !signal.Ignored(syscall.SIGHUP) { // which else ends the process before the terminal is as it was
		hangup, done := signal.NotifyContext(ctx, syscall.SIGHUP)
		defer done()
		ctx = hangup
	}
	w.board = newBoard()
	v := &view{ctx: ctx, s: w.s, board: w.board, columns: 80, rows: 24}
	p := v.program(in, out)
	g, reading := errgroup.WithContext(ctx)
	g.Go(func() error { return w.run(reading) })
	w.board.follow(reading, g, w.s.queue)
	ended := make(chan error, 1)
	go func() {
		err := g.Wait()
		if ctx.Err() == nil {
			p.Send(readingEnded{err})
		}
		ended <- err
	}()
	asked := context.AfterFunc(ctx, p.Quit)
	_, err := p.Run()
	if err == nil {
		slow := time.AfterFunc(time.Second, func() { w.s.note("what was confirmed is being done") })
		v.acts.Wait() // and told, though somebody quits meanwhile
		slow.Stop()
	}
	asked()
	stop()
	read := <-ended
	switch {
	case err != nil:
		return fmt.Errorf("drawing on the terminal: %w", err)
	case !errors.Is(read, context.Canceled):
		return read
	}
	return nil
}

// program runs the view on a terminal. Signals are for who calls, and a panic puts the terminal back before it is shown.
func (v *view) program(in, out *os.File) *tea.Program {
	return tea.NewProgram(v, tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler(), tea.WithEnvironment(viewEnvironment()))
}

// viewEnvironment is that of this process. How wide the terminal is it says itself, whenever that changes.
func viewEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "COLUMNS=") })
}

type (
	tick         struct{}
	readingEnded struct{ err error }
)

func ticking() tea.Cmd { return tea.Tick(viewEvery, func(time.Time) tea.Msg { return tick{} }) }

// Init begins to look.
func (v *view) Init() tea.Cmd { return ticking() }

// Update takes in a key, a new size, or that time has passed.
func (v *view) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		v.columns, v.rows = m.Width, m.Height
	case tick:
		v.look()
		return v, ticking()
	case readingEnded:
		return v, tea.Quit
	case acted:
		v.said = m.said
	case tea.PasteMsg:
		if v.asking != nil {
			v.asking.typed(m.Content)
		}
	case tea.KeyPressMsg:
		return v, v.key(m)
	}
	return v, nil
}

// look takes in what has changed.
func (v *view) look() {
	v.board.seeUnread(v.s.queue)
	if seen := v.board.see(); seen != nil {
		v.seen = seen
		v.fleet = max(0, slices.IndexFunc(seen.fleets, func(f overview.Fleet) bool { return f.Fleet == v.chosen }))
		v.choose(v.fleet)
	}
	switch there := v.s.queue.Connected(); {
	case there:
		v.awaySince = time.Time{}
	case v.awaySince.IsZero():
		v.awaySince, v.away = time.Now(), v.s.away(v.ctx).Error()
	}
}

func (v *view) choose(i int) {
	if v.seen == nil || len(v.seen.fleets) == 0 {
		v.fleet, v.chosen = 0, ""
		return
	}
	v.fleet = min(max(i, 0), len(v.seen.fleets)-1)
	if name := v.seen.fleets[v.fleet].Fleet; name != v.chosen {
		v.chosen, v.top = name, 0
	}
}

// own is the chosen fleet, nil where there is none.
func (v *view) own() *overview.Fleet {
	if v.seen == nil || v.fleet >= len(v.seen.fleets) {
		return nil
	}
	return &v.seen.fleets[v.fleet]
}

// nodes are those of the chosen fleet that are listed.
func (v *view) nodes() []overview.Node {
	f := v.own()
	if f == nil {
		return nil
	}
	all := v.seen.nodes[f.Fleet]
	if !v.troubled {
		return all
	}
	var out []overview.Node
	for i := range all {
		if n := &all[i]; n.Troubled() || f.Record != nil && !f.Record.Current.IsZero() && !n.Has(f.Record.Current.Image) {
			out = append(out, *n)
		}
	}
	return out
}

// View draws what is visible, and nothing else.
func (v *view) View() tea.View {
	out := tea.NewView(strings.Join(v.draw(), "\n"))
	out.AltScreen = true
	return out
}

// draw is the screen, row by row.
func (v *view) draw() []string {
	screen := []string{v.title()}
	foot := v.foot()
	left := max(0, v.rows-1-len(foot))
	take := func(want int, lines func(rows int) []string) {
		if want = min(want, left); want > 0 {
			got := lines(want)
			screen = append(screen, got[:min(len(got), want)]...)
			left -= min(len(got), want)
		}
	}
	fleets := 0
	if v.seen != nil {
		fleets = len(v.seen.fleets)
	}
	take(min(max(fleets, 1), max(1, left/4)), v.fleetRows)
	take(max(2, left/3), v.detailRows)
	take(left/2, v.nodeRows)
	take(left, v.logRows)
	for range left {
		screen = append(screen, "")
	}
	screen = append(screen, foot...)
	for i := range screen[:min(len(screen), v.rows)] {
		screen[i] = v.styled(screen[i])
	}
	return screen[:min(len(screen), v.rows)]
}

// A row that begins with one of these is drawn in that way.
const (
	bold    = "\x01"
	reverse = "\x02"
)

// styled is a row as wide as the screen.
func (v *view) styled(row string) string {
	style := ""
	switch {
	case strings.HasPrefix(row, bold):
		style, row = "\x1b[1m", row[1:]
	case strings.HasPrefix(row, reverse):
		style, row = "\x1b[7m", row[1:]
	}
	row = terminal.Fit(row, v.columns)
	if style == "" {
		return row
	}
	return style + row + "\x1b[0m"
}

func (v *view) title() string {
	if !v.awaySince.IsZero() {
		return reverse + fmt.Sprintf("NATS IS AWAY since %s, what is shown is of before: %s", v.awaySince.Format(time.TimeOnly), v.away)
	}
	return bold + "fenceline watch  " + time.Now().Format(time.TimeOnly)
}

// head is a pane's first row.
func (v *view) head(p pane, format string, a ...any) string {
	mark := "  "
	if v.focus == p {
		mark = "> "
	}
	return bold + mark + fmt.Sprintf(format, a...)
}

func (v *view) fleetRows(rows int) []string {
	if v.seen == nil {
		return []string{"  reading"}
	}
	if len(v.seen.fleets) == 0 {
		return []string{"  no fleet yet: start a distributor"}
	}
	var out []string
	first := min(max(0, v.fleet-rows/2), max(0, len(v.seen.fleets)-rows))
	for i := first; i < min(first+rows, len(v.seen.fleets)); i++ {
		switch mark := "  "; {
		case i == v.fleet && v.focus == paneFleets:
			out = append(out, reverse+"> "+brief(&v.seen.fleets[i]))
		case i == v.fleet:
			out = append(out, bold+"* "+brief(&v.seen.fleets[i]))
		default:
			out = append(out, mark+brief(&v.seen.fleets[i]))
		}
	}
	return out
}

// detailRows say what `status` says of the chosen fleet.
func (v *view) detailRows(rows int) []string {
	f := v.own()
	if f == nil {
		return nil
	}
	var b strings.Builder
	p := terminal.NewPage(&b)
	shown := *f
	shown.Problems = shown.Problems[:min(len(shown.Problems), rows)]
	writeFleet(p, &shown)
	_ = p.Flush() // it writes to memory
	_, rest, _ := strings.Cut(b.String(), "\n")
	return whole(lines(nil, rest), v.columns)
}

// whole are lines as rows of which none is cut: what is to be done stands at their ends.
func whole(lines []string, columns int) (rows []string) {
	for _, line := range lines {
		rows = append(rows, terminal.Lines(line, columns)...)
	}
	return rows
}

func (v *view) nodeRows(rows int) []string {
	all := v.nodes()
	v.nodesRow = max(0, rows-1)
	v.top = min(max(0, v.top), max(0, len(all)-v.nodesRow))
	kind := "nodes"
	if v.troubled {
		kind = "nodes that are behind or in trouble"
	}
	last := min(v.top+v.nodesRow, len(all))
	out := []string{v.head(paneNodes, "%s %d-%d of %d", kind, min(v.top+1, last), last, len(all))}
	for i := v.top; i < last; i++ {
		n := &all[i]
		state := "up"
		switch f := v.own(); {
		case !n.Up:
			state = "SILENT"
		case n.Troubled():
			state = "TROUBLE"
		case f.Record != nil && n.Has(f.Record.Current.Image):
			state = "present"
		}
		if f := v.own(); f.Record != nil && n.Up {
			n.MarkWaiting(f.Record)
		}
		out = append(out, fmt.Sprintf("  %-7s %s  %s", state, terminal.Fit(n.Node, min(24, max(8, v.columns/4))), n.Doing()))
	}
	return out
}

func (v *view) logRows(rows int) []string {
	var all []string
	kind := "what happens"
	if v.seen != nil {
		all = whole(v.seen.told, v.columns-len("  "))
	}
	if v.logs {
		kind = "builds' logs"
		if v.seen != nil {
			all = v.seen.logged
		}
	}
	v.back = min(max(0, v.back), max(0, len(all)-(rows-1)))
	out := []string{v.head(paneLog, "%s", kind)}
	end := len(all) - v.back
	for _, line := range all[max(0, end-(rows-1)):end] {
		out = append(out, "  "+line)
	}
	return out
}

// foot has the question that is asked, or how the last action went, and the keys.
func (v *view) foot() []string {
	if v.asking != nil {
		return v.asking.rows(v.columns)
	}
	keys := ""
	for _, keys = range []string{
		"q quit  tab pane  h hold  r release  b rollback  a approve  l log  p problems  ^Z suspend",
		"q quit  tab pane  h hold  r release  b rollback  a approve  l log  p problems",
		"q tab h)old r)el b)ack a)pprove l)og p)rob", "q tab h)old r)el b)ack a)ppr l)og p)rob",
	} {
		if len(keys) <= v.columns {
			break
		}
	}
	if v.said != "" {
		return []string{reverse + v.said, keys}
	}
	return []string{keys}
}
