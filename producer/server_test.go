package producer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// pipes is a network in memory, whose deadlines count a test's time. A write to it returns
// when the other end has read it.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// serveOver starts a producer's server. It and what is dialled end with the test.
func serveOver(t *testing.T, handler http.Handler) (dial func() net.Conn) {
	l := &pipes{make(chan net.Conn), make(chan struct{})}
	serveOn(t, l, NewServer(handler, zerolog.Nop()))
	return func() net.Conn {
		here, there := net.Pipe()
		l.conns <- there
		t.Cleanup(func() { _ = here.Close() })
		return here
	}
}

// serveOn starts a producer's server over a network in memory, until the test ends.
func serveOn(t *testing.T, l *pipes, s *http.Server) {
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil { // waits for all, as t needs
			t.Errorf("stopping the server: %v", err)
		}
	})
}

// status reads an answer's status.
func status(t *testing.T, c net.Conn) int {
	t.Helper()
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	_ = r.Body.Close()
	return r.StatusCode
}

func TestSlowSendersAreCutOff(t *testing.T) {
	const head = "POST /hooks/github HTTP/1.1\r\nHost: x\r\n"
	for name, c := range map[string]struct {
		sent string
		most time.Duration
		want string
	}{
		"nothing":         {"", 10 * time.Second, ""},
		"half a header":   {head, 10 * time.Second, ""},
		"a huge header":   {head + "X: " + strings.Repeat("x", 80<<10), 0, "431"},
		"half a body":     {head + "X-Hub-Signature-256: sha256=" + hexMAC(testSecret, nil) + "\r\nContent-Length: 100\r\n\r\n{", bodyTimeout, "408"},
		"half a chunk":    {head + "X-Hub-Signature-256: sha256=" + hexMAC(testSecret, nil) + "\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{", bodyTimeout, "408"},
		"unsigned, large": {head + "Content-Length: 20000000\r\n\r\n{", 0, "401"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := serveOver(t, newProducer(t, &memoryQueue{}, zerolog.Nop()).Handler())()
				start := time.Now()
				go func() { _, _ = io.WriteString(conn, c.sent) }()
				answer, _ := io.ReadAll(conn)
				if took := time.Since(start); took > c.most+time.Second {
					t.Errorf("the connection is held for %v; want %v", took, c.most)
				}
				if line, _, _ := strings.Cut(string(answer), "\r\n"); !strings.Contains(line, c.want) {
					t.Errorf("answer %q; want %s", line, c.want)
				}
			})
		})
	}
}

// TestStalledLargeHooksDontBlockOthers has many senders without the secret announce the
// largest hook and stop after a megabyte.
func TestStalledLargeHooksDontBlockOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProducer(t, &memoryQueue{}, zerolog.Nop())
		dial := serveOver(t, p.Handler())
		part := strings.Repeat(" ", 1<<20)
		for range 32 {
			conn := dial()
			_, err := fmt.Fprintf(conn, "POST /hooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=%s\r\nContent-Length: %d\r\n\r\n%s", hexMAC("guess", nil), maxHookBytes, part)
			if err != nil {
				t.Fatalf("sending the beginning of a hook: %v", err)
			}
		}
		s := senders()[0]
		body := s.payload(baseURL, mainRef, testCommit) + strings.Repeat(" ", 4<<20)
		conn := dial()
		go func() { _ = s.hook(testSecret, body).Write(conn) }()
		if got := status(t, conn); got != http.StatusAccepted {
			t.Errorf("a large hook with the secret: status %d", got)
		}
	})
}
