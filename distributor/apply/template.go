package apply

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"text/template"

	"github.com/fenceline/fenceline/messages"
)

// written is FormatTemplate.
type written struct{ *template.Template }

// maxTemplate bounds a template, and what it makes.
const maxTemplate = 1 << 20

// readTemplate reads a template, and tries it, so that its mistakes are known before there is an image.
func readTemplate(file string) (form, error) {
	if file == "" {
		return nil, wrong(FieldTemplate, "the file with the template is missing")
	}
	f, err := readBounded(file, maxTemplate)
	if err != nil {
		return nil, wrong(FieldTemplate, "reading the template: %w", err)
	}
	t, err := template.New(file).Option("missingkey=error").Parse(string(f))
	if err != nil {
		return nil, wrong(FieldTemplate, "%s:%s", file, parseMistake(string(f), err))
	}
	w := written{t}
	if _, _, err := w.render(nil, sample()); err != nil {
		return nil, wrong(FieldTemplate, "%w", err)
	}
	return w, nil
}

func (written) name() string { return FormatTemplate }

func (w written) render(content []byte, v Values) ([]byte, string, error) {
	out := bounded{most: maxTemplate}
	if err := w.Execute(&out, v); err != nil {
		if errors.Is(err, errTooLong) {
			return nil, "", fmt.Errorf("template %s: %w", w.Name(), err)
		}
		return nil, "", fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "template: ")) // has the file, line and column
	}
	return out.Bytes(), namedIn(content), nil
}

// bounded is a buffer that takes so much.
type bounded struct {
	bytes.Buffer
	most int
}

var errTooLong = errors.New("makes more than a file may hold")

// Write takes b, or nothing of it.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.most {
		return 0, errTooLong
	}
	return b.Buffer.Write(p)
}

var parseError = regexp.MustCompile(`(?s)^template: .*?:(\d+): (.*)$`)

// parseMistake is a mistake of a template's form as LINE:COLUMN: what. The library says the line alone:
// the column is that of the first action with which the text has the same mistake.
func parseMistake(text string, err error) string {
	line, what := 1, strings.TrimPrefix(err.Error(), "template: ")
	if m := parseError.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
		what = m[2]
	}
	at := strings.LastIndex(text, "{{")
	for end := 0; ; {
		i := strings.Index(text[end:], "}}")
		if i < 0 {
			break
		}
		end += i + 2
		_, part := template.New("").Parse(text[:end])
		if part != nil && !strings.Contains(part.Error(), "unexpected EOF") {
			at = strings.LastIndex(text[:end], "{{")
			break
		}
	}
	if at < 0 {
		return fmt.Sprintf("%d:1: %s", line, what)
	}
	before := text[:at]
	return fmt.Sprintf("%d:%d: %s", 1+strings.Count(before, "\n"), at-strings.LastIndex(before, "\n"), messages.Shorten(what, 500))
}

// readBounded reads a file of at most so many bytes.
func readBounded(file string, most int64) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder: name a file", file)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no ordinary file: name one", file)
	case info.Size() > most:
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", file, info.Size(), most)
	}
	return os.ReadFile(file)
}
