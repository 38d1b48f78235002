package producer

import (
	stdlog "log"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

// NewServer returns a server for a producer's handler, bounded in every phase of a request
// so that no sender can hold a connection for long. Its caller gives it a listener.
func NewServer(handler http.Handler, logger zerolog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       bodyTimeout + 15*time.Second, // above the handler's own, which answers
		WriteTimeout:      2 * time.Minute,              // a body, a look-up of a branch, a store
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          stdlog.New(logger.With().Str("part", "http").Logger(), "", 0),
	}
}
