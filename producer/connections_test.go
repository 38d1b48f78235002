package producer

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/rs/zerolog"
)

// addressed is a connection in memory that comes from somewhere.
type addressed struct {
	net.Conn
	from string
}

func (a addressed) RemoteAddr() net.Addr { return &net.UnixAddr{Name: a.from} }

// strangers connect to a server and send slowly, and count those that are still connected.
type strangers struct {
	connected atomic.Int64
	all       sync.WaitGroup
}

// join has one connect and send a part of a request.
func (s *strangers) join(conn net.Conn, part string) {
	s.connected.Add(1)
	s.all.Go(func() {
		defer s.connected.Add(-1)
		if _, err := io.WriteString(conn, part); err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, conn) // until it is closed
	})
}

// TestSlowStrangersAreBounded has many connect, from one address or from as many, and send parts of
// requests. They hold no more than so many connections, and a forge is answered all the same.
func TestSlowStrangersAreBounded(t *testing.T) {
	guess := hexMAC("guess", nil)
	parts := map[string]string{
		"nothing":       "",
		"half a header": "POST /hooks/github HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 1000),
		"half a body":   "POST /hooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=" + guess + "\r\nContent-Length: 65536\r\n\r\n{",
	}
	for name, part := range parts {
		for where, from := range map[string]func(int) string{
			"one address":       func(int) string { return "192.0.2.1:1" },
			"all of a network":  func(i int) string { return fmt.Sprintf("[2001:db8::%x]:1", i+1) },
			"addresses of each": func(i int) string { return fmt.Sprintf("10.0.%d.%d:1", i/250, i%250) },
		} {
			t.Run(name+" from "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := &memoryQueue{}
					dial := serveAddressed(t, newProducer(t, q, zerolog.Nop()).Handler())
					var slow strangers
					s := senders()[0]
					for i := range 3 * fewConnections {
						slow.join(dial(from(i)), part)
						if i%50 != 0 && i != 3*fewConnections-1 {
							continue
						}
						forge := dial("198.51.100.7:1")
						go func() { _ = s.hook(testSecret, s.payload(baseURL, mainRef, commit(i))).Write(forge) }()
						if got := status(t, forge); got != http.StatusAccepted {
							t.Fatalf("beside %d strangers a forge is answered %d", i+1, got)
						}
						_ = forge.Close()
						synctest.Wait()
						if n := slow.connected.Load(); n > fewConnections {
							t.Fatalf("%d strangers are connected; want %d at most", n, fewConnections)
						}
					}
				})
			})
		}
	}
}

// TestAVerifiedRequestIsNotPushedOut has strangers come while a forge's request is being stored.
func TestAVerifiedRequestIsNotPushedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storing := make(chan struct{})
		q := &memoryQueue{request: func(*messages.BuildRequested) (builds.Accepted, error) {
			<-storing
			return builds.Accepted{}, nil
		}}
		dial := serveAddressed(t, newProducer(t, q, zerolog.Nop()).Handler())
		s := senders()[0]
		forge := dial("198.51.100.7:1")
		go func() { _ = s.hook(testSecret, s.payload(baseURL, mainRef, testCommit)).Write(forge) }()
		var slow strangers
		for i := range 2 * fewConnections {
			slow.join(dial(fmt.Sprintf("10.0.%d.%d:1", i/250, i%250)), "POST ")
			synctest.Wait()
		}
		close(storing)
		if got := status(t, forge); got != http.StatusAccepted {
			t.Errorf("status %d", got)
		}
	})
}

// fewConnections is a bound that a test reaches soon.
const fewConnections = 100

// serveAddressed is serveOver with the addresses of those who connect.
func serveAddressed(t *testing.T, handler http.Handler) (dial func(from string) net.Conn) {
	l := &pipes{make(chan net.Conn), make(chan struct{})}
	serveOn(t, l, newServer(handler, zerolog.Nop(), fewConnections))
	return func(from string) net.Conn {
		here, there := net.Pipe()
		l.conns <- addressed{there, from}
		t.Cleanup(func() { _ = here.Close() })
		return here
	}
}

// TestAnotherRolesServerIsBounded: strangers who connect and do nothing make way, and who is known goes on.
func TestAnotherRolesServerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			Keep(r.Context())
			<-goOn
			w.WriteHeader(http.StatusNoContent)
		})}
		BoundConnections(s, fewConnections)
		l := &pipes{make(chan net.Conn), make(chan struct{})}
		serveOn(t, l, s)
		dial := func() net.Conn {
			here, there := net.Pipe()
			l.conns <- addressed{there, "192.0.2.1:1"} // all come by one proxy
			t.Cleanup(func() { _ = here.Close() })
			return here
		}
		known := dial()
		go func() { _, _ = io.WriteString(known, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") }()
		synctest.Wait()
		var idle strangers
		for range 2 * fewConnections {
			idle.join(dial(), "")
			synctest.Wait()
		}
		if n := idle.connected.Load(); n != fewConnections-1 {
			t.Errorf("%d strangers are connected; want %d", n, fewConnections-1)
		}
		close(goOn)
		if got := status(t, known); got != http.StatusNoContent {
			t.Errorf("who is known is answered %d", got)
		}
	})
}

func TestOrigins(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1:99": "192.0.2.1", "[::ffff:192.0.2.1]:99": "192.0.2.1", "[2001:db8::1]:99": "2001:db8::/64", "[fe80::1%eth0]:99": "fe80::/64", "pipe": "pipe",
	} {
		if got := origin(address); got != want {
			t.Errorf("%s is of %s; want %s", address, got, want)
		}
	}
}

// TestWhatStrangersCanHoldIsBounded adds up the bounds.
func TestWhatStrangersCanHoldIsBounded(t *testing.T) {
	s := NewServer(http.NotFoundHandler(), zerolog.Nop())
	if s.ConnContext == nil || s.ConnState == nil {
		t.Fatal("the server doesn't bound its connections")
	}
	if each := s.MaxHeaderBytes + firstBytes; maxConnections*each+roomBytes > 192<<20 {
		t.Errorf("strangers can have it hold %d MiB", (maxConnections*each+roomBytes)>>20)
	}
}

// offered is a body that looks at the room it is given, before anything and after each byte.
type offered struct {
	t    *testing.T
	sent int
	most int
}

func (o *offered) Read(p []byte) (int, error) {
	if held := o.sent + len(p); held > max(leastBytes+1, 2*o.sent+2) {
		o.t.Fatalf("after %d bytes the body holds %d", o.sent, held)
	}
	if o.sent == o.most {
		return 0, io.EOF
	}
	n := min(len(p), 100, o.most-o.sent)
	o.sent += n
	return n, nil
}

// TestABodyHoldsWhatArrived announces much and sends little by little.
func TestABodyHoldsWhatArrived(t *testing.T) {
	p := newProducer(t, &memoryQueue{}, zerolog.Nop())
	for _, announced := range []int64{300_000, -1} {
		r := httptest.NewRequest(http.MethodPost, "/hooks/github", nil)
		r.Body, r.ContentLength = io.NopCloser(&offered{t: t, most: 300_000}), announced
		b, no := p.readBody(httptest.NewRecorder(), r, maxHookBytes)
		if no != nil || len(b.bytes) != 300_000 {
			t.Fatalf("reading: %+v", no)
		}
		if p.room.free > roomBytes-int64(cap(b.bytes)) {
			t.Error("a large body takes less of the room than it holds")
		}
		b.release()
		if p.room.free != roomBytes {
			t.Fatal("a body that was released takes room")
		}
	}
}
