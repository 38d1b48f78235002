package producer

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// maxConnections bounds how many connections a server has, and with maxHeaderBytes and firstBytes what
// strangers can make it hold in memory: anybody can connect, and send slowly.
const maxConnections = 1024

// connections are those of a server. Where there are too many, one makes way for each new one: the
// oldest of the address that has most. A forge sends all it has at once, and so is answered before its
// connection is the oldest, however many others connect and send slowly. A connection whose request is
// known to be a forge's or a caller's doesn't make way.
type connections struct {
	most int

	mu   sync.Mutex
	open map[net.Conn]*connection
	last uint64 // number of the newest
}

// connection is one of them.
type connection struct {
	number uint64
	from   string // whose it is: an address, or an IPv6 network that one machine may have to itself
	kept   bool   // its request is verified
	all    *connections
}

// connectionKey is where a request's context has its connection.
type connectionKey struct{}

// opened takes in a new connection.
func (c *connections) opened(ctx context.Context, conn net.Conn) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[net.Conn]*connection{}
	}
	c.last++
	n := &connection{number: c.last, from: origin(conn.RemoteAddr().String()), all: c}
	c.open[conn] = n
	if len(c.open) > c.most {
		out := c.outgoing()
		delete(c.open, out)
		if secured, ok := out.(*tls.Conn); ok {
			out = secured.NetConn() // its own Close tells the other end, and can wait for it
		}
		_ = out.Close() // whoever it was connects again
	}
	return context.WithValue(ctx, connectionKey{}, n)
}

// outgoing is the connection that makes way. It is the newest where all others are kept.
func (c *connections) outgoing() net.Conn {
	count := map[string]int{}
	for _, n := range c.open {
		if !n.kept {
			count[n.from]++
		}
	}
	var out net.Conn
	var chosen *connection
	for conn, n := range c.open {
		if n.kept {
			continue
		}
		if chosen == nil || count[n.from] > count[chosen.from] || count[n.from] == count[chosen.from] && n.number < chosen.number {
			out, chosen = conn, n
		}
	}
	return out
}

// changed follows what becomes of a connection.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
	case http.StateIdle:
		if n := c.open[conn]; n != nil {
			n.kept = false // the next request has to be verified anew
		}
	}
}

// keep has the connection of a request that is verified not make way for others, and its sender's address be known as that of
// one who may send.
func keep(ctx context.Context) {
	noteOf(ctx).known = true
	Keep(ctx)
}

// Keep has the connection of a request, whose sender is known, not make way for others.
func Keep(ctx context.Context) {
	if n, ok := ctx.Value(connectionKey{}).(*connection); ok {
		n.all.mu.Lock()
		defer n.all.mu.Unlock()
		n.kept = true
	}
}

// origin is whose a remote address is, which may have a port or, where a proxy told it, none.
func origin(remote string) string {
	at, ok := address(remote)
	if !ok {
		return remote
	}
	if at.Is4() {
		return at.String()
	}
	network, err := at.Prefix(64)
	if err != nil {
		return remote
	}
	return network.String()
}
