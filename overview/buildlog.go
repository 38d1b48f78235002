package overview

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
)

const (
	// stepMost is how much of a step's output is kept at least, in bytes, and twice as much at most: its end, which says most.
	stepMost = 8 << 10
	// logMost is how much is kept of all.
	logMost = 256 << 10
	// stepsMost is how many steps are kept: the last.
	stepsMost = 400
	// nameMost bounds the name of a step, in bytes.
	nameMost = 300
)

// LogStepState is how far a step of a log is.
type LogStepState string

// The states of steps.
const (
	LogStepRunning LogStepState = "running"
	LogStepDone    LogStepState = "done"
	LogStepCached  LogStepState = "cached"
	LogStepFailed  LogStepState = "failed"
	LogStepStopped LogStepState = "stopped"
	LogStepNote    LogStepState = "note" // no step of BuildKit's, but a word about the build
)

// LogStep is a step of a build's log, with the end of what it wrote. All of it is as strangers wrote it.
type LogStep struct {
	N       int // from 1, in the order in which steps began
	Attempt int
	Name    string
	State   LogStepState
	Cut     int64 // bytes before Text that are not kept
	Parts   string
	Took    time.Duration // once it has ended, where that is known
	Version int           // rises with each change

	id      string
	started time.Time
	text    []byte
}

// Text is the end of what the step wrote.
func (s *LogStep) Text() string { return strings.ToValidUTF8(string(s.text), "") }

// Log is a build's log folded into its steps. It holds so much of it that what it takes is bounded. It is for one goroutine.
type Log struct {
	Steps   []*LogStep // the last of them
	Cut     int64      // bytes that were written and are not kept
	Dropped int        // steps that are not kept

	n, bytes int
}

// Take takes in a message, in the order in which they are stored.
func (l *Log) Take(m *messages.BuildLog) {
	if last := l.last(); last != nil && m.Attempt > last.Attempt {
		l.End()
	}
	switch {
	case m.Progress != nil && m.Progress.Output:
		l.write(l.step(m), m.Text)
	case m.Progress != nil && len(m.Progress.Parts) > 0:
		if s := l.find(m.Attempt, m.Progress.ID); s != nil {
			s.parts(m.Progress.Parts)
		}
	case m.Progress != nil:
		l.progress(l.step(m), m)
	case m.Vertex != "": // an older builder's, which doesn't say how far the step is
		l.older(m)
	default:
		l.note(m)
	}
	l.bound()
}

// Say adds a word about the log itself.
func (l *Log) Say(text string) { l.add(&LogStep{Name: text, State: LogStepNote}) }

// End marks what runs as stopped: the attempt is over.
func (l *Log) End() {
	for _, s := range l.Steps {
		if s.State == LogStepRunning {
			s.State, s.Parts = LogStepStopped, ""
			s.Version++
		}
	}
}

func (l *Log) last() *LogStep {
	if len(l.Steps) == 0 {
		return nil
	}
	return l.Steps[len(l.Steps)-1]
}

func (l *Log) add(s *LogStep) *LogStep {
	l.n++
	s.N, s.Name = l.n, messages.Shorten(strings.Join(strings.Fields(s.Name), " "), nameMost)
	l.Steps = append(l.Steps, s)
	return s
}

// find is a step that is kept; attempts have steps of their own.
func (l *Log) find(attempt int, id string) *LogStep {
	for i := len(l.Steps) - 1; i >= 0; i-- {
		if s := l.Steps[i]; s.Attempt == attempt && s.id == id {
			return s
		}
	}
	return nil
}

// step is the step of a message, begun where it is not known: its beginning may be lost.
func (l *Log) step(m *messages.BuildLog) *LogStep {
	if s := l.find(m.Attempt, m.Progress.ID); s != nil {
		return s
	}
	return l.add(&LogStep{Attempt: m.Attempt, Name: m.Vertex, State: LogStepRunning, id: m.Progress.ID, started: m.Progress.Started})
}

func (l *Log) progress(s *LogStep, m *messages.BuildLog) {
	p := m.Progress
	s.Version++
	if s.started.IsZero() {
		s.started = p.Started
	}
	if p.Completed.IsZero() {
		s.State = LogStepRunning // again: one without inputs ends twice
		return
	}
	s.Parts = ""
	if !s.started.IsZero() {
		s.Took = max(p.Completed.Sub(s.started), 0)
	}
	switch {
	case p.Stopped:
		s.State = LogStepStopped
	case m.Error:
		s.State = LogStepFailed
		l.write(s, m.Text)
	case p.Cached:
		s.State = LogStepCached
	default:
		s.State = LogStepDone
	}
}

// older takes in a message of a builder that doesn't say how far its steps are.
func (l *Log) older(m *messages.BuildLog) {
	s := l.find(m.Attempt, m.Vertex)
	if s == nil {
		s = l.add(&LogStep{Attempt: m.Attempt, Name: m.Vertex, State: LogStepNote, id: m.Vertex})
	}
	if m.Error {
		s.State = LogStepFailed
	}
	l.write(s, m.Text)
}

// note takes in a step of the flow, or a remark: its first line, and the others as what it wrote.
func (l *Log) note(m *messages.BuildLog) {
	first, rest, _ := strings.Cut(strings.TrimSpace(m.Text), "\n")
	if m.Step != "" {
		first = strings.TrimSuffix(fmt.Sprintf("%s (attempt %d): %s", m.Step, m.Attempt, first), ": ")
	}
	if first == "" {
		return
	}
	s := l.add(&LogStep{Attempt: m.Attempt, Name: first, State: LogStepNote})
	if m.Error {
		s.State = LogStepFailed
	}
	l.write(s, rest)
}

// write adds to what a step wrote, of which it keeps the end.
func (l *Log) write(s *LogStep, text string) {
	if text == "" {
		return
	}
	s.Version++
	was := len(s.text)
	s.text = append(append(s.text, strings.TrimRight(text, "\n")...), '\n')
	if len(s.text) > 2*stepMost {
		over := len(s.text) - stepMost
		if end := bytes.IndexByte(s.text[over:], '\n') + 1; over+end < len(s.text) {
			over += end
		}
		s.Cut, l.Cut = s.Cut+int64(over), l.Cut+int64(over)
		s.text = append(s.text[:0], s.text[over:]...)
	}
	l.bytes += len(s.text) - was
}

// parts says what a step works on that has not ended.
func (s *LogStep) parts(all []messages.VertexPart) {
	var said []string
	for _, p := range all {
		if !p.Completed.IsZero() || len(said) == 3 {
			continue
		}
		part := messages.Shorten(p.Name, 40)
		if p.Total > 0 {
			part += fmt.Sprintf(" %s of %s", messages.Size(p.Current), messages.Size(p.Total))
		}
		said = append(said, part)
	}
	s.Parts = strings.Join(said, ", ")
	s.Version++
}

// bound lets go of what is too much: first steps, and what steps wrote that have not failed, the first of them first.
func (l *Log) bound() {
	for len(l.Steps) > stepsMost {
		l.empty(l.Steps[0])
		l.Dropped++
		l.Steps = append(l.Steps[:0:0], l.Steps[1:]...)
	}
	for _, spare := range []LogStepState{LogStepFailed, ""} {
		for i := 0; l.bytes > logMost && i < len(l.Steps)-1; i++ {
			if s := l.Steps[i]; s.State != spare {
				l.empty(s)
			}
		}
	}
}

func (l *Log) empty(s *LogStep) {
	if len(s.text) == 0 {
		return
	}
	l.bytes -= len(s.text)
	s.Cut, l.Cut = s.Cut+int64(len(s.text)), l.Cut+int64(len(s.text))
	s.text = nil
	s.Version++
}
