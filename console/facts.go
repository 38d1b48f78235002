package console

import (
	"context"
	"fmt"
	"html/template"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fenceline/fenceline/terminal"
)

// fact is something that a person decides by. Where it is otherwise by the time of the decision the person is told what it was,
// what it is, and who made it so.
type fact struct {
	Of    string // what it is about, such as "the hold"
	Is    string
	By    string // who made it so, and why, where that is known and Is doesn't say it
	of    string // what By says it of, where that isn't all that may have been before
	named bool   // Is says who made it so
}

// same tells whether facts are as they were.
func same(was, are []fact) bool {
	return slices.EqualFunc(was, are, func(a, b fact) bool { return a.Of == b.Of && a.Is == b.Is })
}

// difference says what has changed between facts, in a sentence each. Lately is who decided about it by this console, which is
// said where the facts name nobody.
func difference(was, are []fact, lately string) string {
	var said []string
	by := false
	for _, is := range are {
		i := slices.IndexFunc(was, func(f fact) bool { return f.Of == is.Of })
		if i < 0 || was[i].Is == is.Is {
			continue
		}
		if is.of != was[i].of {
			is.By = ""
		}
		by = by || is.By != "" || is.named
		text := fmt.Sprintf("%s was %s, and is %s", is.Of, was[i].Is, is.Is)
		if is.By != "" {
			text += " (" + is.By + ")"
		}
		said = append(said, strings.ToUpper(text[:1])+text[1:]+".")
	}
	switch {
	case len(said) == 0:
		return ""
	case by:
	case lately != "":
		said = append(said, lately)
	default:
		said = append(said, "Who did that this console doesn't know: it was done at the command line, by another console or by a controller.")
	}
	return strings.Join(said, " ")
}

const (
	// latelyMost is how many decisions are remembered.
	latelyMost = 1000
	// latelyWait bounds how long who comes second waits for who came first, in order to be told of them.
	latelyWait = 2 * time.Second
)

// lately is what was decided by this console, so that whoever comes second is told by whom.
type lately struct {
	mu   sync.Mutex
	said map[string]string // by subject
	at   []string          // the subjects, the oldest first

	deciding map[string][]chan struct{} // by subject: each is closed when a decision that is being carried out has ended
}

// begin notes that a decision about a subject is being carried out, until end is called.
func (l *lately) begin(subject string) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deciding == nil {
		l.deciding = map[string][]chan struct{}{}
	}
	ended := make(chan struct{})
	l.deciding[subject] = append(l.deciding[subject], ended)
	return func() {
		close(ended)
		l.mu.Lock()
		defer l.mu.Unlock()
		left := slices.DeleteFunc(l.deciding[subject], func(o chan struct{}) bool { return o == ended })
		if l.deciding[subject] = left; len(left) == 0 {
			delete(l.deciding, subject)
		}
	}
}

// wait waits for the decisions about a subject that are being carried out: what they have changed shows in the records before it
// is noted who made it so.
func (l *lately) wait(ctx context.Context, subject string) {
	l.mu.Lock()
	all := slices.Clone(l.deciding[subject])
	l.mu.Unlock()
	for _, ended := range all {
		select {
		case <-ended:
		case <-ctx.Done():
		}
	}
}

// note notes that a person has decided about a subject.
func (l *lately) note(subject, by, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.said == nil {
		l.said = map[string]string{}
	}
	if _, known := l.said[subject]; !known {
		l.at = append(l.at, subject)
	}
	l.said[subject] = fmt.Sprintf("%s decided %q here at %s.", by, what, exact(time.Now()))
	if len(l.at) > latelyMost {
		delete(l.said, l.at[0])
		l.at = l.at[1:]
	}
}

// about is what was decided last about a subject, or "".
func (l *lately) about(subject string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said[subject]
}

// exact is a moment in words that stand in no element of their own.
func exact(t time.Time) string { return t.UTC().Format(exactLayout) }

// exactLayout is how a moment is written to the second.
const exactLayout = "2006-01-02 15:04:05 UTC"

// exactTime finds the moments of a sentence. It is made where a page needs it.
var exactTime = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\b`) }) //nolint:gochecknoglobals // a constant

// timed is a sentence from wherever, as text has it, whose moments are in the reader's zone where there is a script.
func timed(s string) template.HTML {
	escaped := template.HTMLEscapeString(terminal.Visible(s))
	return template.HTML(exactTime().ReplaceAllStringFunc(escaped, func(says string) string { //nolint:gosec // escaped, and moments of ours
		at, err := time.Parse(exactLayout, says)
		if err != nil {
			return says
		}
		return fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, at.Format(time.RFC3339), says, says)
	}))
}
