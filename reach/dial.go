package reach

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// dialTime bounds one attempt to connect.
const dialTime = 10 * time.Second

// Dial connects to a place at one of its addresses that may be reached.
func (r *Rules) Dial(ctx context.Context, p Place, by By) (net.Conn, error) {
	if err := r.Allows(p, by); err != nil {
		return nil, err
	}
	return r.Dialer(by)(ctx, "tcp", net.JoinHostPort(p.Host, p.Port))
}

// Dialer returns the function of a client that dials HOST:PORT. A host is resolved once, and the address of each socket judged
// once more before it connects.
func (r *Rules) Dialer(by By) func(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: dialTime, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return r.AllowsAddress(at.Addr(), by)
	}}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		addresses, err := r.resolve(ctx, host, by)
		if err != nil {
			return nil, err
		}
		var failures []error
		for _, a := range addresses {
			conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(a.String(), port))
			if err == nil {
				return conn, nil
			}
			failures = append(failures, err)
		}
		return nil, errors.Join(failures...)
	}
}

// Transport returns a round tripper that reaches what may be reached. Through a proxy of the environment's it is the proxy that
// finds addresses, and what it may reach is its own matter.
func (r *Rules) Transport(base *http.Transport, by By) http.RoundTripper {
	direct, proxied := base.Clone(), base
	direct.Proxy, direct.DialContext = nil, r.Dialer(by)
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if proxy, err := http.ProxyFromEnvironment(req); err != nil || proxy != nil {
			return proxied.RoundTrip(req)
		}
		return direct.RoundTrip(req)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip does the request.
func (t roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return t(req) }
