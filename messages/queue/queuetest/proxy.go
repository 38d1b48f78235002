package queuetest

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/fenceline/fenceline/messages/queue"
)

// Proxy stands between a client and the server, to hold their traffic up or cut it off: as a
// slow network, a stopped process or a killed one looks to the server.
type Proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	flow  *sync.Cond
	held  bool
	deaf  bool // answers are held
	cut   bool
	waits map[string]chan struct{} // closed when a client sends a text
	stops map[string]bool          // texts of waits at which all traffic is held
	conns []net.Conn
}

// Proxy starts a proxy to the server. It ends with the test.
func (s *Server) Proxy(t testing.TB) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("starting a proxy for the test: %v", err)
	}
	p := &Proxy{listener: l, target: strings.TrimPrefix(s.URL(), "nats://")}
	p.flow = sync.NewCond(&p.mu)
	go p.accept()
	t.Cleanup(p.Cut)
	return p
}

// URL is where clients connect to go through the proxy.
func (p *Proxy) URL() string { return "nats://" + p.listener.Addr().String() }

// Hold keeps back all traffic until Release.
func (p *Proxy) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
}

// HoldAnswers keeps back what the server says until Release.
func (p *Proxy) HoldAnswers() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = true
}

// Sent returns a channel that is closed when a client sends a text, such as a subject.
func (p *Proxy) Sent(text string) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waits == nil {
		p.waits = map[string]chan struct{}{}
	}
	p.waits[text] = make(chan struct{})
	return p.waits[text]
}

// HoldAt is Sent, and Hold once the text comes: it is the first that is kept back.
func (p *Proxy) HoldAt(text string) <-chan struct{} {
	sent := p.Sent(text)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stops == nil {
		p.stops = map[string]bool{}
	}
	p.stops[text] = true
	return sent
}

// Release lets traffic flow again, what was kept back first.
func (p *Proxy) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held, p.deaf = false, false
	p.flow.Broadcast()
}

// Cut ends every connection for good and accepts no more.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	p.flow.Broadcast()
	_ = p.listener.Close()
	for _, c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		if p.cut {
			_ = client.Close()
			_ = server.Close()
		}
		p.mu.Unlock()
		go p.forward(client, server, true)
		go p.forward(server, client, false)
	}
}

func (p *Proxy) forward(to, from net.Conn, answers bool) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil || !p.pass(string(buffer[:n]), answers) {
			return
		}
		if _, err := io.Copy(to, strings.NewReader(string(buffer[:n]))); err != nil {
			return
		}
	}
}

// pass waits while traffic is held, and reports whether it may go on.
func (p *Proxy) pass(text string, answers bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for wanted, seen := range p.waits {
		if !answers && strings.Contains(text, wanted) {
			close(seen)
			delete(p.waits, wanted)
			p.held = p.held || p.stops[wanted]
			delete(p.stops, wanted)
		}
	}
	for (p.held || p.deaf && answers) && !p.cut {
		p.flow.Wait()
	}
	return !p.cut
}

// Through has a client connect by the proxy.
func Through(p *Proxy) func(*queue.Options) {
	return func(o *queue.Options) { o.URL = p.URL() }
}
