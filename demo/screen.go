package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/fenceline/fenceline/terminal"
)

// screen shows what happens as it happens, and keeps the times for the table at the end.
type screen struct {
	out   io.Writer
	scene int
	began time.Time
	rows  []row
}

// row is a line of the final table.
type row struct {
	scene, what string
	took        time.Duration
}

func newScreen(out io.Writer) *screen { return &screen{out: terminal.New(out)} }

// begin starts a numbered scene.
func (s *screen) begin(title string) {
	s.scene++
	s.began = time.Now()
	fmt.Fprintf(s.out, "\n%d. %s\n", s.scene, title)
}

// step shows that something happened in this scene, with the time since the scene began.
func (s *screen) step(what, format string, args ...any) { s.at(time.Now(), what, format, args...) }

// at is step for something that happened at a time before now.
func (s *screen) at(when time.Time, what, format string, args ...any) {
	s.line("   %8.3f s  %-14s %s", when.Sub(s.began).Seconds(), what, fmt.Sprintf(format, args...))
}

// line shows a line; what goes wrong with that is not the demo's matter.
func (s *screen) line(format string, args ...any) { _ = terminal.Line(s.out, format, args...) }

// note shows text that has no time of its own, indented.
func (s *screen) note(text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		fmt.Fprintf(s.out, "               %s\n", strings.TrimRight(line, "\n"))
	}
}

// took keeps a row for the final table.
func (s *screen) took(scene, what string, d time.Duration) {
	s.rows = append(s.rows, row{scene, what, d})
}

// table prints the rows.
func (s *screen) table() {
	fmt.Fprintln(s.out)
	w := tabwriter.NewWriter(s.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "\tSTEP\tSECONDS")
	last := ""
	for _, r := range s.rows {
		scene := r.scene
		if scene == last {
			scene = ""
		}
		last = r.scene
		fmt.Fprintf(w, "%s\t%s\t%.3f\n", scene, r.what, r.took.Seconds())
	}
	_ = w.Flush()
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 10e6:
		return fmt.Sprintf("%d MB", n/1e6)
	case n >= 10e3:
		return fmt.Sprintf("%d kB", n/1e3)
	}
	return fmt.Sprintf("%d bytes", n)
}
