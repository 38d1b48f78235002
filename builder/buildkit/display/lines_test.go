package display

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// TestWhatIsLeftOfACharacterTakesItsColumns: the program that cut it counted each byte as one.
func TestWhatIsLeftOfACharacterTakesItsColumns(t *testing.T) {
	for cut, want := range map[string]string{
		"図図    1.0s\n":           "図図    1.0s\n",
		"図\xe5\x9b    1.0s\n":    "図…     1.0s\n",
		"図\xe5    1.0s\n":        "図…    1.0s\n",
		"\xff図\xf0\x9f\x98":      "…図…  ",
		"\ufffd as it was meant": "\ufffd as it was meant",
	} {
		if got := whole(cut); got != want || utf8.RuneCountInString(got) != utf8.RuneCountInString(cut) {
			t.Errorf("%q is %q, want %q", cut, got, want)
		}
	}
}

// TestLinesAreAsWideAsMeant: gaps make up for what is wider or narrower than it was taken for, and what is too wide is cut.
func TestLinesAreAsWideAsMeant(t *testing.T) {
	for name, test := range map[string]struct {
		line, want string
	}{
		"plain":          {" => [1/2] RUN x       1.0s\n", " => [1/2] RUN x       1.0s\n"},
		"wide":           {" => [1/2] RUN 図図    1.0s\n", " => [1/2] RUN 図図  1.0s\n"},
		"marks":          {" => RUN e\u0301e\u0301   1.0s\n", " => RUN e\u0301e\u0301     1.0s\n"},
		"in colours":     {"\x1b[34m => RUN 図     1.0s\x1b[0m\n", "\x1b[34m => RUN 図    1.0s\x1b[0m\n"},
		"too wide":       {" => => # " + strings.Repeat("図", 20) + "\n", " => => # " + strings.Repeat("図", 10) + "…\n"},
		"orders alone":   {"\x1b[5A\x1b[0G", "\x1b[5A\x1b[0G"},
		"without a gap":  {"図\n", "図\n"},
		"nothing at all": {"\n", "\n"},
	} {
		got := inColumns(test.line, 30)
		if got != test.want || ansi.StringWidthWc(strings.TrimSuffix(got, "\n")) > 30 {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
