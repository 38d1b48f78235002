package apply

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
)

func TestSettingsThatCantBeCarriedOut(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "image")
	template := func(text string) string {
		path := filepath.Join(dir, "t"+strings.Map(func(r rune) rune {
			if r == '/' {
				return '_'
			}
			return r
		}, t.Name())+".tmpl")
		write(t, path, text)
		return path
	}
	for name, c := range map[string]struct {
		config Config
		field  string
		says   string
	}{
		"no file":                      {Config{Command: "true"}, FieldFile, "missing"},
		"an unknown form":              {Config{File: file, Format: "tom"}, FieldFormat, `did you mean "toml"?`},
		"a key of no use":              {Config{File: file, Key: "X"}, FieldKey, "format plain has no key"},
		"no variable":                  {Config{File: file, Format: FormatEnv, Key: "A B"}, FieldKey, "is not the name of a variable"},
		"no key":                       {Config{File: file, Format: FormatTOML, Key: "a..b"}, FieldKey, "is not the key of a TOML file"},
		"a name of nothing":            {Config{File: file, Format: FormatTOML, Key: "a[b]"}, FieldKey, "is not the key of a TOML file"},
		"a template and another form":  {Config{File: file, Format: FormatJSON, Template: "x"}, FieldTemplate, "leave one of them out"},
		"no template":                  {Config{File: file, Format: FormatTemplate}, FieldTemplate, "missing"},
		"a template that is not there": {Config{File: file, Template: filepath.Join(dir, "none")}, FieldTemplate, "no such file"},
		"a template that is a folder":  {Config{File: file, Template: dir}, FieldTemplate, "is a folder"},
		"a negative limit":             {Config{File: file, Timeout: -1}, FieldTimeout, "negative"},
		"a limit of no command":        {Config{File: file, Timeout: 3 * time.Second}, FieldTimeout, "none is given"},
		"its own state":                {Config{File: file, State: file}, FieldState, "is the file that is written itself"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(c.config)
			var field *FieldError
			if !errors.As(err, &field) || field.Field != c.field || !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %v", err)
			}
		})
	}
	for name, c := range map[string]struct{ text, says string }{
		"an unknown field":     {"a\n  {{.Imge}}\n", ":2:4: "},
		"an unknown function":  {"a\n  {{ .Image }} {{ upper .Image }}\n", `:2:16: function "upper" not defined`},
		"an end too many":      {"a {{.Image}}\nb {{end}}", ":2:3: unexpected {{end}}"},
		"no end":               {"a\n{{if .Image}}\nb", ":2:1: unexpected EOF"},
		"an action not closed": {"a {{.Image\n", ":1:3: "},
		"a bad operand":        {"{{.Image}}{{ 1a }}", ":1:11: bad number"},
	} {
		t.Run(name, func(t *testing.T) {
			path := template(c.text)
			_, err := New(Config{File: file, Template: path})
			if err == nil || !strings.Contains(err.Error(), path+c.says) {
				t.Errorf("it says %v, without %q", err, c.says)
			}
		})
	}
}

func TestFormsOfAFile(t *testing.T) {
	v := change("1", 7).Values
	v.Previous = image("0")
	tmpl := filepath.Join(t.TempDir(), "unit.tmpl")
	write(t, tmpl, "# {{.Fleet}}\n{{with .Previous}}was {{.}}\n{{end}}image={{.Name}} {{.Digest}}\n")
	for name, c := range map[string]struct {
		config    Config
		from, had string
		want      string
	}{
		"plain":                        {Config{}, " old \nx", "old", image("1") + "\n"},
		"JSON":                         {Config{Format: FormatJSON}, `{"image":"` + image("2") + `"}`, image("2"), ""},
		"a template":                   {Config{Template: tmpl}, "", "", "# prod\nwas " + image("0") + "\nimage=registry.example/base sha256:" + strings.Repeat("1", 64) + "\n"},
		"a variable of nothing":        {Config{Format: FormatEnv}, "", "", "FENCELINE_IMAGE=" + image("1") + "\n"},
		"a variable that is new":       {Config{Format: FormatEnv, Key: "IMG"}, "A=1", "", "A=1\nIMG=" + image("1") + "\n"},
		"a variable among others":      {Config{Format: FormatEnv, Key: "IMG"}, "# IMG=x\nIMG2=y\n  export IMG='old'  # c\nA=\"x\nIMG=no\"\n", "'old'  # c", "# IMG=x\nIMG2=y\n  export IMG=" + image("1") + "\nA=\"x\nIMG=no\"\n"},
		"a variable twice":             {Config{Format: FormatEnv, Key: "IMG"}, "IMG=a\r\nB=1\r\nIMG=b", "b", "IMG=" + image("1") + "\r\nB=1\r\nIMG=" + image("1")},
		"a variable over lines":        {Config{Format: FormatEnv, Key: "IMG"}, "IMG=a\\\nb\nB=\\\nIMG=c\n", `a\`, "IMG=" + image("1") + "\nB=\\\nIMG=c\n"},
		"a key in all tables":          {Config{Format: FormatTOML}, "[[runners]]\n[runners.docker]\nimage = \"a\" # c\n[[runners]]\n  docker = {x=1, image='b'}\n", "a", "[[runners]]\n[runners.docker]\nimage = \"" + image("1") + "\" # c\n[[runners]]\n  docker = {x=1, image=\"" + image("1") + "\"}\n"},
		"a key of the table of a name": {Config{Format: FormatTOML, Key: "runners[two words].docker.image"}, "[[runners]]\nname='one'\n[runners.docker]\nimage = \"a\"\n[[runners]]\nname = \"two words\"\ndocker.image = \"\"\"\nb\"\"\"\n", `b`, "[[runners]]\nname='one'\n[runners.docker]\nimage = \"a\"\n[[runners]]\nname = \"two words\"\ndocker.image = \"" + image("1") + "\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c.config.File = "/x"
			f, err := newForm(c.config)
			if err != nil {
				t.Fatal(err)
			}
			out, had, err := f.render([]byte(c.from), v)
			if c.want == "" {
				b, _ := json.MarshalIndent(v, "", "  ")
				c.want = string(b) + "\n"
			}
			if err != nil || string(out) != c.want || had != c.had {
				t.Errorf("it is %q, had %q; want %q, %q; %v", out, had, c.want, c.had, err)
			}
			again, _, err := f.render(out, v)
			if err != nil || !bytes.Equal(again, out) {
				t.Errorf("again, it is %q, %v", again, err)
			}
		})
	}
}

func TestFilesThatHaveNoPlaceForIt(t *testing.T) {
	for name, c := range map[string]struct{ format, from, says string }{
		"a quote that is not closed": {FormatEnv, "A=1\nB='x\nC=2\n", "line 2: its quote is not closed"},
		"a last backslash":           {FormatEnv, "A=1\\", "ends in a backslash"},
		"no such key":                {FormatTOML, "[[runners]]\n[runners.docker]\nimages = 'x'\n", "has no runners.docker.image"},
		"no TOML":                    {FormatTOML, "[[runners]]\nx = \n", "line 2, column 5: is no TOML"},
		"an image that is no text":   {FormatTOML, "[runners]\ndocker.image = 7\n", "has no runners.docker.image"},
	} {
		f, err := newForm(Config{File: "/x", Format: c.format})
		if err != nil {
			t.Fatal(err)
		}
		if out, _, err := f.render([]byte(c.from), change("1", 1).Values); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

// FuzzEnv holds what is written to what a shell makes of it: the variable is the image, and all others
// are as before.
func FuzzEnv(f *testing.F) {
	for _, seed := range []string{"", "A=1\nIMG=x\n", "IMG='a\nb'\nB=\"c\\\"\nIMG=d\"\n", "IMG=\\\nB=1", "export IMG=1\r\n# IMG=\n;x\n", "=\nIMG\n", "A='", "0=\\\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, from string) {
		v := change("1", 1).Values
		out, _, err := variable{"IMG"}.render([]byte(from), v)
		if err != nil {
			return
		}
		all, open := assignments(out)
		set := 0
		for _, a := range all {
			if string(out[a.key[0]:a.key[1]]) == "IMG" {
				set++
				if got := string(out[a.value[0]:a.value[1]]); got != v.Image {
					t.Fatalf("%q sets it to %q", out, got)
				}
			}
		}
		if open > 0 || set == 0 {
			t.Fatalf("%q, of %q, sets it %d times; line %d is open", out, from, set, open)
		}
		if again, _, err := (variable{"IMG"}).render(out, v); err != nil || !bytes.Equal(again, out) {
			t.Fatalf("%q becomes %q, %v", out, again, err)
		}
		before, _ := assignments([]byte(from))
		rest := func(b []byte, all []assignment) string {
			for _, a := range slices.Backward(all) {
				if string(b[a.key[0]:a.key[1]]) == "IMG" {
					b = slices.Delete(slices.Clone(b), a.value[0], a.value[1])
				}
			}
			return string(b)
		}
		if was, is := rest([]byte(from), before), rest(out, all); was != is && !strings.HasSuffix(is, "IMG=\n") {
			t.Fatalf("beside it %q became %q", was, is)
		}
	})
}

// TestAShellReadsWhatIsWritten, as an EnvironmentFile is read.
func TestAShellReadsWhatIsWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	from := "# IMG=a comment\nA='two\nlines'\nIMG=\"old\nIMG=no\"\nB=\"say \\\"IMG=x\\\"\"\n"
	out, _, err := variable{"IMG"}.render([]byte(from), change("1", 1).Values)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, string(out))
	got, err := exec.Command("sh", "-c", `. "$0"; printf '%s|%s|%s' "$A" "$IMG" "$B"`, file).CombinedOutput()
	if want := "two\nlines|" + image("1") + `|say "IMG=x"`; err != nil || string(got) != want {
		t.Errorf("a shell reads %q, want %q; %v", got, want, err)
	}
}

// FuzzTOML holds what is written to what another reader of TOML makes of it: only images differ.
func FuzzTOML(f *testing.F) {
	for _, seed := range []string{
		"[[runners]]\n[runners.docker]\nimage=\"a\"\n", "runners.docker.image='''\n'''", "[runners]\ndocker={image=\"x\",y=[1,2]}\n",
		"[[runners]]\nname=\"a\"\n[runners.docker]\nimage=\"a\"#\n[[runners]]", "\"runners\".docker.image=\"\\u0041\"", "[runners.docker]\nimage=\"\"\"a\"\"\"\"\"\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, from string) {
		k, err := newTOMLKey("")
		if err != nil {
			t.Fatal(err)
		}
		var was, is map[string]any
		if toml.Unmarshal([]byte(from), &was) != nil {
			return // what is no TOML may be refused or not
		}
		out, _, err := k.render([]byte(from), change("1", 1).Values)
		if err != nil {
			return
		}
		if err := toml.Unmarshal(out, &is); err != nil {
			t.Fatalf("%q, of %q: %v", out, from, err)
		}
		blank(was)
		blank(is)
		a, _ := json.Marshal(was)
		b, _ := json.Marshal(is)
		if !bytes.Equal(a, b) {
			t.Fatalf("%q became %q: %s, %s", from, out, a, b)
		}
	})
}

// blank empties the image of each runner.
func blank(of map[string]any) {
	all, ok := of["runners"].([]any)
	if !ok {
		all = []any{of["runners"]}
	}
	for _, r := range all {
		if r, ok := r.(map[string]any); ok {
			if d, ok := r["docker"].(map[string]any); ok {
				if _, ok := d["image"].(string); ok {
					d["image"] = ""
				}
			}
		}
	}
}

// FuzzTemplate never panics, and names a line and a column of a mistake.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"{{.Image}}", "{{", "}}{{end}}", "{{/* */}}{{x}}", "{{range}}", "\n\n{{.X}}", "{{define \"a\"}}{{end}}{{template \"b\"}}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "t")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readTemplate(path); err != nil && !errors.As(err, new(*FieldError)) {
			t.Fatalf("%v", err)
		}
	})
}
