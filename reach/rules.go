package reach

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Protocols are all that there are.
var Protocols = []string{"https", "http", "git"}

// Rules say what may be reached. The zero value lets the operator reach what is no link-local address, and strangers what is
// public, by each protocol.
type Rules struct {
	Hosts     []string       // all that may be reached, as ParseHosts has them; none for any host
	Protocols []string       // of Protocols; none for all
	Addresses []netip.Prefix // that may be reached although they aren't public
	Resolver  Resolver       // nil for the system's
}

// Resolver finds the addresses of a host, as net.Resolver does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

var _ Resolver = (*net.Resolver)(nil)

// By is who named what is to be reached.
type By int

const (
	// Operator is who wrote the pipeline file. Their hosts may have private addresses, as those of most sites do.
	Operator By = iota
	// Stranger is whoever can commit, or runs a host that is asked.
	Stranger
)

// The fields of Rules, as errors name them.
const (
	FieldHosts     = "Hosts"
	FieldProtocols = "Protocols"
	FieldAddresses = "Addresses"
)

// DeniedError tells that the rules don't let something be reached.
type DeniedError struct {
	Reason string
	Field  string // of Rules: by which it can be allowed; "" where it can't
}

// Error is the reason.
func (e *DeniedError) Error() string { return e.Reason }

// Setting is the name by which operators know a field of Rules.
func (e *DeniedError) Setting() string {
	return map[string]string{FieldHosts: "allow-hosts", FieldProtocols: "git-protocols", FieldAddresses: "allow-private-addresses"}[e.Field]
}

// ParseProtocols checks names of protocols.
func ParseProtocols(names []string) ([]string, error) {
	for _, name := range names {
		if !slices.Contains(Protocols, name) {
			why := ""
			if name == "ssh" {
				why = ", as builds have no key"
			}
			return nil, fmt.Errorf("%q is no protocol that repositories are read by%s: use %s", name, why, strings.Join(Protocols, ", "))
		}
	}
	return names, nil
}

// Allows tells whether a place may be reached, as far as that is known without its addresses.
func (r *Rules) Allows(p Place, by By) error {
	if len(r.Protocols) > 0 && !slices.Contains(r.Protocols, p.Scheme) {
		return &DeniedError{fmt.Sprintf("the protocol %s is not allowed here, only %s", p.Scheme, strings.Join(r.Protocols, ", ")), FieldProtocols}
	}
	if len(r.Hosts) > 0 && !slices.ContainsFunc(r.Hosts, p.matches) {
		return &DeniedError{fmt.Sprintf("the host %s is not among those that are allowed here", p.Address()), FieldHosts}
	}
	if a, err := netip.ParseAddr(p.Host); err == nil {
		return r.AllowsAddress(a, by)
	}
	return nil
}

// matches tells whether a place is one that an allowed host stands for.
func (p Place) matches(allowed string) bool {
	host, port, err := net.SplitHostPort(allowed)
	if err != nil {
		host, port = strings.Trim(allowed, "[]"), ""
	}
	if port != "" && port != p.Port {
		return false
	}
	if domain, ok := strings.CutPrefix(host, "*"); ok {
		return strings.HasSuffix(p.Host, domain)
	}
	return p.Host == host
}

// AllowsAddress tells whether an address may be reached.
func (r *Rules) AllowsAddress(a netip.Addr, by By) error {
	kind, name := judge(a)
	if kind == public || kind == private && by == Operator {
		return nil
	}
	reached := inner(a)
	for _, block := range r.Addresses {
		if a.Zone() == "" && (block.Contains(a) || block.Contains(reached)) {
			return nil
		}
	}
	return &DeniedError{fmt.Sprintf("the address %s is %s, and not allowed here", a, name), FieldAddresses}
}

// Resolve finds the addresses of a place that may be reached: those to dial, and no others.
func (r *Rules) Resolve(ctx context.Context, p Place, by By) ([]netip.Addr, error) {
	if err := r.Allows(p, by); err != nil {
		return nil, err
	}
	return r.resolve(ctx, p.Host, by)
}

// resolve finds the addresses of a host that may be reached.
func (r *Rules) resolve(ctx context.Context, host string, by By) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, r.AllowsAddress(a, by)
	}
	var resolver Resolver = net.DefaultResolver
	if r.Resolver != nil {
		resolver = r.Resolver
	}
	found, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("could not resolve host %s: %w", host, err)
	}
	var allowed []netip.Addr
	var denied error
	for _, a := range found {
		if err := r.AllowsAddress(a, by); err != nil {
			denied = err
		} else {
			allowed = append(allowed, a.Unmap())
		}
	}
	switch {
	case len(allowed) > 0:
		return allowed, nil
	case denied != nil:
		return nil, &DeniedError{fmt.Sprintf("the host %s: %v", host, denied), FieldAddresses}
	}
	return nil, fmt.Errorf("could not resolve host %s: it has no address", host)
}
