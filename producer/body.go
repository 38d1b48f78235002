package producer

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// maxHookBytes is GitHub's documented cap of a payload: 25 MB.
	maxHookBytes = 25 << 20
	// maxCallBytes is far above any call of the API.
	maxCallBytes = 64 << 10
	// bodyTimeout is how long a sender may take for a body: GitHub and GitLab give up after
	// as long.
	bodyTimeout = 10 * time.Second
	// firstBytes is what any body may have: together they are bounded by maxConnections. What has
	// more takes all of it from the room.
	firstBytes = 32 << 10
	// roomBytes bounds what larger bodies take together, since anybody can send them.
	// What arrived counts, not what was announced: to keep it full, a sender has to send
	// half as much in each bodyTimeout.
	roomBytes = 128 << 20
	// leastBytes is what a body is given at first. It is given more as it comes.
	leastBytes = 1 << 10
)

// body is a request's body and what it takes of the room.
type body struct {
	bytes []byte
	room  *semaphore.Weighted
	taken int64
}

func (b *body) release() { b.room.Release(b.taken) }

// grow doubles what the body can hold, up to limit, if there is room for it beside what it has.
func (b *body) grow(limit int64) bool {
	size := min(2*int64(cap(b.bytes)), limit)
	taken := int64(0)
	if size > firstBytes+1 {
		if taken = size; !b.room.TryAcquire(taken) {
			return false
		}
	}
	b.bytes = append(make([]byte, 0, size), b.bytes...)
	b.room.Release(b.taken)
	b.taken = taken
	return true
}

// readBody reads a request's body within its bounds. The caller releases it. Its error is a
// refusal for the sender.
func (p *Producer) readBody(w http.ResponseWriter, r *http.Request, maxBytes int64) (*body, *refusal) {
	if r.ContentLength > maxBytes {
		w.Header().Set("Connection", "close")
		return nil, tooLarge(maxBytes)
	}
	// Where the connection has no deadlines of its own, the server's own bound counts.
	err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, refuse(http.StatusInternalServerError, "the body's deadline can't be set: %v", err)
	}
	size := int64(leastBytes)
	if r.ContentLength >= 0 {
		size = min(r.ContentLength, leastBytes)
	}
	b := &body{bytes: make([]byte, 0, size+1), room: p.room} // one more, to see the end
	source := http.MaxBytesReader(bare(w), r.Body, maxBytes)
	for err = nil; err == nil; {
		if len(b.bytes) == cap(b.bytes) && !b.grow(maxBytes+1) {
			b.release()
			w.Header().Set("Connection", "close")
			return nil, refuse(http.StatusServiceUnavailable, "too many large requests at once: send it again").after(retrySoon)
		}
		var n int
		n, err = source.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
	}
	if !errors.Is(err, io.EOF) {
		b.release()
		return nil, unread(w, err, maxBytes, len(b.bytes))
	}
	return b, nil
}

// bare is the server's own ResponseWriter, which http.MaxBytesReader has close the connection.
func bare(w http.ResponseWriter) http.ResponseWriter {
	if n, ok := w.(noting); ok {
		return n.ResponseWriter
	}
	return w
}

// unread makes a refusal of what kept a body from being read.
func unread(w http.ResponseWriter, err error, maxBytes int64, got int) *refusal {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge(maxBytes)
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		return refuse(http.StatusRequestTimeout, "the body did not arrive within %v: send it again", bodyTimeout)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(http.StatusBadRequest, "the body ended after %d bytes, before its Content-Length: send it again", got)
	}
	return refuse(http.StatusBadRequest, "the body can't be read: %v", err)
}

func tooLarge(maxBytes int64) *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "the body has more than %d bytes, which none that is meant for here has: look at what sends it", maxBytes)
}
