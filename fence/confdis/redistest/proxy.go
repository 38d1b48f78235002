package redistest

import (
	"bytes"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands between clients and a server.
type Proxy struct {
	socket string
	target string

	mu    sync.Mutex
	armed bool
}

// Proxy starts a proxy to the server. It ends with the test.
func (s *Server) Proxy(t testing.TB) *Proxy {
	t.Helper()
	p := &Proxy{socket: filepath.Join(s.dir, "proxy.sock"), target: s.Socket}
	l, err := net.Listen("unix", p.socket)
	if err != nil {
		t.Fatalf("starting a proxy for the test: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	return p
}

// URI is where clients connect to go through the proxy.
func (p *Proxy) URI() string { return "unix://" + p.socket }

// LoseAnswer has the server do the next transaction, and then ends the connection in place of its answer.
func (p *Proxy) LoseAnswer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = true
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	var lost atomic.Bool // the transaction is on its way
	go func() {
		defer server.Close()
		pass(client, server, func(b []byte) bool {
			if bytes.Contains(bytes.ToLower(b), []byte("\r\nexec\r\n")) && p.disarm() {
				lost.Store(true)
			}
			return true
		})
	}()
	pass(server, client, func([]byte) bool { return !lost.Load() })
}

func (p *Proxy) disarm() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.armed
	p.armed = false
	return was
}

// pass copies what one side says to the other, as long as it may.
func pass(from, to net.Conn, may func([]byte) bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil || !may(buffer[:n]) {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
