package messages

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestShorten(t *testing.T) {
	for _, c := range []struct {
		name, text string
		most       int
		end, head  string
	}{
		{"what fits stays", "no space", 8, "no space", "no space"},
		{"nothing", "", 0, "", ""},
		{"the mark comes on top", "no space", 3, "no …", "…ace"},
		{"no character is cut in two", "äbä", 4, "äb…", "…bä"},
		{"nothing is left", "ä", 1, "…", "…"},
		{"a length below zero is none", "no space", -1, "…", "…"},
		{"what is no UTF-8", "a\xffb", 8, "a\uFFFDb", "a\uFFFDb"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Shorten(c.text, c.most); got != c.end {
				t.Errorf("the beginning is %q", got)
			}
			if got := ShortenHead(c.text, c.most); got != c.head {
				t.Errorf("the end is %q", got)
			}
		})
	}
}

func TestTheMiddleIsCut(t *testing.T) {
	for text, want := range map[string]string{"pulling x: connection refused": "pulling…refused", "äöüßäöüßäöüß": "äöü…öüß", "short": "short", "a bit too long for it": "a bit t… for it"} {
		if got := ShortenMiddle(text, 18); got != want && text != "äöüßäöüßäöüß" || len(got) > 18 || ShortenMiddle(got, 18) != got {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text, most := rapid.String().Draw(t, "text"), rapid.IntRange(3, 40).Draw(t, "most")
		got := ShortenMiddle(text, most)
		head, tail, cut := strings.Cut(got, mark)
		if len(got) > most || !utf8.ValidString(got) || ShortenMiddle(got, most) != got || len(text) <= most && got != text ||
			!strings.Contains(text, mark) && cut && (!strings.HasPrefix(text, head) || !strings.HasSuffix(text, tail)) {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

func TestAnyTextIsShortened(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		most := rapid.IntRange(0, 40).Draw(t, "most")
		valid := strings.ToValidUTF8(text, "\uFFFD")
		for name, shorten := range map[string]func(string, int) string{"Shorten": Shorten, "ShortenHead": ShortenHead} {
			got := shorten(text, most)
			switch {
			case !utf8.ValidString(got):
				t.Fatalf("%s: %q is not UTF-8", name, got)
			case len(got) > most+len(mark):
				t.Fatalf("%s: %q has %d bytes", name, got, len(got))
			case shorten(got, most) != got:
				t.Fatalf("%s: %q becomes %q when it is done again", name, got, shorten(got, most))
			case len(valid) <= most && got != valid:
				t.Fatalf("%s: %q became %q, and fits", name, valid, got)
			case len(valid) > most && len(got) <= most-utf8.UTFMax+1:
				t.Fatalf("%s: %q keeps less than fits", name, got)
			}
			kept := strings.TrimSuffix(got, mark)
			if name == "ShortenHead" {
				kept = strings.TrimPrefix(got, mark)
			}
			if !strings.Contains(valid, kept) {
				t.Fatalf("%s: %q is no part of %q", name, kept, valid)
			}
		}
	})
}
