package console

import (
	stdlog "log"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

const (
	// maxForm bounds, in bytes, what a form may have.
	maxForm = 64 << 10
	// maxHeader is far above what browsers send.
	maxHeader = 32 << 10
)

// policy lets a page have the console's own style, script, pictures and answers, and nothing else from anywhere: no script or
// style that stands in a page runs, whatever got into it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// headers gives every answer what keeps browsers strict.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// bounded bounds what a request may send.
func bounded(next http.Handler) http.Handler { return http.MaxBytesHandler(next, maxForm) }

// NewServer returns a server for a console's handler, bounded in every phase of a request. A stream of changes sets
// deadlines of its own.
func NewServer(handler http.Handler, logger zerolog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      2 * time.Minute, // a promotion waits for heartbeats
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          stdlog.New(logger.With().Str("part", "http").Logger(), "", 0),
	}
}

// peer is the address at the other end of a request's connection, without its port.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
