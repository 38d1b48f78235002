package producer

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// The headers in which proxies say whom they pass a request on for.
const (
	// ForwardedFor is what most proxies write: X-Forwarded-For.
	ForwardedFor = "X-Forwarded-For"
	// ForwardedRFC is the header of RFC 7239.
	ForwardedRFC = "Forwarded"
)

// Forwarding says whose word counts on whom a request is from.
type Forwarding struct {
	// Trusted are the addresses of proxies. One that connects over a Unix socket is always trusted, as nobody connects there whom
	// the socket's rights don't let.
	Trusted []netip.Prefix
	// Header is the one that they write: ForwardedFor, which "" is too, or ForwardedRFC. The other doesn't count, since a proxy
	// that doesn't write it lets through what a stranger wrote into it.
	Header string
}

// check names the field that can't be used.
func (f *Forwarding) check() error {
	switch f.Header {
	case "", ForwardedFor, ForwardedRFC:
		return nil
	}
	return fmt.Errorf("making a producer: Forwarding.Header %q is neither %s nor %s", f.Header, ForwardedFor, ForwardedRFC)
}

// ParseTrusted reads networks and addresses of trusted proxies, as 10.0.0.0/8 or 192.0.2.7.
func ParseTrusted(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	var wrong []error
	for _, text := range texts {
		text = strings.TrimSpace(text)
		network, err := netip.ParsePrefix(text)
		if err != nil {
			ip, other := netip.ParseAddr(text)
			if other != nil || ip.Zone() != "" {
				wrong = append(wrong, fmt.Errorf("%q is neither a network, such as 10.0.0.0/8, nor an address", text))
				continue
			}
			network = netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen())
		}
		if network != network.Masked() {
			wrong = append(wrong, fmt.Errorf("%q has bits behind its mask: %s is meant, or %s/%d", text, network.Masked(), network.Addr(), network.Addr().BitLen()))
			continue
		}
		out = append(out, network)
	}
	return out, errors.Join(wrong...)
}

// Sender is the address that a request to a producer's handler is from, without a port: where trusted proxies passed it on, that
// of the one whom they did it for. It is "local" where a Unix socket's other end says nothing of that.
func Sender(r *http.Request) string {
	if at, ok := address(r.RemoteAddr); ok {
		return at.String()
	}
	return localSender
}

const localSender = "local"

// Behind has a handler see, as a request's RemoteAddr, whom it is from.
func (f *Forwarding) Behind(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && local.Network() == "unix" {
			r.RemoteAddr = f.from(localSender, r.Header)
		} else if len(f.Trusted) > 0 {
			if at, ok := address(r.RemoteAddr); ok && f.trusts(at) {
				r.RemoteAddr = f.from(r.RemoteAddr, r.Header)
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (f *Forwarding) trusts(at netip.Addr) bool {
	for _, network := range f.Trusted {
		if network.Contains(at) {
			return true
		}
	}
	return false
}

// from follows what a trusted peer wrote, from the right: each proxy adds at the end whom it got the request from. What stands
// left of one that isn't trusted may be anything, and so is what stands left of a word that is no address.
func (f *Forwarding) from(peer string, h http.Header) string {
	var hops []string
	if f.Header == ForwardedRFC {
		hops = forwardedHops(h.Values(ForwardedRFC))
	} else {
		hops = strings.Split(strings.Join(h.Values(ForwardedFor), ","), ",")
	}
	for i := len(hops) - 1; i >= 0; i-- {
		at, ok := address(strings.TrimSpace(hops[i]))
		if !ok {
			break
		}
		if peer = at.String(); !f.trusts(at) {
			break
		}
	}
	return peer
}

// forwardedHops are the values of for= in the header of RFC 7239, in order; one that has none is "", and so is a line with a quote
// that stays open: a stranger may have written it to have what a proxy adds be a part of it.
func forwardedHops(lines []string) []string {
	var hops []string
	for _, line := range lines {
		if strings.Count(line, `"`)%2 != 0 {
			hops = append(hops, "")
			continue
		}
		hops = append(hops, hopsOf(line)...)
	}
	return hops
}

// hopsOf is forwardedHops for one line.
func hopsOf(line string) []string {
	var hops []string
	for _, element := range splitQuoted(line, ',') {
		hop := ""
		for _, pair := range splitQuoted(element, ';') {
			name, value, _ := strings.Cut(pair, "=")
			if strings.EqualFold(strings.TrimSpace(name), "for") {
				hop = strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
		hops = append(hops, hop)
	}
	return hops
}

// splitQuoted splits a text at what is not in quotes.
func splitQuoted(text string, at rune) []string {
	quoted := false
	return strings.FieldsFunc(text, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == at && !quoted
	})
}

// address reads an IP address with or without a port.
func address(text string) (netip.Addr, bool) {
	if both, err := netip.ParseAddrPort(text); err == nil {
		return both.Addr().Unmap().WithZone(""), true
	}
	one, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return one.Unmap().WithZone(""), err == nil
}
