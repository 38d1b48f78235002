package console

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Streams of changes, by server-sent events. A stream keeps nothing back for a browser: it knows what it has sent, and sends
// what differs when it can, in pieces. A browser that does not read blocks the write until its deadline, which ends the stream.

const (
	// streamWrite is how long a browser may take to take in what is sent.
	streamWrite = 10 * time.Second
	// streamLook is how often a stream looks whether its session has ended, and streamAlive how many looks it lets pass until it
	// sends something, so that both ends know.
	streamLook  = 2 * time.Second
	streamAlive = 5
	// eventMost is how long an event becomes, in bytes, before cells go on in another one: ten thousand change at once with a flip,
	// on all pages that are open.
	eventMost = 16 << 10
)

// live is what a page shows that changes.
type live interface {
	// parts are the elements that are compared as a whole.
	parts() []part
	// cells writes those that have changed since a change, from the nth on and as many as an event has. It returns the change that
	// they are of, and with which to go on; 0 where those were all.
	cells(since uint64, from int, to *bytes.Buffer) (now uint64, next int)
}

// waker is a page that changes beside what is seen of the records.
type waker interface {
	// wakes returns a channel that has a value whenever it has changed since the last receive.
	wakes() (changed <-chan struct{}, done func())
}

// listeners are open pages that wait for a change of something.
type listeners struct {
	mu  sync.Mutex
	all map[chan struct{}]bool
}

// subscribe returns a channel that has a value whenever something changed since the last receive.
func (l *listeners) subscribe() (changed <-chan struct{}, done func()) {
	c := make(chan struct{}, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[chan struct{}]bool{}
	}
	l.all[c] = true
	return c, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.all, c)
	}
}

// wake tells all of a change.
func (l *listeners) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.all {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// any tells whether there are some.
func (l *listeners) any() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all) > 0
}

// stream sends a page's changes until the browser goes, the session ends, or the browser doesn't read.
func (c *Console) stream(w http.ResponseWriter, r *http.Request, s *session, page live) {
	place := c.viewers.enter(s.person.By())
	if place == nil {
		w.Header().Set("Retry-After", "60")
		c.fail(w, r, s, http.StatusServiceUnavailable, "Too many pages are open: this one shows what was so when it was opened.")
		return
	}
	defer c.viewers.leave(place)
	out := &events{w: w, control: http.NewResponseController(w), instance: c.instance, patience: c.patience, sent: map[string]uint64{}}
	out.since = out.resume(r)
	_ = out.control.SetReadDeadline(time.Time{}) // a connection that can't has none
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	changed, done := c.seen.open.subscribe()
	defer done()
	var also <-chan struct{}
	if w, itself := page.(waker); itself {
		itChanged, over := w.wakes()
		also = itChanged
		defer over()
	}
	look := time.NewTicker(streamLook)
	defer look.Stop()
	looks := 0
	for err := out.begin(); err == nil; {
		if err = out.send(part{"banner", c.banner()}, page); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-c.ended:
			return
		case <-place.gone:
			_ = out.event("paused", "")
			return
		case <-changed:
		case <-also:
		case <-look.C:
			if looks++; looks%streamAlive == 0 {
				if err = out.alive(); err != nil {
					return
				}
			}
		}
		if now, ending := c.sessions.find(r); now != s {
			_ = out.event("over", c.says(ending))
			return
		}
	}
}

// sayOver answers a page that asks for its changes where its session has ended, such as one that nobody saw meanwhile: of any other
// answer than a stream a page is not told by its browser.
func (c *Console) sayOver(w http.ResponseWriter, why Ending) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := &events{w: w, control: http.NewResponseController(w), instance: c.instance, patience: c.patience}
	_ = out.event("over", c.says(why)) // a browser that is gone needs none
}

// events writes a stream.
type events struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	instance string
	patience time.Duration // with a write
	since    uint64        // the change up to which cells were sent
	sent     map[string]uint64
}

// resume is the change up to which the browser has had cells, by what it heard last, or by its page.
func (e *events) resume(r *http.Request) uint64 {
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		last = r.FormValue("since")
	}
	at, own := strings.CutPrefix(last, e.instance+"-")
	since, err := strconv.ParseUint(at, 10, 64)
	if err != nil || !own {
		return 0 // of an earlier process: it gets all
	}
	return since
}

// begin opens the stream. A browser that loses it tries again after two seconds.
func (e *events) begin() error { return e.write([]byte("retry: 2000\n\n")) }

// alive sends a remark.
func (e *events) alive() error { return e.write([]byte(":\n\n")) }

// send sends what differs from what was sent. Only the last event has the change as its ID: who loses the stream before it comes
// for the rest.
func (e *events) send(banner part, page live) error {
	var b, cells bytes.Buffer
	now, next := page.cells(e.since, 0, &cells) // before the parts, which say whether there are others
	for _, p := range append(page.parts(), banner) {
		if hash := p.hash(); e.sent[p.id] != hash {
			e.sent[p.id] = hash
			b.WriteString(string(p.html))
		}
	}
	_, _ = cells.WriteTo(&b)
	for next > 0 {
		piece := b.String()
		b = bytes.Buffer{} // nothing else is held while a browser takes its time
		if err := e.event("patch", piece); err != nil {
			return err
		}
		_, next = page.cells(e.since, next, &b)
	}
	e.since = now
	if b.Len() == 0 {
		return nil
	}
	return e.event("patch", b.String())
}

// event sends one.
func (e *events) event(kind, data string) error {
	var b bytes.Buffer
	b.Grow(len(data) + 200)
	fmt.Fprintf(&b, "id: %s-%d\nevent: %s\n", e.instance, e.since, kind)
	for line := range strings.SplitSeq(strings.TrimRight(data, "\n"), "\n") {
		b.WriteString("data: ")
		b.WriteString(strings.TrimRight(line, "\r"))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return e.write(b.Bytes())
}

func (e *events) write(b []byte) error {
	if err := e.control.SetWriteDeadline(time.Now().Add(e.patience)); err != nil {
		return err
	}
	if _, err := e.w.Write(b); err != nil {
		return err
	}
	return e.control.Flush()
}

// partsOnly is a page without cells.
type partsOnly func() []part

func (p partsOnly) parts() []part { return p() }

func (partsOnly) cells(uint64, int, *bytes.Buffer) (now uint64, next int) { return 0, 0 }

// onePart is a page with one part.
func onePart(id string, html func() template.HTML) live {
	return partsOnly(func() []part { return []part{{id, html()}} })
}
