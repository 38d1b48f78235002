package messages

import (
	"strings"
	"testing"
)

func TestPatternsMatch(t *testing.T) {
	for _, c := range []struct {
		list, yes, no string // words
	}{
		{"main", "main", "Main main2 xmain main/x"},
		{"release/*", "release/1 release/1.2", "release release/1/2 xrelease/1"},
		{"release/**", "release/1 release/1/2", "release"},
		{"release**", "release release/1 release-2/x", "xrelease"},
		{"**", "main a/b/c ä", ""},
		{"*", "main ä", "a/b"},
		{"**/fix", "fix a/fix a/b/fix", "a/prefix"},
		{"a/**/b", "a/b a/x/b a/x/y/b", "a/xb ab"},
		{"a**/b", "a/b ax/y/b", "b"},
		{"v?", "v1 vä", "v v10 v/"},
		{"v[0-9]", "v1", "va v10"},
		{"v[0-9]+.[0-9]+", "v1.2 v10.20", "v1. v1x2 v1.2.3"},
		{"v[!0-9]", "va", "v1 v/"},
		{"v[^a]", "vb", "va v/"},
		{"[]]", "]", "["},
		{`\[x\]`, "[x]", "x"},
		{"a.b", "a.b", "axb"},
		{"a+b", "a+b", "aab"},
		{"{main,dev}", "main dev", "maindev"},
		{"{a,b/*}-x", "a-x b/c-x", "b/c/d-x"},
		{"(a|b)$", "(a|b)$", "a b"},
		{"main !main", "", "main"},
		{"** !wip/** wip/keep", "main wip/keep x/wip", "wip/x wip/keep2"},
	} {
		p, err := NewPatterns(strings.Fields(c.list))
		if err != nil {
			t.Errorf("%s: %v", c.list, err)
			continue
		}
		for _, name := range strings.Fields(c.yes) {
			if by, ok := p.Match(name); !ok || by == "" {
				t.Errorf("%s does not match %q (%q)", c.list, name, by)
			}
		}
		for _, name := range strings.Fields(c.no) {
			if by, ok := p.Match(name); ok {
				t.Errorf("%s matches %q by %q", c.list, name, by)
			}
		}
	}
	if _, ok := (Patterns{}).Match("main"); ok {
		t.Error("no pattern matches a name")
	}
	if _, ok := mustPatterns(t, "a*").Match("a\nb"); !ok {
		t.Error("a line's end is a character as others")
	}
}

func mustPatterns(t *testing.T, list ...string) Patterns {
	t.Helper()
	p, err := NewPatterns(list)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBadPatternsAreRefusedWithTheFix(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "it is empty: write a name",
		"!":                      "it is empty: write a name",
		"!!a":                    "two ! in front",
		"a[b":                    `a [ without a ] after it: write \[`,
		"a[":                     "a [ without a ]",
		"a[]":                    "a [ without a ]",
		"a]":                     `a ] without a [ before it: write \]`,
		"{a,b":                   "a { without a }",
		"a}":                     "a } without a {",
		"{a,{b}}":                "a { within another",
		"[9-0]":                  "the range 9-0 runs backwards: write 0-9",
		`a\`:                     `nothing follows the \`,
		"v[0-9]?":                "write two patterns",
		strings.Repeat("x", 600): "it has 600 bytes, and 500 are read at most",
	} {
		if err := CheckPattern(text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "is not a pattern") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"refs/heads/main": `is a full ref: write the name of a branch alone, such as "main"`,
		"!refs/tags/v1":   "is a full ref",
		"release/":        `write "release/**" for all below it`,
		"/main":           "a slash too many",
		"a//b":            "a slash too many",
		"my branch":       `has " ", which no branch has in its name`,
		"a:b":             `has ":"`,
		"a[":              "is not a pattern",
	} {
		if err := CheckRefPattern("branch", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for _, text := range []string{"main", "release/**", "!wip/**", "v[0-9]+", "{a,b}", "-x", "@", "grün"} {
		if err := CheckRefPattern("branch", text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := NewPatterns([]string{"!wip", "main"}); err == nil || !strings.Contains(err.Error(), `begin with what is taken, such as "**"`) {
		t.Errorf("%v", err)
	}
	if _, err := NewPatterns(make([]string, 1)); err == nil {
		t.Error("an empty pattern is taken")
	}
	if _, err := NewPatterns(strings.Fields(strings.Repeat("a ", 101))); err == nil || !strings.Contains(err.Error(), "lists 101 patterns") {
		t.Errorf("%v", err)
	}
}

func TestIsPattern(t *testing.T) {
	for text, want := range map[string]bool{"main": false, "a/b-c": false, "a*": true, "!a": true, "v[0-9]": true, "{a,b}": true} {
		if IsPattern(text) != want {
			t.Errorf("%q", text)
		}
	}
}

func FuzzPatterns(f *testing.F) {
	for _, seed := range []string{"main", "a/**/b", "[!a-c]+", "{a,b}*", `\[`, "[]", "[\\]-a]", "ä?", "[-]", "[a-]", "\xff*"} {
		f.Add(seed, "main")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		p, err := NewPatterns([]string{"**", text})
		if (err == nil) != (CheckPattern(text) == nil) {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil {
			return
		}
		by, ok := p.Match(name)
		if by != "**" && by != text || ok != (by == "**" || !strings.HasPrefix(text, "!")) {
			t.Errorf("%q of %q: %q %v", text, name, by, ok)
		}
		if !IsPattern(text) && CheckRefPattern("tag", text) == nil {
			if _, ok := p.Match(text); !ok {
				t.Errorf("%q does not match itself", text)
			}
		}
	})
}
