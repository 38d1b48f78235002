package terminal

import (
	"fmt"
	"slices"
	"strings"
)

const (
	gap        = "  "
	narrowest  = 8  // width of a column that gives way to others
	readable   = 40 // width below which a last cell stands under its row
	under      = "    "
	mostLines  = 4 // of a cell, then it is cut
	leastWidth = 40
)

// Head begins a table, or goes on with one.
func (p *Page) Head(names ...string) {
	p.endTable()
	p.table = append(p.table, names)
}

// Row adds a row to the table. What is not known is a dash, and so is an order of 0; the last cell may
// be empty. A cell is one line.
func (p *Page) Row(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = strings.ReplaceAll(strings.TrimRight(Visible(fmt.Sprint(c)), "\n"), "\n", "; ")
		if c == uint64(0) || row[i] == "" && i < len(cells)-1 {
			row[i] = "-"
		}
	}
	p.table = append(p.table, row)
}

// endTable writes the table that is kept back to know how wide its columns are.
func (p *Page) endTable() {
	table := p.table
	p.table = nil
	if len(table) == 0 {
		return
	}
	var widths []int
	for _, row := range table {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(cell))
		}
	}
	below := p.columns > 0 && !fit(widths, p.columns)
	for _, row := range table {
		p.row(row, widths, below)
	}
}

// fit narrows columns to a terminal: the last one, where enough is left for it, else those before
// it, and its cells stand below their rows: then it returns false. The first column, which names the
// rows, comes last.
func fit(widths []int, columns int) bool {
	last := len(widths) - 1
	before := len(gap) * last
	for _, w := range widths[:last] {
		before += w
	}
	left := columns - before
	if widths[last] <= left {
		return true
	}
	if left >= readable {
		widths[last] = left
		return true
	}
	for ; left < 0; left++ {
		if !narrow(widths[min(1, last):last]) && !narrow(widths[:last]) {
			break
		}
	}
	widths[last] = max(left, 0)
	return false
}

// narrow takes one from the widest of some columns, unless all are as narrow as may be.
func narrow(widths []int) bool {
	if len(widths) == 0 {
		return false
	}
	widest := slices.Index(widths, slices.Max(widths))
	if widths[widest] <= narrowest {
		return false
	}
	widths[widest]--
	return true
}

// row writes a row: its cells side by side, as many lines as the longest has.
func (p *Page) row(row []string, widths []int, below bool) {
	last, beneath := len(widths)-1, ""
	if len(row) > last && below && width(row[last]) > widths[last] {
		row, beneath = row[:last], row[last]
	}
	cells := make([][]string, len(row))
	lines := 1
	for i, cell := range row {
		cells[i] = []string{cell}
		if p.columns > 0 {
			cells[i] = wrapped(cell, widths[i], widths[i], mostLines)
		}
		lines = max(lines, len(cells[i]))
	}
	for n := range lines {
		var b strings.Builder
		for i, c := range cells {
			text := ""
			if n < len(c) {
				text = c[n]
			}
			b.WriteString(text + strings.Repeat(" ", max(widths[i]-width(text), 0)) + gap)
		}
		p.write(strings.TrimRight(b.String(), " ") + "\n")
	}
	if beneath == "" {
		return
	}
	for _, piece := range wrapped(beneath, p.columns-len(under), p.columns-len(under), mostLines) {
		p.write(under + piece + "\n")
	}
}
