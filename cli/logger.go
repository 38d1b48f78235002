package cli

import (
	"io"

	"github.com/fenceline/fenceline/terminal"
	"github.com/rs/zerolog"
)

// NewLogger logs to w: JSON, or for people when w is a terminal. What a terminal would obey is made
// visible in both.
func NewLogger(w io.Writer, verbose bool) zerolog.Logger {
	level := zerolog.InfoLevel
	if verbose {
		level = zerolog.DebugLevel
	}
	to, isTerminal := terminal.Behind(w)
	if isTerminal {
		to = forPeople(to)
	} else {
		to = jsonLog{to}
	}
	return zerolog.New(to).Level(level).With().Timestamp().Logger()
}

// forPeople writes log lines as people read them. Their colours pass; what was logged is filtered.
func forPeople(w io.Writer) io.Writer {
	return zerolog.ConsoleWriter{
		Out: w, TimeFormat: "15:04:05.000", NoColor: !terminal.Colours(),
		FormatPrepare: func(line map[string]any) error {
			for name, v := range line {
				text, isText := v.(string)
				switch {
				case name == zerolog.MessageFieldName:
					line[name] = terminal.Continued(text)
				case !isText: // text is quoted as it is
					line[name] = logged(v)
				}
			}
			return nil
		},
	}
}

// logged is a list or an object of a log line, filtered, as deep as it goes.
func logged(v any) any {
	switch v := v.(type) {
	case string:
		return terminal.Visible(v)
	case map[string]any:
		for name, x := range v {
			v[name] = logged(x)
		}
	case []any:
		for i, x := range v {
			v[i] = logged(x)
		}
	}
	return v
}

// jsonLog passes on log lines of JSON.
type jsonLog struct{ to io.Writer }

// Write passes on one line.
func (l jsonLog) Write(p []byte) (int, error) {
	if _, err := l.to.Write(terminal.VisibleJSON(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}
