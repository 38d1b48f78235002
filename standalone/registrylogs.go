package standalone

import (
	"io"
	"net/http"

	"github.com/rs/zerolog"
	"github.com/sirupsen/logrus"
)

// RedirectLogrus sends what libraries log through logrus, the registry's above all, to
// logger. Logrus has one logger for the process, so this is for the program that starts the
// registry, once.
func RedirectLogrus(logger zerolog.Logger) {
	std := logrus.StandardLogger()
	std.SetOutput(io.Discard)
	std.SetFormatter(noFormat{})
	std.SetLevel(logrus.WarnLevel)
	hooks := make(logrus.LevelHooks)
	hooks.Add(&logrusHook{logger})
	std.ReplaceHooks(hooks)
}

// noFormat saves the work of writing lines that go nowhere.
type noFormat struct{}

func (noFormat) Format(*logrus.Entry) ([]byte, error) { return nil, nil }

// logrusHook passes entries on.
type logrusHook struct{ logger zerolog.Logger }

func (*logrusHook) Levels() []logrus.Level { return logrus.AllLevels }

func (h *logrusHook) Fire(e *logrus.Entry) error {
	event := h.logger.WithLevel(zerologLevel(e))
	for _, key := range []string{"err.code", "err.message", "err.detail", "error", "http.request.method", "http.request.uri", "vars.name"} {
		if v, ok := e.Data[key]; ok {
			event = event.Interface(key, plain(v))
		}
	}
	event.Msg(e.Message)
	return nil
}

// plain makes an error readable, which marshals as {}.
func plain(v any) any {
	if err, ok := v.(error); ok {
		return err.Error()
	}
	return v
}

// zerologLevel is an entry's level. The registry logs an error for everything that it is asked for and
// doesn't have, as every push asks before it sends: of no use to its operator.
func zerologLevel(e *logrus.Entry) zerolog.Level {
	if status, ok := e.Data["http.response.status"].(int); ok && status < http.StatusInternalServerError {
		return zerolog.DebugLevel
	}
	switch e.Level {
	case logrus.PanicLevel, logrus.FatalLevel, logrus.ErrorLevel:
		return zerolog.ErrorLevel
	case logrus.WarnLevel:
		return zerolog.WarnLevel
	}
	return zerolog.DebugLevel
}
