package tracing

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel"
)

// toldEvery is how often the log says that spans can't be sent.
const toldEvery = time.Minute

// handleErrors has what goes wrong with sending spans logged, once a minute. OpenTelemetry has one place for it in a process.
func handleErrors(log zerolog.Logger) { otel.SetErrorHandler(&errorLog{log: log}) }

type errorLog struct {
	log zerolog.Logger

	mu   sync.Mutex
	last time.Time
	more int
}

// Handle logs an error, or counts it.
func (l *errorLog) Handle(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.last) < toldEvery {
		l.more++
		return
	}
	text := safe(withoutValues(err).Error())
	l.log.Warn().Str("error", text).Int("unsaid", l.more).Msg("spans can't be sent: work goes on without; see that the collector of the OTEL_… variables is up")
	l.last, l.more = time.Now(), 0
}

// Logged gives the log's line, or all that a logger writes, the trace that it is about, by its ID. "" is none, and nothing is said of it.
func Logged[L interface{ Str(key, value string) L }](log L, id string) L {
	if id == "" {
		return log
	}
	return log.Str("trace", id)
}
