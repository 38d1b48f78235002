package producer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	// maxHookBytes is GitHub's documented cap of a payload: 25 MB.
	maxHookBytes = 25 << 20
	// maxCallBytes is far above any call of the API.
	maxCallBytes = 64 << 10
	// bodyTimeout is how long a sender may take for a body.
	bodyTimeout = 30 * time.Second
	// firstBytes is what is set aside before a body shows that it has more.
	firstBytes = 64 << 10
)

// readBody reads a request's body within its bounds. Its error is a refusal for the sender.
func readBody(w http.ResponseWriter, r *http.Request, maxBytes int64, timeout time.Duration) ([]byte, *refusal) {
	if r.ContentLength > maxBytes {
		w.Header().Set("Connection", "close")
		return nil, tooLarge(maxBytes)
	}
	// Where the connection has no deadlines of its own, the server's own bound counts.
	err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(timeout))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, refuse(http.StatusInternalServerError, "the body's deadline can't be set: %v", err)
	}
	var b bytes.Buffer
	b.Grow(int(min(max(r.ContentLength, 0), firstBytes)) + bytes.MinRead)
	_, err = b.ReadFrom(http.MaxBytesReader(w, r.Body, maxBytes))
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return b.Bytes(), nil
	case errors.As(err, &large):
		return nil, tooLarge(maxBytes)
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		return nil, refuse(http.StatusRequestTimeout, "the body did not arrive within %v: send it again", timeout)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, refuse(http.StatusBadRequest, "the body ended after %d bytes, before its Content-Length: send it again", b.Len())
	}
	return nil, refuse(http.StatusBadRequest, "the body can't be read: %v", err)
}

func tooLarge(maxBytes int64) *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", maxBytes)
}

// refusal is an answer other than 2xx.
type refusal struct {
	status int
	reason string
	retry  time.Duration // when to send again; 0 for never the same
}

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, reason: fmt.Sprintf(format, args...)}
}

func (r *refusal) after(d time.Duration) *refusal { r.retry = d; return r }
