package reach

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// kind is how far an address can be trusted to be what a name promises.
type kind int

const (
	public  kind = iota
	private      // of this machine, this site, or of nobody
	never        // a link's own addresses, where clouds keep their credentials, and what is no host's address
)

// special are the blocks that are not public, by IANA's registries of special-purpose addresses, as of 2025:
// https://www.iana.org/assignments/iana-ipv4-special-registry and https://www.iana.org/assignments/iana-ipv6-special-registry,
// and the multicast blocks of RFC 5771 and RFC 4291. The first that has an address counts.
var special = []struct {
	block netip.Prefix
	kind  kind
	name  string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), never, "of this network"},
	{netip.MustParsePrefix("10.0.0.0/8"), private, "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), private, "shared with a provider"},
	{netip.MustParsePrefix("127.0.0.0/8"), private, "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), never, "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), private, "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), private, "reserved for protocols"},
	{netip.MustParsePrefix("192.0.2.0/24"), private, "for documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), private, "a relay's"},
	{netip.MustParsePrefix("192.168.0.0/16"), private, "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), private, "for benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), private, "for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), private, "for documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), never, "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), never, "reserved"},
	{netip.MustParsePrefix("::/128"), never, "unspecified"},
	{netip.MustParsePrefix("::1/128"), private, "loopback"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), private, "of a site's own translator"},
	{netip.MustParsePrefix("fc00::/7"), private, "private"},
	{netip.MustParsePrefix("fe80::/10"), never, "link-local"},
	{netip.MustParsePrefix("fec0::/10"), private, "private"},
	{netip.MustParsePrefix("ff00::/8"), never, "multicast"},
	{netip.MustParsePrefix("2001::/23"), private, "reserved for protocols"},
	{netip.MustParsePrefix("2001:db8::/32"), private, "for documentation"},
	{netip.MustParsePrefix("3fff::/20"), private, "for documentation"},
	{netip.MustParsePrefix("2000::/3"), public, ""},
	{netip.MustParsePrefix("::/0"), never, "reserved"},
}

// judge tells what an address is, with a word for it where it isn't public.
func judge(a netip.Addr) (kind, string) {
	a = inner(a)
	if a.Zone() != "" {
		return never, "of one link"
	}
	for _, s := range special {
		if s.block.Contains(a) {
			return s.kind, s.name
		}
	}
	return public, ""
}

// Blocks whose addresses have one of IPv4 in them, to which a translator or a tunnel leads, with the byte where it begins:
// https://www.rfc-editor.org/rfc/rfc6052, https://www.rfc-editor.org/rfc/rfc3056 and the deprecated ones of RFC 4291.
var carriers = []struct {
	block netip.Prefix
	at    int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
	{netip.MustParsePrefix("::/96"), 12},
}

// inner is the address that is reached by an address: the one of IPv4 in one of IPv6.
func inner(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if a.Is4() || a == netip.IPv6Unspecified() || a == netip.IPv6Loopback() {
		return a
	}
	b := a.As16()
	for _, c := range carriers {
		if c.block.Contains(a.WithZone("")) {
			return netip.AddrFrom4([4]byte(b[c.at : c.at+4]))
		}
	}
	// Teredo's addresses end in one of IPv4 with all bits turned: https://www.rfc-editor.org/rfc/rfc4380
	if teredo := netip.MustParsePrefix("2001::/32"); teredo.Contains(a.WithZone("")) {
		var v4 [4]byte
		binary.BigEndian.PutUint32(v4[:], ^binary.BigEndian.Uint32(b[12:]))
		return netip.AddrFrom4(v4)
	}
	return a
}

// ParseBlocks reads blocks of addresses such as 10.0.0.0/8 and fd00::/8, and single addresses.
func ParseBlocks(texts []string) ([]netip.Prefix, error) {
	var blocks []netip.Prefix
	for _, text := range texts {
		block, err := netip.ParsePrefix(text)
		if a, addrErr := netip.ParseAddr(text); err != nil && addrErr == nil && a.Zone() == "" {
			block, err = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q is no block of addresses: write one such as 10.0.0.0/8, fd00::/8 or 192.168.7.20", text)
		case block.Masked() != block:
			return nil, fmt.Errorf("%q has bits set beyond its length: write %s, or %s/%d for the one address", text, block.Masked(), block.Addr(), block.Addr().BitLen())
		case block.Addr().Is4In6():
			return nil, fmt.Errorf("%q is an address of IPv4 in IPv6's form: write it as one of IPv4", text)
		}
		blocks = append(blocks, block)
	}
	return blocks, nil
}
