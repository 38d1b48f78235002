package terminal

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestVisible(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"plain text":              {"straße 図 ✓\nnext", "straße 図 ✓\nnext"},
		"an escape":               {"\x1b[2Jgone", `\x1b[2Jgone`},
		"a clipboard's":           {"\x1b]52;c;ZXZpbA==\x07", `\x1b]52;c;ZXZpbA==\x07`},
		"C1, as UTF-8":            {"\u009b31m", "<U+009B>31m"},
		"C1, as a byte":           {"\x9b31m", `\x9b31m`},
		"delete and backspace":    {"a\x7f\bb", `a\x7f\x08b`},
		"a carriage return":       {"real\rfake", `real\rfake`},
		"CR LF":                   {"a\r\nb", "a\nb"},
		"a tab":                   {"a\tb", "a    b"},
		"nothing":                 {"a\x00b", `a\x00b`},
		"marks of direction":      {"a\u202eb\u2066c\u200fd\u061ce", "a<U+202E>b<U+2066>c<U+200F>d<U+061C>e"},
		"separators":              {"a\u2028b\u2029c\u0085d", "a<U+2028>b<U+2029>c<U+0085>d"},
		"without width":           {"a\u200bb\ufeffc\u00add", "a<U+200B>b<U+FEFF>c<U+00AD>d"},
		"letters without a shape": {"a\u3164b\u115fc\uffa0d\u034fe", "a<U+3164>b<U+115F>c<U+FFA0>d<U+034F>e"},
		"marks":                   {"e\u0301 n\u0303\u0323", "e\u0301 n\u0303\u0323"},
		"a mark on nothing":       {"\u0301a\n\u0302b", "<U+0301>a\n<U+0302>b"},
		"a tower of marks":        {"a" + strings.Repeat("\u0301", 10) + "b\u0301", "a" + strings.Repeat("\u0301", 8) + "<U+0301><U+0301>b\u0301"},
		"a picture":               {"\u26a0\ufe0f 1\ufe0f\u20e3", "\u26a0 1\u20e3"},
		"other variations":        {"a\ufe01\U000e0100", "a<U+FE01><U+E0100>"},
		"tags":                    {"a\U000e0041b", "a<U+E0041>b"},
		"not UTF-8":               {"caf\xe9", `caf\xe9`},
		"half a character":        {"\xe2\x80", `\xe2\x80`},
		"what stands for unknown": {"\uFFFD", "\uFFFD"},
	} {
		if got := Visible(test.text); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestVisibleLeavesNothing of what a terminal obeys, whatever the text is.
func TestVisibleLeavesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		got := Visible(text)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }) {
			t.Fatalf("%q became %q", text, got)
		}
		if again := Visible(got); again != got {
			t.Fatalf("%q again became %q", got, again)
		}
	})
}

// TestVisibleJSON keeps what readers of JSON get.
func TestVisibleJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text") + "\x1b\u009b\u202e\u2028\x7f\U000e0041\xff"
		b, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var want, got string
		visible := VisibleJSON(b)
		if strings.ContainsFunc(string(visible), func(r rune) bool { return !unicode.IsGraphic(r) }) {
			t.Fatalf("it has %q", visible)
		}
		if json.Unmarshal(b, &want) != nil || json.Unmarshal(visible, &got) != nil || got != want {
			t.Fatalf("%q is read as %q", want, got)
		}
	})
}
