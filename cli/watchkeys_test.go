package cli

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/terminal"
)

// TestQuestionsAreShownWhole on a terminal of any width, wide characters and what a terminal would obey included; and of what is typed its end.
func TestQuestionsAreShownWhole(t *testing.T) {
	const reason = "図書館の図書館の図書館 ⚠ e\u0301\u0301 \x1b[2Jdone"
	for _, columns := range []int{40, 53, 80, 200} {
		q := &question{asks: "RELEASE production, held by ann (" + reason + strings.Repeat("図", columns) + ")?", reason: true}
		for _, key := range strings.Split("beginning"+strings.Repeat("語e\u0301", 20)+"end", "") {
			q.typed(key)
		}
		var asked strings.Builder
		rows := q.rows(columns)
		for i, row := range rows {
			row = strings.TrimPrefix(row, reverse)
			if shown := strings.TrimRight(terminal.Fit(row, columns), " "); shown != strings.TrimRight(row, " ") {
				t.Errorf("at %d columns %q is shown as %q", columns, row, shown)
			}
			if i < len(rows)-1 {
				asked.WriteString(row)
			}
		}
		if got, want := squeezed(asked.String()), squeezed(terminal.Visible(q.asks)); got != want {
			t.Errorf("at %d columns it asks %q, not %q", columns, got, want)
		}
		if last := rows[len(rows)-1]; !strings.HasSuffix(last, "end_") || columns > 50 && !strings.HasSuffix(last, "語e\u0301end_") || strings.Contains(last, "beginning") != (columns == 200) {
			t.Errorf("at %d columns what is typed is %q", columns, last)
		}
	}
}

// squeezed is a text without its spaces, at which it may be broken.
func squeezed(s string) string { return strings.ReplaceAll(s, " ", "") }
