package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// moment is something that happened, as `watch` prints it.
type moment struct {
	Time     time.Time          `json:"time"`
	Step     string             `json:"step"` // of messages.Step, or the end of an event's type
	Build    string             `json:"build,omitempty"`
	Order    uint64             `json:"order,omitempty"`
	Pipeline string             `json:"pipeline,omitempty"`
	Commit   string             `json:"commit,omitempty"`
	Fleet    string             `json:"fleet,omitempty"`
	Rollout  string             `json:"rollout,omitempty"`
	Node     string             `json:"node,omitempty"`
	Image    messages.Image     `json:"image,omitempty"`
	State    string             `json:"state,omitempty"`
	Epoch    uint64             `json:"epoch,omitempty"`
	Bytes    int64              `json:"bytes,omitempty"` // fetched by the node, or pushed
	Total    int64              `json:"total,omitempty"` // that the node has to fetch
	Rate     int64              `json:"rate,omitempty"`  // bytes a second of the node's fetch
	Layer    string             `json:"layer,omitempty"` // that it fetches
	Text     string             `json:"text,omitempty"`
	Reason   *messages.Reason   `json:"reason,omitempty"` // of a received build: what led to it
	Failure  *messages.Failure  `json:"failure,omitempty"`
	Findings []messages.Finding `json:"findings,omitempty"`
}

const stepWatching = "watching"

func newWatchCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "watch", Short: "Show each step of builds and rollouts as it happens",
		Long: `On a terminal it shows fleets, nodes, what moves and what happens on the whole screen, with
keys for what is to be decided: h holds the chosen fleet, r releases it, b goes back to its
previous image, a approves the rollout that waits; each asks first. Tab and the arrows move,
l shows the builds' logs, p only nodes that are behind or in trouble, q quits.
Elsewhere, and with --plain, it prints a line for each step from now on: received, queued, claimed, base pinned, built,
hooks checked, pushed, announced, fetching, present, trial passed, flipped; and what goes
wrong. A node that fetches for long has a line at each tenth, or every 10 seconds.
With -o json each line is an object; the first, "watching", tells that nothing after it
is missed.`,
		Example: "  fenceline watch\n  fenceline watch -o json",
		Args:    settings.Args(0, 0),
	}
	plain := plainFlag(cmd, "TERM=dumb does")
	return operator(cmd, func(ctx context.Context, s *session, _ []string) error {
		w := newWatcher(s)
		if in, out, ok := s.drawsOn(*plain); ok {
			return Ended(ctx, w.show(ctx, in, out))
		}
		err := s.attended(ctx, w.run)
		if errors.Is(err, errAway) {
			err = fmt.Errorf("%w: 'fenceline watch' goes on when it is there, 'fenceline status' says what happened meanwhile", err)
		}
		return Ended(ctx, err) // it is stopped, not done
	})
}

// watcher turns messages and records into moments.
type watcher struct {
	s       *session
	nodes   map[string]messages.NodeWork // only the reader of nodes uses it, as the next
	fetches map[string]fetched
	applied map[string]uint64 // only the reader of fleets uses it
	board   *board            // what is told goes there, where it is not nil

	mu       sync.Mutex
	starting int      // sources that are not read from now on yet
	early    []moment // what came while some were starting
	err      error    // of printing
}

func newWatcher(s *session) *watcher {
	return &watcher{
		s: s, nodes: map[string]messages.NodeWork{}, fetches: map[string]fetched{}, applied: map[string]uint64{},
	}
}

func (w *watcher) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	space := w.s.queue.Space()
	nodes, fleets, beats := w.source(), w.source(), w.source()
	requests, events, reports, letters, logs := w.source(), w.source(), w.source(), w.source(), w.source() // all, before the first is read
	for _, of := range []struct {
		stream string
		up     func()
		parted bool // from the events, by a controller that starts
	}{
		{space.RequestsStream(), requests, false}, {space.EventsStream(), events, false}, {space.LogsStream(), logs, false},
		{space.ReportsStream(), reports, true}, {space.LettersStream(), letters, true},
	} {
		g.Go(func() error {
			if missing, _ := w.s.queue.Missing(ctx, of.stream); missing && of.parted {
				of.up() // what it would have is among the events
				return nil
			}
			return w.s.queue.Read(ctx, of.stream, queue.ReadOptions{New: true, Follow: true, CaughtUp: of.up}, w.message)
		})
	}
	g.Go(func() error { return (&silences{w, map[string]*time.Timer{}}).follow(ctx, beats) })
	follow(ctx, g, store.Nodes(w.s.queue), nodes, w.node)
	follow(ctx, g, store.Fleets(w.s.queue), fleets, w.fleet)
	return g.Wait()
}

// follow has fn told of records, and whether each is news or was there at the start.
func follow[T any](ctx context.Context, g *errgroup.Group, r *queue.Records[T], up func(), fn func(e queue.Entry[T], news bool)) {
	var news bool // Watch's calls come one at a time
	g.Go(func() error {
		return r.Watch(ctx, func(e queue.Entry[T]) { fn(e, news) }, func() { news = true; up() })
	})
}

// source adds a source, before any is read, and returns what tells that it is read from now
// on. The last one to tell so begins the output.
func (w *watcher) source() func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.starting++
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.starting--; w.starting > 0 {
			return
		}
		w.print(moment{Time: time.Now(), Step: stepWatching})
		for _, m := range w.early {
			w.print(m)
		}
		w.early = nil
	})
}

// tell prints a moment, or keeps it until every source is read.
func (w *watcher) tell(m moment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.starting > 0 {
		w.early = append(w.early, m)
		return
	}
	w.print(m)
}

func (w *watcher) print(m moment) {
	if w.err != nil {
		return
	}
	m.Time = m.Time.UTC()
	if w.board != nil {
		w.board.tell(m)
		return
	}
	if w.s.format == formatJSON {
		w.err = w.s.printLine(m)
		return
	}
	p := terminal.NewPage(w.s.out)
	m.write(p)
	w.err = p.Flush()
}

func (m *moment) write(p *terminal.Page) {
	var about []string
	for _, a := range []string{m.Build, m.Node, m.State, overview.Short(m.Image)} {
		if a != "" {
			about = append(about, a)
		}
	}
	if m.Bytes > 0 && m.Step != stepFetching {
		about = append(about, "("+messages.Size(m.Bytes)+")")
	}
	said := strings.Join(about, " ")
	if m.Text != "" && m.Text != string(m.Image) {
		said += ": " + m.Text
	}
	if m.Failure != nil && !overview.Explained(m.Failure) { // findings are listed below
		said += ": " + overview.FirstLine(m.Failure)
	}
	p.Line("%s  %-13s %s", m.Time.Local().Format("15:04:05.000"), m.Step, said)
	for _, f := range m.Findings {
		p.Line("    %s", overview.Labelled(f))
	}
	if m.Failure != nil {
		for _, line := range overview.Remedy(m.Failure, m.Build) {
			p.Line("    %s", line)
		}
	}
}

func about(r messages.BuildRef, at time.Time, step messages.Step) moment {
	return moment{Time: at, Step: string(step), Build: r.Build, Order: r.Order, Pipeline: r.Pipeline}
}

// message tells of a request, an event or a step in a log.
func (w *watcher) message(r queue.Received) error {
	switch p := r.Payload.(type) {
	case *messages.BuildRequested:
		m := about(p.BuildRef(), p.Received, messages.StepReceived)
		why := p.Why()
		m.Commit, m.Reason, m.Text = p.Commit, &why, why.String()
		w.tell(m)
		m.Reason, m.Text = nil, ""
		m.Time, m.Step = r.Stored, string(messages.StepQueued)
		w.tell(m)
	case *messages.BuildStarted:
		m := about(p.BuildRef, r.Stored, messages.StepClaimed)
		m.Commit, m.Text = p.Commit, "by "+p.Worker
		w.tell(m)
	case *messages.BasePinned:
		m := about(p.BuildRef, r.Stored, messages.StepPinned)
		for _, b := range p.All() {
			m.Text = strings.TrimSpace(m.Text + " " + string(b.Image))
		}
		w.tell(m)
	case *messages.BuildLog:
		if w.board != nil {
			w.board.log(p)
		}
		w.step(p, r.Stored)
	case *messages.BuildFailed:
		m := about(p.BuildRef, r.Stored, "failed")
		m.Commit, m.Failure, m.Findings = p.Commit, &p.Failure, p.Failure.Findings
		w.tell(m)
	case *messages.BuildSuperseded:
		m := about(p.BuildRef, r.Stored, "superseded")
		m.Commit, m.Text = p.Commit, "by "+p.Head
		if p.FollowedBy != "" {
			m.Text += ", which is build " + p.FollowedBy
		}
		w.tell(m)
	case *messages.BuildCancelled:
		m := about(p.BuildRef, r.Stored, "cancelled")
		m.Text = "by " + p.By
		if p.Unchanged != "" {
			m.Step, m.Text = string(messages.BuildStateUnchanged), p.Unchanged
		}
		w.tell(m)
	case *messages.ImageReady:
		m := about(p.BuildRef, r.Stored, messages.StepAnnounced)
		m.Commit, m.Image, m.Bytes, m.Findings = p.Commit, p.Image, p.Bytes, p.Warnings
		w.tell(m)
	default:
		w.fleetEvent(r)
	}
	return w.failed()
}

func (w *watcher) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// step tells of a step that only the log has; claimed, pinned and announced are events.
func (w *watcher) step(l *messages.BuildLog, at time.Time) {
	switch l.Step {
	case messages.StepBuilt, messages.StepHooksChecked, messages.StepPushed:
		m := about(l.BuildRef, at, l.Step)
		m.Text = l.Text
		w.tell(m)
	}
}

func (w *watcher) fleetEvent(r queue.Received) {
	switch p := r.Payload.(type) {
	case *messages.TrialFinished:
		m := moment{Time: r.Stored, Step: string(messages.StepTrialPassed), Fleet: p.Fleet, Node: p.Node, Rollout: p.Rollout, Image: p.Image}
		if !p.Passed {
			m.Step, m.Text = "trial failed", p.Reason
		}
		w.tell(m)
	case *messages.NodeFailed:
		w.tell(moment{Time: r.Stored, Step: "node failed", Fleet: p.Fleet, Node: p.Node, Rollout: p.Rollout, Image: p.Image, Text: p.Step + ": " + p.Reason})
	case *messages.RolloutChanged:
		why := p.Why
		if p.By != "" && !strings.Contains(why, " by "+p.By) {
			why = "by " + p.By + ": " + why
		}
		w.tell(moment{
			Time: r.Stored, Step: "rollout", Fleet: p.Fleet, Rollout: p.Rollout, Build: p.Build, Order: p.Order,
			Image: p.Image, State: string(p.State), Epoch: p.Epoch, Text: why,
		})
	case *messages.DeadLetter:
		w.tell(moment{Time: r.Stored, Step: "dead letter", Text: p.Subject + ": " + p.Reason})
	}
}

// node tells when a node first holds the image that is preloaded.
func (w *watcher) node(e queue.Entry[messages.NodeStatus], news bool) {
	n := e.Value
	if e.Deleted {
		if news {
			w.tell(moment{Time: time.Now(), Step: "node silent", Text: e.Key})
		}
		return
	}
	w.fetching(e, news)
	if n.Work == nil {
		return
	}
	before := w.nodes[e.Key]
	w.nodes[e.Key] = *n.Work
	held := before.Rollout == n.Work.Rollout && holds(before.State)
	if news && !held && holds(n.Work.State) {
		w.tell(moment{
			Time: e.Created, Step: string(messages.StepPresent), Fleet: n.Fleet, Node: n.Node,
			Rollout: n.Work.Rollout, Image: n.Work.Image, Bytes: n.Work.Bytes,
		})
	}
}

// holds tells whether a node that is so far has the image.
func holds(s messages.WorkState) bool {
	return s == messages.WorkPresent || s == messages.WorkTrial || s == messages.WorkDone
}

// fleet tells when the fence config was driven to a decision and read back.
func (w *watcher) fleet(e queue.Entry[messages.FleetRecord], news bool) {
	r := e.Value
	if r.Fleet == "" || r.Applied.Epoch == w.applied[r.Fleet] || r.Applied.Error != "" {
		return
	}
	w.applied[r.Fleet] = r.Applied.Epoch
	if !news {
		return
	}
	m := moment{
		Time: e.Created, Step: string(messages.StepFlipped), Fleet: r.Fleet, Build: r.Current.Build, Order: r.Current.Order,
		Rollout: r.Current.Rollout, Image: r.Current.Image, Epoch: r.Applied.Epoch,
	}
	if r.Hold != nil {
		m.Text = "held by " + r.Hold.By
	}
	w.tell(m)
}
