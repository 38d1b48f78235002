package display

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/terminal"
	"github.com/fenceline/fenceline/terminal/terminaltest"
)

// hostile orders a terminal about, and has a line that looks like one of ours.
const hostile = "evil\x1b]52;c;ZXZpbA==\x07\x1b[2J\r\u202egnol\u2028\xff\nfleet forged: 9 of 9"

// build is a log as a builder sends it, whose clock is two days behind.
func build(now time.Time) []messages.BuildLog {
	at := now.Add(-48 * time.Hour)
	ref := messages.BuildRef{Build: "base-aaaaaaaa", Pipeline: "base"}
	vertex := func(id, name string, p messages.VertexProgress, text string, wrong bool) messages.BuildLog {
		p.ID = id
		return messages.BuildLog{BuildRef: ref, Attempt: 1, Vertex: name, Text: text, Error: wrong, Progress: &p}
	}
	return []messages.BuildLog{
		{BuildRef: ref, Attempt: 1, Step: messages.StepClaimed, Text: "claimed by b1, attempt 1"},
		vertex("a", "[1/3] FROM base", messages.VertexProgress{Started: at}, "", false),
		vertex("a", "", messages.VertexProgress{Parts: []messages.VertexPart{{Name: "layer\x1b[31m", Current: 1 << 20, Total: 4 << 20, Started: at}}}, "", false),
		vertex("a", "[1/3] FROM base", messages.VertexProgress{Started: at, Completed: at.Add(2 * time.Second)}, "done in 2s", false),
		vertex("b", "[2/3] RUN make", messages.VertexProgress{Started: at.Add(2 * time.Second)}, "", false),
		vertex("b", "[2/3] RUN make", messages.VertexProgress{Output: true}, "compiling\nlinking", false),
		vertex("c", "[3/3] RUN "+hostile, messages.VertexProgress{Started: at.Add(2 * time.Second)}, "", false),
		vertex("c", "[3/3] RUN "+hostile, messages.VertexProgress{Output: true}, hostile, false),
		vertex("lost", "[4/3] "+hostile, messages.VertexProgress{Output: true}, "of a step whose beginning was lost", false),
		vertex("b", "[2/3] RUN make", messages.VertexProgress{Started: at.Add(2 * time.Second), Completed: at.Add(3 * time.Second), Cached: true}, "cached", false),
		vertex("c", "[3/3] RUN "+hostile, messages.VertexProgress{Started: at.Add(2 * time.Second), Completed: at.Add(5 * time.Second)}, hostile+" exit code: 1", true),
		{BuildRef: ref, Attempt: 1, Text: "warning: " + hostile},
		{BuildRef: ref, Attempt: 1, Text: hostile, Error: true},
	}
}

// harmless fails where a text has what a terminal obeys, or a line that a stranger wrote.
func harmless(t *testing.T, text string) {
	t.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }); i >= 0 {
		t.Errorf("it shows %q", text[max(0, i-30):min(len(text), i+30)])
	}
	if strings.Contains(text, "\nfleet forged") {
		t.Errorf("it shows a forged line: %s", text)
	}
}

// TestLines shows every line of a log, numbered, where there is no terminal.
func TestLines(t *testing.T) {
	var out bytes.Buffer
	now := time.Now().Add(time.Hour) // NATS is ahead
	d, err := New(&out, false, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range build(now) {
		if !Drawable(&l) {
			t.Errorf("%+v is not drawable", l)
		}
		d.Show(&l, now)
	}
	fmt.Fprint(d, "a note\nand another")
	for range 2 {
		if err := d.Close(true); err != nil {
			t.Fatal(err)
		}
	}
	d.Show(&messages.BuildLog{Text: "too late"}, now)
	got := out.String()
	for _, want := range []string{
		"claimed (attempt 1)", "[1/3] FROM base", `layer\x1b[31m 1.05MB / 4.19MB`, "DONE 2.0s", "compiling\n", "linking\n", "CACHED\n", "warning: evil",
		"of a step whose beginning was lost", "CANCELED", "ERROR: evil", "a note\n", "and another\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("without %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "too late") || strings.Contains(got, "done in 2s") {
		t.Errorf("it shows\n%s", got)
	}
	harmless(t, got)
}

// TestTerminal folds steps that are done, and shows the output of one that failed.
func TestTerminal(t *testing.T) {
	for _, columns := range []uint16{80, 40, 15} {
		term := terminaltest.Open(t, columns)
		d, err := New(term.File, true, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range build(time.Now()) {
			d.Show(&l, time.Now())
		}
		if err := d.Close(true); err != nil {
			t.Fatal(err)
		}
		screen := terminaltest.Screen(t, int(columns), 60, term.Shown())
		if columns == 80 {
			for _, want := range []string{"[+] Building", " => [1/3] FROM base", " => CACHED [2/3] RUN make", " => ERROR [3/3] RUN evil", `> [3/3] RUN evil\x1b]52;`} {
				if !strings.Contains(screen, want) {
					t.Errorf("without %q:\n%s", want, screen)
				}
			}
			if strings.Contains(screen, "compiling") {
				t.Errorf("a step that is done is not folded:\n%s", screen)
			}
		}
		harmless(t, screen)
	}
}

// TestATerminalOfAnotherSize is drawn for at once, though the log doesn't go on, and nothing is left of what was there.
func TestATerminalOfAnotherSize(t *testing.T) {
	term := terminaltest.Emulate(t, 100, 16)
	d, err := New(term.File, true, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for i := range 40 {
		l := messages.BuildLog{Attempt: 1, Vertex: fmt.Sprintf("[%d/40] RUN %s", i+1, strings.Repeat("図", 60)), Progress: &messages.VertexProgress{ID: fmt.Sprint(i), Started: began}}
		d.Show(&l, began)
	}
	for _, size := range [][2]int{{100, 16}, {60, 12}, {59, 16}, {58, 16}, {120, 30}} { // names are cut after each byte of a character
		term.Resize(size[0], size[1])
		term.Until(fmt.Sprintf("a step a row at %v", size), func(screen string) bool {
			first, steps := 0, 0
			for row := range strings.Lines(screen) {
				row = strings.TrimRight(row, " \n")
				if strings.HasPrefix(row, "[+] Building") {
					first++
				} else if strings.HasPrefix(row, " => [") && strings.HasSuffix(row, "s") && ansi.StringWidth(row) == size[0]-1 {
					steps++
				}
			}
			return first == 1 && steps == size[1]-2
		})
	}
	if err := d.Close(false); err != nil {
		t.Error(err)
	}
	if strings.Contains(term.Written(), "CANCELED") || strings.Contains(term.Written(), "FINISHED") {
		t.Errorf("a build that goes on is shown as ended:\n%s", term.Screen())
	}
}

// TestOlderBuilders don't say how far a step is.
func TestOlderBuilders(t *testing.T) {
	if Drawable(&messages.BuildLog{Vertex: "[1/2] RUN", Text: "output"}) || !Drawable(&messages.BuildLog{Step: messages.StepBuilt}) {
		t.Error("lines of older builders are drawn, or steps are not")
	}
	if _, err := New(&bytes.Buffer{}, true, time.Now()); err != nil { // no terminal after all
		t.Error(err)
	}
	if _, err := New(&terminal.Writer{}, false, time.Now()); err != nil {
		t.Error(err)
	}
}
