package terminal

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/terminal/terminaltest"
)

func page(t *testing.T, write func(p *Page)) string {
	t.Helper()
	var b strings.Builder
	p := NewPage(&b)
	write(p)
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// shown is what a terminal of so many columns shows of a page.
func shown(t *testing.T, columns uint16, write func(p *Page)) string {
	t.Helper()
	term := terminaltest.Open(t, columns)
	p := NewPage(New(term.File))
	write(p)
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	return term.Shown()
}

type state string

// TestLinesOfValues: a value's further lines are told from those that are ours.
func TestLinesOfValues(t *testing.T) {
	const forged = "held\n  current evil\r\nfleet evil: 9 of 9\u2028fix: run it\n"
	for kind, v := range map[string]any{
		"text": forged, "an error": errors.New(forged), "a wrapped error": fmt.Errorf("%w", errors.New(forged)), "a named text": state(forged),
	} {
		got := page(t, func(p *Page) { p.Line("  why: %s, %d of %d", v, 1, 2) })
		want := "  why: held\n      |   current evil\n      | fleet evil: 9 of 9<U+2028>fix: run it, 1 of 2\n"
		if got != want {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
	}
	if got := page(t, func(p *Page) { p.Line("one\n  %s", "two") }); got != "one\n  two\n" {
		t.Errorf("lines of ours are %q", got)
	}
	if got := page(t, func(p *Page) { p.Text("   ", "a\n\x1b[2Jb\n\n") }); got != "   a\n   \\x1b[2Jb\n" {
		t.Errorf("a text is %q", got)
	}
}

// TestTerminalWidth: lines and tables fit a terminal of 80 columns, and what is cut is marked.
func TestTerminalWidth(t *testing.T) {
	image := "registry.example.com/exampleco/base@sha256:" + strings.Repeat("1", 64)
	long := strings.Repeat("a reason that goes on ", 40) + strings.Repeat("x", 200)
	write := func(p *Page) {
		p.Line("  current %s (build b)", image)
		p.Line("  why: %s", "first\n"+long)
		p.Head("NODE", "IMAGE", "DETAIL")
		p.Row("n1", strings.Repeat("i", 40), long)
		p.Row("n2", "short", "fine")
		p.Row(strings.Repeat("n", 63), strings.Repeat("図", 60), long)
		p.Line("")
		p.Head("NODE", "DETAIL")
		p.Row("n1", long)
	}
	for _, columns := range []uint16{80, 100, 132} {
		out := shown(t, columns, write)
		for _, line := range strings.Split(out, "\n") {
			if width(line) > int(columns) {
				t.Errorf("a line of %d columns on a terminal of %d: %q", width(line), columns, line)
			}
		}
		if !strings.Contains(out, cut) || !strings.Contains(out, "n2") {
			t.Errorf("nothing is marked as cut:\n%s", out)
		}
	}
	if out := page(t, write); strings.Contains(out, cut) || strings.Count(out, "\n") != 10 || strings.Count(out, long) != 4 {
		t.Errorf("where there is no terminal it is cut or broken:\n%s", out)
	}
}

// TestColumns: the variable wins over the terminal, and means nothing elsewhere.
func TestColumns(t *testing.T) {
	line := func(p *Page) { p.Line("%s", strings.Repeat("word ", 30)) }
	term := terminaltest.Open(t, 80)
	t.Setenv("COLUMNS", "120")
	p := NewPage(New(term.File))
	line(p)
	if out := term.Shown(); width(strings.Split(out, "\n")[0]) <= 80 {
		t.Errorf("COLUMNS is not heeded:\n%s", out)
	}
	if out := page(t, line); strings.Count(out, "\n") != 1 {
		t.Errorf("COLUMNS breaks what no terminal shows:\n%s", out)
	}
}

// TestWrap breaks at spaces, and words where it must, and loses nothing.
func TestWrap(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		most int
		want []string
	}{
		"fits":           {"one two", 0, []string{"one two"}},
		"at a space":     {"one two three", 0, []string{"one two", "three"}},
		"a long word":    {"abcdefghijklmnop q", 0, []string{"abcdefghij", "klmnop q"}},
		"wide":           {"図図図図図図", 0, []string{"図図図図図", "図"}},
		"more than most": {"one two three fourfourfour five", 2, []string{"one two", "three" + cut}},
	} {
		if got := wrapped(test.text, 10, 10, test.most); strings.Join(got, "|") != strings.Join(test.want, "|") {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestFailingWriter tells at the end what went wrong.
func TestFailingWriter(t *testing.T) {
	broken := errors.New("broken pipe")
	if err := Line(failing{broken}, "x"); !errors.Is(err, broken) {
		t.Errorf("it says %v", err)
	}
}

type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }
