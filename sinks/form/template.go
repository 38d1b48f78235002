package form

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/template"
)

// The forms of chats.
//
//go:embed *.tmpl
var chats embed.FS

// bodyMost bounds what a template makes, in bytes: chats take less.
const bodyMost = 256 << 10

// Template makes JSON of events.
type Template struct{ parsed *template.Template }

// functions are what templates call beside those of text/template. They take its html's place: print's of text/template
// escapes for HTML, too, but writes what is no text otherwise.
var functions = template.FuncMap{ //nolint:gochecknoglobals // a constant
	"json":     toJSON,
	"slack":    slack,
	"markdown": markdown,
	"html":     escapeHTML,
}

// toJSON is a value as JSON, with the quotes of text.
func toJSON(v any) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return strings.TrimRight(out.String(), "\n"), err
}

// ParseTemplate reads a template, and tries it with an event of each type: what makes no JSON of one is refused. The name is in
// errors, with the line.
func ParseTemplate(name, text string) (*Template, error) {
	parsed, err := template.New(name).Funcs(functions).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, unprefixed(err)
	}
	if err := checkNumbers(parsed); err != nil {
		return nil, err
	}
	t := &Template{parsed}
	for _, e := range Samples() {
		if _, err := t.Make(e); err != nil {
			return nil, fmt.Errorf("of an event %s: %w", e.Type, err)
		}
	}
	return t, nil
}

// unprefixed is an error of text/template without the word that it begins with.
func unprefixed(err error) error { return errors.New(strings.TrimPrefix(err.Error(), "template: ")) }

// Mark is a sign before the sentence, by severity, for who looks over many.
func (e *Event) Mark() string {
	return map[Severity]string{Info: "ℹ️", Warning: "⚠️", Error: "🛑"}[e.Severity]
}

// errLong ends a template that makes too much.
var errLong = fmt.Errorf("it makes more than %d bytes", bodyMost)

// bounded is a buffer that takes so much and no more.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > bodyMost {
		return 0, errLong
	}
	return b.Buffer.Write(p)
}

// Make is what the template makes of an event: JSON on one line.
func (t *Template) Make(e *Event) ([]byte, error) {
	var made bounded
	if err := t.parsed.Execute(&made, e); err != nil {
		return nil, unprefixed(err)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, made.Bytes()); err != nil {
		line, near := place(made.Bytes(), err)
		return nil, fmt.Errorf("what it makes is no JSON: %w, at line %d of what it makes, near %q: give text through json, as in {{json .Text}}", err, line, near)
	}
	return out.Bytes(), nil
}

// place is where JSON is wrong: its line, and the text there.
func place(made []byte, err error) (line int, near string) {
	at := len(made)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		at = min(int(syntax.Offset), len(made))
	}
	return 1 + bytes.Count(made[:at], []byte("\n")), string(made[max(0, at-20):min(len(made), at+20)])
}

// chat is the template of a built-in form.
func chat(f Format) (*Template, error) {
	text, err := chats.ReadFile(string(f) + ".tmpl")
	if err != nil {
		return nil, err
	}
	return ParseTemplate(string(f)+".tmpl", string(text))
}
