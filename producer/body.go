package producer

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	// maxHookBytes is GitHub's documented cap of a payload: 25 MB.
	maxHookBytes = 25 << 20
	// maxCallBytes is far above any call of the API.
	maxCallBytes = 64 << 10
	// bodyTimeout is how long a sender may take for a body: GitHub and GitLab give up after
	// as long.
	bodyTimeout = 10 * time.Second
	// A sender has slowStart for the first bytes of a body, and for what follows as long as it takes at slowestRate
	// bytes a second.
	slowStart   = 5 * time.Second
	slowestRate = 8 << 10
	// firstBytes is what any body may have: together they are bounded by maxConnections. What has
	// more takes all of it from the room.
	firstBytes = 32 << 10
	// roomBytes bounds what larger bodies take together, since anybody can send them.
	// What arrived counts, not what was announced.
	roomBytes = 96 << 20
	// leastBytes is what a body is given at first. It is given more as it comes.
	leastBytes = 1 << 10
)

// body is a request's body and what it takes of the room.
type body struct {
	bytes []byte
	room  *bodyRoom
	began time.Time
	end   func() // has reading it fail, soon

	// The room's own, under its lock.
	taken int64
	got   int64 // of it so far
	whole bool  // there is no more to come
	ended bool  // it makes way for another
}

func (b *body) release() { b.room.giveBack(b) }

// grow doubles what the body can hold, up to limit, if there is room for it beside what it has.
func (b *body) grow(limit int64) bool {
	size := min(2*int64(cap(b.bytes)), limit)
	if size > firstBytes+1 && !b.room.take(b, size) {
		return false
	}
	b.bytes = append(make([]byte, 0, size), b.bytes...)
	return true
}

// readBody reads a request's body within its bounds. The caller releases it. Its error is a
// refusal for the sender.
func (p *Producer) readBody(w http.ResponseWriter, r *http.Request, maxBytes int64) (*body, *refusal) {
	if r.ContentLength > maxBytes {
		w.Header().Set("Connection", "close")
		return nil, tooLarge(maxBytes)
	}
	deadlines := http.NewResponseController(w)
	// Where the connection has no deadlines of its own, the server's own bound counts.
	readUntil := func(t time.Time) error {
		if err := deadlines.SetReadDeadline(t); !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		return nil
	}
	b := &body{room: p.room, began: time.Now()}
	b.end = func() { _ = readUntil(b.began) } // which is over
	if err := readUntil(b.due()); err != nil {
		return nil, refuse(http.StatusInternalServerError, "the body's deadline can't be set: %v", err)
	}
	size := int64(leastBytes)
	if r.ContentLength >= 0 {
		size = min(r.ContentLength, leastBytes)
	}
	b.bytes = make([]byte, 0, size+1) // one more, to see the end
	source := http.MaxBytesReader(bare(w), r.Body, maxBytes)
	for {
		if len(b.bytes) == cap(b.bytes) && !b.grow(maxBytes+1) {
			b.release()
			w.Header().Set("Connection", "close")
			return nil, noRoom()
		}
		n, err := source.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if err == nil && len(b.bytes) <= firstBytes && time.Since(b.began) < time.Second {
			continue // nothing to be accounted for yet
		}
		b.room.arrived(b, len(b.bytes), errors.Is(err, io.EOF))
		switch {
		case errors.Is(err, io.EOF):
			return b, nil
		case err == nil:
			err = b.extend(readUntil)
		}
		if err != nil {
			ended := b.room.endedEarly(b)
			b.release()
			if ended {
				w.Header().Set("Connection", "close")
				return nil, noRoom()
			}
			return nil, unread(w, err, maxBytes, len(b.bytes))
		}
	}
}

// encoded refuses a body that is not sent as it is.
func encoded(h http.Header) *refusal {
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return refuse(http.StatusUnsupportedMediaType, "the body is sent with Content-Encoding %s, which is not read: send it as it is", clip(encoding))
	}
	return nil
}

// due is when the rest of the body has to be there, at the least, by what has come of it.
func (b *body) due() time.Time {
	return b.began.Add(min(bodyTimeout, slowStart+time.Duration(len(b.bytes))*time.Second/slowestRate))
}

// extend gives the sender the time for what is to follow, unless the body has to make way.
func (b *body) extend(readUntil func(time.Time) error) error {
	b.room.mu.Lock()
	defer b.room.mu.Unlock()
	if b.ended {
		return os.ErrDeadlineExceeded
	}
	return readUntil(b.due())
}

func noRoom() *refusal {
	return refuse(http.StatusServiceUnavailable, "too many large requests at once, of which this one is among the slowest: send it again").after(retrySoon)
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
		w.Header().Set("Connection", "close")
		return tooLarge(maxBytes)
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		return refuse(http.StatusRequestTimeout, "the body did not arrive within %v, or came at less than %d bytes a second: send it again", bodyTimeout, slowestRate)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(http.StatusBadRequest, "the body ended after %d bytes, before its Content-Length: send it again", got)
	}
	return refuse(http.StatusBadRequest, "the body can't be read: %v", err)
}

func tooLarge(maxBytes int64) *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "the body has more than %d bytes, which none that is meant for here has: look at what sends it", maxBytes)
}
