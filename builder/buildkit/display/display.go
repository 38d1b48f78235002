// Package display shows people a build's log as BuildKit's own programs do: on a terminal its steps with what they write
// while they run, folded when they are done; elsewhere as numbered lines.
package display

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/terminal"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/progress/progressui"
	digest "github.com/opencontainers/go-digest"
)

// Display draws a build's log. It is for several goroutines.
type Display struct {
	ahead time.Duration // of this machine's clock before that of NATS
	shown chan error    // has how drawing ended

	resized chan struct{} // has one when the terminal has become another size; nil where there is none

	mu       sync.Mutex
	to       chan *client.SolveStatus // nil once closed
	remarks  int
	shifts   map[int]time.Duration                             // from the clock of an attempt's builder to this machine's
	vertexes []*client.Vertex                                  // as last shown
	parts    map[digest.Digest]map[string]*client.VertexStatus // of vertexes, that have not ended
}

// New draws on w, which is a terminal or takes lines. now is what the clock of NATS shows: a display counts how long steps
// run by this machine's.
func New(w io.Writer, tty bool, now time.Time) (*Display, error) {
	mode := progressui.PlainMode
	var resized chan struct{}
	if f, ok := w.(*os.File); ok && tty {
		resized = make(chan struct{}, 1)
		mode, w = progressui.TtyMode, &wholeCharacters{File: f, resized: resized}
	}
	shows, err := progressui.NewDisplay(w, mode)
	if err != nil {
		return nil, fmt.Errorf("drawing on the terminal: %w", err)
	}
	d := &Display{ahead: time.Since(now), shown: make(chan error, 1), resized: resized, to: make(chan *client.SolveStatus), shifts: map[int]time.Duration{}, parts: map[digest.Digest]map[string]*client.VertexStatus{}}
	go func() {
		_, err := shows.UpdateFrom(context.Background(), d.to) // it ends with the channel, having shown all
		d.shown <- err
	}()
	if resized != nil {
		go d.follow()
	}
	return d, nil
}

// follow has the display look at the terminal's size when it has changed, as it does with each message of the log: a step that
// writes nothing would be drawn for the size before until then.
func (d *Display) follow() {
	for range d.resized {
		d.send(&client.SolveStatus{})
	}
}

// Drawable tells whether a message of a log can be shown but as lines: those of older builders don't say how far a step is.
func Drawable(l *messages.BuildLog) bool { return l.Vertex == "" || l.Progress != nil }

// Show draws a message of the log that NATS stored at a time.
func (d *Display) Show(l *messages.BuildLog, stored time.Time) {
	at := stored.Add(d.ahead)
	switch {
	case l.Progress != nil:
		d.send(d.progress(l, at))
	case l.Step != "":
		d.remark(fmt.Sprintf("%s (attempt %d) %s", l.Step, l.Attempt, l.Text), at, l.Error)
	case l.Text != "":
		d.remark(l.Text, at, l.Error)
	}
}

// Write shows each line of p as a remark, so that notes beside the log don't disturb it.
func (d *Display) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		d.remark(line, time.Now(), false)
	}
	return len(p), nil
}

// remark shows a text as a step that is done: its first line, and what it wrote the others.
func (d *Display) remark(text string, at time.Time, wrong bool) {
	first, rest, _ := strings.Cut(strings.TrimSpace(terminal.Visible(text)), "\n")
	if first == "" {
		return
	}
	d.mu.Lock()
	d.remarks++
	v := &client.Vertex{Digest: digest.Digest(fmt.Sprintf("remark/%d", d.remarks)), Name: first, Started: &at, Completed: &at}
	d.mu.Unlock()
	if wrong && rest != "" {
		v.Error = first // what it wrote is shown at the end, too
	}
	s := &client.SolveStatus{Vertexes: []*client.Vertex{v}}
	if rest != "" {
		s.Logs = []*client.VertexLog{{Vertex: v.Digest, Stream: 1, Data: []byte(rest + "\n"), Timestamp: at}}
	}
	d.send(s)
}

func (d *Display) send(s *client.SolveStatus) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.to != nil && s != nil {
		d.to <- s
	}
}

// progress is what a message says of a vertex, as BuildKit would have said it. An attempt has vertices of its own.
func (d *Display) progress(l *messages.BuildLog, at time.Time) *client.SolveStatus {
	p := l.Progress
	id := digest.Digest(fmt.Sprintf("%d/%s", l.Attempt, terminal.Visible(p.ID)))
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.Output {
		if d.of(id) == nil { // its beginning was lost
			d.vertexes = append(d.vertexes, &client.Vertex{Digest: id, Name: oneLine(l.Vertex), Started: &at})
		}
		return &client.SolveStatus{
			Vertexes: []*client.Vertex{d.of(id)},
			Logs:     []*client.VertexLog{{Vertex: id, Stream: 1, Data: []byte(terminal.Visible(l.Text) + "\n"), Timestamp: at}},
		}
	}
	if len(p.Parts) > 0 {
		return d.partsOf(id, l, at)
	}
	v := &client.Vertex{
		Digest: id, Name: oneLine(l.Vertex), Cached: p.Cached,
		Started: d.local(l.Attempt, p.Started, at), Completed: d.local(l.Attempt, p.Completed, at),
	}
	switch {
	case p.Stopped:
		v.Error = context.Canceled.Error()
	case l.Error:
		v.Error = terminal.Continued(l.Text)
	}
	if v.Started == nil {
		v.Started = v.Completed
	}
	d.vertexes = append(slices.DeleteFunc(d.vertexes, func(o *client.Vertex) bool { return o.Digest == id }), v)
	return &client.SolveStatus{Vertexes: []*client.Vertex{v}, Statuses: d.endParts(v)}
}

// endParts ends the parts of a vertex that has ended: the last word on some may have been lost.
func (d *Display) endParts(v *client.Vertex) (ended []*client.VertexStatus) {
	if v.Completed == nil {
		return nil
	}
	for _, part := range d.parts[v.Digest] {
		end := *part
		end.Completed = v.Completed
		ended = append(ended, &end)
	}
	delete(d.parts, v.Digest)
	return ended
}

func (d *Display) partsOf(id digest.Digest, l *messages.BuildLog, at time.Time) *client.SolveStatus {
	if d.of(id) == nil {
		return nil
	}
	s := &client.SolveStatus{Vertexes: []*client.Vertex{d.of(id)}}
	if d.parts[id] == nil {
		d.parts[id] = map[string]*client.VertexStatus{}
	}
	for _, part := range l.Progress.Parts {
		now := &client.VertexStatus{
			ID: oneLine(part.Name), Vertex: id, Current: part.Current, Total: part.Total, Timestamp: at,
			Started: d.local(l.Attempt, part.Started, at), Completed: d.local(l.Attempt, part.Completed, at),
		}
		s.Statuses = append(s.Statuses, now)
		if d.parts[id][now.ID] = now; now.Completed != nil {
			delete(d.parts[id], now.ID)
		}
	}
	return s
}

func (d *Display) of(id digest.Digest) *client.Vertex {
	for _, v := range d.vertexes {
		if v.Digest == id {
			return v
		}
	}
	return nil
}

// local is a time of a builder's clock by this machine's, nil for none. The first that an attempt tells of was when its
// message was stored, give or take a moment.
func (d *Display) local(attempt int, t, stored time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	if _, known := d.shifts[attempt]; !known {
		d.shifts[attempt] = stored.Sub(t)
	}
	t = t.Add(d.shifts[attempt])
	return &t
}

// oneLine is a name in which nothing is obeyed, and that is one line.
func oneLine(s string) string { return strings.ReplaceAll(terminal.Visible(s), "\n", " ") }

// Close shows what is left, and the output of steps that failed. Where the build has ended, steps whose end was lost are shown as
// stopped; else they stay as they are, as it goes on.
func (d *Display) Close(ended bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.to == nil {
		return nil
	}
	now := time.Now()
	for _, v := range d.vertexes {
		if v.Completed == nil && ended {
			stopped := *v
			stopped.Completed, stopped.Error = &now, context.Canceled.Error()
			d.to <- &client.SolveStatus{Vertexes: []*client.Vertex{&stopped}, Statuses: d.endParts(&stopped)}
		}
	}
	close(d.to)
	d.to = nil
	err := <-d.shown
	if d.resized != nil {
		close(d.resized) // nothing writes any more
	}
	return err
}
