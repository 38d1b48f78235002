// Package websocket stands where Docker 1.3 looks for its way to attach to a container from a browser, which no test
// needs.
package websocket

import (
	"io"
	"net/http"
)

// Conn is never made.
type Conn struct{ io.ReadWriteCloser }

// Handler refuses every request.
type Handler func(*Conn)

// ServeHTTP refuses it.
func (Handler) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "not built", http.StatusNotImplemented)
}
