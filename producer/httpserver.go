package producer

import (
	stdlog "log"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

// maxHeaderBytes is far above the headers of any forge, which have some 2 KiB.
const maxHeaderBytes = 16 << 10

// NewServer returns a server for a producer's handler, bounded in every phase of a request
// and in the number of connections, so that no sender can hold much for long. Its caller gives
// it a listener.
func NewServer(handler http.Handler, logger zerolog.Logger) *http.Server {
	return newServer(handler, logger, maxConnections)
}

// BoundConnections bounds how many connections a server of another role has, as those of a producer are: past that the oldest
// of the address that has most makes way, unless Keep was told of its request.
func BoundConnections(s *http.Server, most int) {
	conns := &connections{most: most}
	s.ConnContext, s.ConnState = conns.opened, conns.changed
}

// newServer is NewServer with another bound of connections.
func newServer(handler http.Handler, logger zerolog.Logger, most int) *http.Server {
	conns := &connections{most: most}
	one := new(http.Protocols)
	one.SetHTTP1(true) // a connection has one request at a time, which the bounds count on
	return &http.Server{
		Protocols:         one,
		ConnContext:       conns.opened,
		ConnState:         conns.changed,
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       bodyTimeout + 15*time.Second, // above the handler's own, which answers
		WriteTimeout:      2 * time.Minute,              // a body, a look-up of a branch, a store
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          stdlog.New(logger.With().Str("part", "http").Logger(), "", 0),
	}
}
