package console

import (
	"context"
	"net/http"

	"github.com/fenceline/fenceline/messages"
)

// traceKey is where a request's context has the ID of its trace.
type traceKey struct{}

// traceOf is the ID of the trace that a request is on.
func traceOf(r *http.Request) string {
	id, _ := r.Context().Value(traceKey{}).(string)
	return id
}

// traced has each request on a trace, the sender's or one of its own. The log names it of what is refused or fails, and so does
// the page, so that who is told of the one finds the other.
func (c *Console) traced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := messages.TraceID(messages.TraceOf(r.Header.Get("Traceparent")))
		seen := &statusOfAnswer{ResponseWriter: w}
		next.ServeHTTP(seen, r.WithContext(context.WithValue(r.Context(), traceKey{}, id)))
		if seen.status < http.StatusBadRequest {
			return
		}
		log := c.log.Info()
		if seen.status >= http.StatusInternalServerError {
			log = c.log.Warn()
		}
		log.Str("trace", id).Int("status", seen.status).Str("method", r.Method).Str("path", messages.Shorten(r.URL.Path, filterMost)).Str("from", c.sender(r)).
			Msg("answered with an error")
	})
}

// statusOfAnswer notes the status of an answer.
type statusOfAnswer struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes it.
func (w *statusOfAnswer) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusOfAnswer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
