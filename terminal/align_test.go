package terminal

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/vt"
	"pgregory.net/rapid"
)

// odd are characters that take no column, two, or that hide: whatever of them is in a cell, the cells after it stay in line. Vowels of
// Indic scripts are not among them: terminals differ, and none tells.
var odd = []string{
	"a", "Z", "9", " ", "図", "語", "한", "글", "ｗ", "é", "e\u0301", "\u0301", strings.Repeat("\u0336", 12), "✅", "☕", "⚡", "⚠\ufe0f", "🚀", "🦀", "👍🏽", "❤\ufe0f",
	"1\ufe0f\u20e3", "\u200d", "\u200b", "\u202e", "\u2066", "\u3164", "\u1160", "ไทย", "עִ", "ﷺ", "𝔘", "𠮷", "\x1b[2J", "\x1b]0;x\a", "\r", "\b", "\t", "\n", "\x00", "\xff", "\u0085",
	"\u2028", "…", "—", "“", "\u00ad", "\u00a0", "\u3000", "\U000e0041", "\ufeff",
}

// hostileText is made of these.
func hostileText(t *rapid.T, name string) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(odd), 0, 6).Draw(t, name), "")
}

// columnOf is where on the screen, in columns, a mark stands in each row that has one.
func columnOf(screen *vt.Emulator, mark string) (columns []int) {
	for y := range screen.Height() {
		for x := range screen.Width() {
			if c := screen.CellAt(x, y); c != nil && c.Content == mark {
				columns = append(columns, x)
			}
		}
	}
	return columns
}

// TestColumnsStayInLine on a terminal, whatever stands in the cells before.
func TestColumnsStayInLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		p := NewPage(&text)
		p.Head("A", "B", "┃")
		rows := rapid.IntRange(1, 6).Draw(t, "rows")
		for range rows {
			p.Row(hostileText(t, "first"), hostileText(t, "second"), "┃")
		}
		if err := p.Flush(); err != nil {
			t.Fatal(err)
		}
		screen := vt.NewEmulator(500, rows+2)
		defer screen.Close()
		if _, err := screen.WriteString(strings.ReplaceAll(text.String(), "\n", "\r\n")); err != nil {
			t.Fatal(err)
		}
		at := columnOf(screen, "┃")
		if len(at) != rows+1 {
			t.Fatalf("%d of %d rows are shown:\n%s", len(at), rows+1, screen.String())
		}
		for _, x := range at {
			if x != at[0] {
				t.Fatalf("the columns are at %v:\n%q", at, text.String())
			}
		}
	})
}

// TestRowsAreAsWideAsTheScreen, and no wider, whatever they have.
func TestRowsAreAsWideAsTheScreen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(1, 60).Draw(t, "columns")
		row := Fit(hostileText(t, "row")+hostileText(t, "more"), columns)
		if width(row) != columns || strings.Contains(row, "\n") || !utf8.ValidString(row) {
			t.Fatalf("%q takes %d columns of %d", row, width(row), columns)
		}
		screen := vt.NewEmulator(columns+20, 2)
		defer screen.Close()
		if _, err := screen.WriteString(row + "┃"); err != nil {
			t.Fatal(err)
		}
		if at := columnOf(screen, "┃"); len(at) != 1 || at[0] != columns {
			t.Fatalf("%q ends in column %v, not %d", row, at, columns)
		}
	})
}
