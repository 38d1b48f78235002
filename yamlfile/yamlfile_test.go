package yamlfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// texts are problems as people see them.
func texts(problems []Problem) (out []string) {
	for _, p := range problems {
		out = append(out, p.String())
	}
	return out
}

func wantProblems(t *testing.T, r *Reader, want ...string) {
	t.Helper()
	if got := texts(r.Problems); !slices.Equal(got, want) {
		t.Errorf("the problems are\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// root parses content, which has to be one document.
func root(t *testing.T, content string) (*Reader, *yaml.Node) {
	t.Helper()
	r := &Reader{File: "f.yaml"}
	n := r.Document([]byte(content), "")
	if n == nil {
		t.Fatalf("%q is no document: %v", content, texts(r.Problems))
	}
	return r, n
}

func TestContent(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, size int) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.Repeat("x", size)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		path string
		size int
		want string // in the error
	}{
		"a file":                 {write("one", 3), 3, ""},
		"an empty file":          {write("empty", 0), 0, ""},
		"the largest":            {write("largest", maxFileBytes), maxFileBytes, ""},
		"one that is too large":  {write("large", maxFileBytes+1), 0, "reading the plan " + filepath.Join(dir, "large") + ": it has more than 1048576 bytes: is it the right file?"},
		"one that is not there":  {filepath.Join(dir, "none"), 0, "no such file or directory: name an existing file"},
		"a folder":               {dir, 0, "reading the plan: " + dir + " is a folder: name a file"},
		"an empty name for none": {"", 0, "reading the plan: open "},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Content(c.path, "plan")
			if c.want == "" && (err != nil || len(got) != c.size) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestDocument(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		empty   string
		want    string // the problem, or "" for a document
	}{
		"a mapping":                     {"a: 1\n", "a", ""},
		"one value":                     {"text", "a", ""},
		"a document with its mark":      {"---\na: 1\n", "a", ""},
		"Unicode":                       {"ä: ✓\u0085b: 1\n", "a", ""},
		"nothing":                       {"", "a field", "f.yaml: the file is empty: it needs a field"},
		"comments alone":                {"# a\n# b\n", "a field", "f.yaml: the file is empty: it needs a field"},
		"a second document":             {"a: 1\n---\nb: 2\n", "a", "f.yaml:2: a second YAML document begins here: one file is one document, remove the ---"},
		"no UTF-8":                      {"a: 1\nb: \xff\n", "a", "f.yaml:2: is not UTF-8: save the file in that encoding"},
		"a control character":           {"a: 1\n\nb: \x00\n", "a", `f.yaml:3: has the control character '\x00': remove it`},
		"a tab for indentation":         {"a:\n\tb: 1\n", "a", "f.yaml:2: is not YAML: found character that cannot start any token: there is a tab in the indentation: put spaces in its place"},
		"a tab in a list":               {"a:\n  - b:\n\t  c: 1\n", "a", "f.yaml:3: is not YAML: found character that cannot start any token: there is a tab in the indentation: put spaces in its place"},
		"a tab after a colon":           {"a:\tb\n", "a", ""},
		"text that begins with @":       {"a: @x\n", "a", "f.yaml:1: is not YAML: found character that cannot start any token: put text that begins with @ in quotes"},
		"a Windows path in quotes":      {"a: \"C:\\q\"\n", "a", "f.yaml:1: is not YAML: found unknown escape character: a backslash in double quotes begins an escape: use single quotes"},
		"another YAML":                  {"%YAML 3.0\n---\na: b\n", "a", "f.yaml:1: is not YAML: found incompatible YAML document: remove the line that begins with %YAML"},
		"Windows line ends":             {"a: 1\r\nb:\r\n  - c\r\n", "a", ""},
		"a byte order mark":             {"\ufeffa: 1\n", "a", ""},
		"UTF-16 with its mark":          {"\xff\xfea\x00:\x00", "a", "f.yaml:1: is UTF-16, which Windows calls Unicode: save the file as UTF-8"},
		"UTF-16 without":                {"\x00a\x00:", "a", "f.yaml:1: is UTF-16, which Windows calls Unicode: save the file as UTF-8"},
		"more levels than are read":     {strings.Repeat("[", 20_000), "a", "f.yaml:1: is not YAML: exceeded max depth of 10000: no file needs so many levels: is it the right one?"},
		"a dash too far right":          {"a: 1\nb:\n  - x: 1\n   y: 2\nc: 3\n", "a", "f.yaml:4: is not YAML: did not find expected '-' indicator: check the indentation and quotes there and on the line above"},
		"a quote too many":              {"a: 1\nb: 'it's'\nc: 2\n", "a", "f.yaml:2: is not YAML: did not find expected key: check the indentation and quotes there and on the line above"},
		"a list in a mapping":           {"a: 1\nb: 2\n- c\n", "a", "f.yaml:3: is not YAML: did not find expected key: check the indentation and quotes there and on the line above"},
		"a second colon":                {"a: b: c\n", "a", "f.yaml:1: is not YAML: mapping values are not allowed in this context: put text with a colon in quotes, and check the indentation there and on the line above"},
		"an open bracket":               {"x: 1\na: [1, 2\nb: 3\n", "a", "f.yaml:2: is not YAML: did not find expected ',' or ']': check the indentation and quotes there and on the line above"},
		"an open quote":                 {"a: \"b\n", "a", "f.yaml:1: is not YAML: found unexpected end of stream: check the indentation and quotes there and on the line above"},
		"an alias of nothing":           {"a: 1\nb: *nobody\n", "a", "f.yaml:2: alias *nobody has no anchor &nobody before it: write the value out, or put it in quotes if it is text"},
		"an alias that a comment names": {"# *who\na: 1\nb: *who\n", "a", "f.yaml:3: alias *who has no anchor &who before it: write the value out, or put it in quotes if it is text"},
		"a later document that is no YAML": {
			"a: 1\n---\n\"b\n", "a", "f.yaml:3: is not YAML: found unexpected end of stream: check the indentation and quotes there and on the line above",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Reader{File: "f.yaml"}
			n := r.Document([]byte(c.content), c.empty)
			if c.want == "" {
				wantProblems(t, r)
			} else {
				wantProblems(t, r, c.want)
			}
			if (n == nil) != (c.want != "") {
				t.Errorf("the root is %v", n)
			}
		})
	}
}

func TestAnEmptyDocumentMayBeRight(t *testing.T) {
	r := &Reader{File: "f.yaml"}
	if n := r.Document([]byte("# nothing\n"), ""); n != nil {
		t.Errorf("the root is %v", n)
	}
	wantProblems(t, r)
}

func TestPairs(t *testing.T) {
	for name, c := range map[string]struct {
		content  string
		read     string   // the fields that are read, in order
		problems []string // with the field "top"
	}{
		"fields in their order": {"b: 1\na: 2\n", "b a", nil},
		"none":                  {"{}", "", nil},
		"one given twice":       {"a: 1\nb: 2\na: 3\n", "a b", []string{"f.yaml:3: top.a: is given twice: remove one of them (the other is at line 1)"}},
		"a list for a name":     {"a: 1\n? [x]\n: 2\n", "a", []string{"f.yaml:2: top: a list where the name of a field was expected"}},
		"a list":                {"- a\n", "", []string{"f.yaml:1: top: a list where fields were expected: write it as name: value, one a line"}},
		"a value, not shown":    {"secret", "", []string{"f.yaml:1: top: a single value where fields were expected: write it as name: value, one a line"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, n := root(t, c.content)
			var read []string
			seen := r.Pairs(n, "top", func(name string, k, v *yaml.Node) {
				if k.Value != name || v == nil {
					t.Errorf("field %s: %v %v", name, k, v)
				}
				read = append(read, name)
			})
			wantProblems(t, r, c.problems...)
			if strings.Join(read, " ") != c.read {
				t.Errorf("read are %q", read)
			}
			for _, name := range read {
				if !seen[name] {
					t.Errorf("%s is not among the keys %v", name, seen)
				}
			}
			if (seen == nil) != (n.Kind != yaml.MappingNode) {
				t.Errorf("the keys are %v", seen)
			}
		})
	}
}

func TestList(t *testing.T) {
	for name, c := range map[string]struct {
		content  string
		read     string
		problems []string
	}{
		"items":   {"- a\n- b\n", "top[0]=a top[1]=b", nil},
		"none":    {"[]", "", nil},
		"fields":  {"a: 1\n", "", []string{"f.yaml:1: top: a mapping where a list was expected: begin each item with a hyphen, or write [a, b]"}},
		"a value": {"secret", "", []string{"f.yaml:1: top: a single value where a list was expected: begin each item with a hyphen, or write [a, b]"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, n := root(t, c.content)
			var read []string
			r.List(n, "top", func(n *yaml.Node, field string) { read = append(read, field+"="+n.Value) })
			wantProblems(t, r, c.problems...)
			if strings.Join(read, " ") != c.read {
				t.Errorf("read are %q", read)
			}
		})
	}
}

func TestScalar(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		tags    []string
		value   string
		problem string
	}{
		"text":                      {"word", []string{"!!str"}, "word", ""},
		"a number":                  {"7", []string{"!!int", "!!float"}, "7", ""},
		"text in quotes":            {`"7"`, []string{"!!str"}, "7", ""},
		"an alias of it":            {"&a word", []string{"!!str"}, "word", ""},
		"nothing":                   {"~", []string{"!!str"}, "", "f.yaml:1: top: has no value: give a word, or remove the line"},
		"a number for text":         {"7", []string{"!!str"}, "", "f.yaml:1: top: the number 7 where a word was expected: put it in quotes"},
		"a truth value for text":    {"yes: 1\n", []string{"!!str"}, "", "f.yaml:1: top: a mapping where a word was expected"},
		"true for text":             {"true", []string{"!!str"}, "", "f.yaml:1: top: the truth value true where a word was expected: put it in quotes"},
		"text for a number":         {"word", []string{"!!int"}, "", `f.yaml:1: top: the text "word" where a word was expected`},
		"a date for text":           {"2020-01-02", []string{"!!str"}, "", `f.yaml:1: top: "2020-01-02", a timestamp, where a word was expected: put it in quotes`},
		"a list":                    {"\n- a", []string{"!!str"}, "", "f.yaml:2: top: a list where a word was expected"},
		"a tag of somebody's own":   {"!mine x", []string{"!!int"}, "", `f.yaml:1: top: "x", a !mine, where a word was expected`},
		"long text is not repeated": {strings.Repeat("x", 200), []string{"!!int"}, "", `f.yaml:1: top: the text "` + strings.Repeat("x", 100) + `…" where a word was expected`},
	} {
		t.Run(name, func(t *testing.T) {
			r, n := root(t, c.content)
			got, ok := r.Scalar(n, "top", "a word", c.tags...)
			if c.problem == "" {
				wantProblems(t, r)
			} else {
				wantProblems(t, r, c.problem)
			}
			if ok != (c.problem == "") || ok && got.Value != c.value {
				t.Errorf("it is %v, %v", got, ok)
			}
		})
	}
}

// A problem is told where the alias stands, which is what is to be mended.
func TestAliasesAreFollowed(t *testing.T) {
	r, n := root(t, "a: &x [1]\nb: *x\nc: &y word\nd: *y\n")
	r.Pairs(n, "", func(name string, _, v *yaml.Node) {
		switch name {
		case "b":
			r.Pairs(v, name, func(string, *yaml.Node, *yaml.Node) {})
			r.List(v, name, func(n *yaml.Node, field string) { r.Scalar(n, field, "a word", "!!str") })
			r.Scalar(v, name, "a word", "!!str")
		case "d":
			r.List(v, name, func(*yaml.Node, string) {})
			r.Scalar(v, name, "a number", "!!int")
		}
	})
	wantProblems(t, r,
		"f.yaml:2: b: a list where fields were expected: write it as name: value, one a line",
		"f.yaml:1: b[0]: the number 1 where a word was expected: put it in quotes",
		"f.yaml:2: b: a list where a word was expected",
		"f.yaml:4: d: a single value where a list was expected: begin each item with a hyphen, or write [a, b]",
		`f.yaml:4: d: the text "word" where a number was expected`,
	)
}

// Ten lists of ten aliases each, five deep, are 100,000 values in a file of a few lines.
func TestAliasesThatMultiplyAreGivenUp(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 5; i++ {
		item := fmt.Sprintf("*a%d, ", i-1)
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(item, 10), ", "))
	}
	r, n := root(t, b.String())
	walk(r, n, "")
	if !r.Stopped() || len(r.Problems) != 1 || !strings.HasSuffix(r.Problems[0].Text, "the file has more than 50000 values, counting aliases each time: remove some") || r.Problems[0].Line == 0 {
		t.Errorf("%v", texts(r.Problems))
	}
	if r.Node(n, "") != nil {
		t.Error("a node is read all the same")
	}
}

func TestSoManyProblemsEndIt(t *testing.T) {
	r, n := root(t, strings.Repeat("- 1\n", 3*MaxProblems))
	read := 0
	r.List(n, "top", func(n *yaml.Node, field string) {
		read++
		r.Scalar(n, field, "a word", "!!str")
	})
	if read != MaxProblems || len(r.Problems) != MaxProblems || !r.Stopped() {
		t.Errorf("%d were read, with %d problems", read, len(r.Problems))
	}
	err := r.Err()
	if err == nil || !strings.HasSuffix(err.Error(), "\nf.yaml: the rest of the file was not read: mend these first") {
		t.Errorf("%v", err)
	}
	if r.Pairs(n, "", nil) != nil {
		t.Error("more was read")
	}
}

func TestErrHasTheOrderOfTheFile(t *testing.T) {
	r := &Reader{File: "f.yaml"}
	if err := r.Err(); err != nil {
		t.Errorf("%v", err)
	}
	r.Problem(&yaml.Node{Line: 9}, "b", "late: %d", 2)
	r.Problem(&yaml.Node{Line: 3}, "a", "early")
	r.Problem(nil, "", "of it all")
	r.Warn(&yaml.Node{Line: 4}, "w", "only a warning: %s", "x")
	err := r.Err()
	var invalid *InvalidError
	if !errors.As(err, &invalid) || len(invalid.Problems) != 3 {
		t.Fatalf("%v", err)
	}
	const want = "f.yaml: of it all\nf.yaml:3: a: early\nf.yaml:9: b: late: 2"
	if err.Error() != want {
		t.Errorf("it says\n%v\nwant\n%s", err, want)
	}
	if r.Problems[0].Line != 9 {
		t.Error("the reader's own order changed")
	}
	if got := texts(r.Warnings); len(got) != 1 || got[0] != "f.yaml:4: w: only a warning: x" {
		t.Errorf("the warnings are %q", got)
	}
}

func TestDescribe(t *testing.T) {
	for want, n := range map[string]*yaml.Node{
		"a mapping":            {Kind: yaml.MappingNode},
		"a list":               {Kind: yaml.SequenceNode},
		"an alias":             {Kind: yaml.AliasNode},
		"something else":       {Kind: yaml.DocumentNode},
		"nothing":              {Kind: yaml.ScalarNode, Tag: "!!null"},
		"the number 1.5":       {Kind: yaml.ScalarNode, Tag: "!!float", Value: "1.5"},
		"the number 7":         {Kind: yaml.ScalarNode, Tag: "!!int", Value: "7"},
		"the truth value true": {Kind: yaml.ScalarNode, Tag: "!!bool", Value: "true"},
		`the text "a\"b"`:      {Kind: yaml.ScalarNode, Tag: "!!str", Value: `a"b`},
		`"x", a binary,`:       {Kind: yaml.ScalarNode, Tag: "!!binary", Value: "x"},
	} {
		if got := Describe(n); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestJoinAndClip(t *testing.T) {
	long := strings.Repeat("x", 99)
	for _, c := range []struct{ got, want string }{
		{Join("", "a"), "a"},
		{Join("a", "b"), "a.b"},
		{Join("a", long+"ä"), "a." + long + "…"}, // not half of a character
		{Clip(long + "y"), long + "y"},
		{Clip(long + "yz"), long + "y…"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// walk reads all of a node by the reader's own methods. A field has one name however deep it is: a mapping
// may hold itself, by an alias.
func walk(r *Reader, n *yaml.Node, field string) {
	kind := n.Kind
	if n.Kind == yaml.AliasNode {
		kind = n.Alias.Kind
	}
	switch kind {
	case yaml.MappingNode:
		r.Pairs(n, field, func(_ string, _, v *yaml.Node) { walk(r, v, field) })
	case yaml.SequenceNode:
		r.List(n, field, func(n *yaml.Node, _ string) { walk(r, n, field) })
	default:
		r.Scalar(n, field, "a word", "!!str")
	}
}

// FuzzReader reads any content to its end: all of its problems are told, at lines that it has.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{"", "a: 1\n", "- a\n- [b, c]\n", "a: &x {b: *x}\n", "? [a]\n: b\n", "a: 1\n---\nb: 2\n", "<<: {a: 1}\n", "a: !x y\n", "a: *b\n", "\"", "\x00", "\xff", "a:\n\t- b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		r := &Reader{File: "f.yaml"}
		if n := r.Document([]byte(content), "fields"); n != nil {
			walk(r, n, "")
		}
		lines := 1
		for _, c := range content {
			if strings.ContainsRune("\n\r\u0085\u2028\u2029", c) {
				lines++
			}
		}
		if len(r.Problems) > MaxProblems {
			t.Errorf("%d problems", len(r.Problems))
		}
		for _, p := range r.Problems {
			if p.File != "f.yaml" || p.Text == "" || p.Line < 0 || p.Line > lines+1 {
				t.Errorf("of %d lines: %+v", lines, p)
			}
		}
		if err := r.Err(); (err != nil) != (len(r.Problems) > 0) {
			t.Errorf("%v, with %d problems", err, len(r.Problems))
		}
	})
}
