package reach

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// ports are the protocols that are known, and their ports.
var ports = map[string]string{"http": "80", "https": "443", "git": "9418"}

// Place is a host with a port, read so strictly that no other program can take it for another: git, curl and a resolver
// each have a mind of their own about 0x7f.1, 2130706433, %31 and what stands before a backslash.
type Place struct {
	Scheme string
	Host   string // in small letters, or an address of IPv6 without brackets
	Port   string // never ""
}

// ParsePlace reads where a URL leads.
func ParsePlace(u *url.URL) (Place, error) {
	host, port := u.Hostname(), u.Port()
	fail := func(format string, args ...any) (Place, error) {
		return Place{}, fmt.Errorf("the host %q "+format, append([]any{clip(u.Host)}, args...)...)
	}
	standard, known := ports[u.Scheme]
	n, err := strconv.Atoi(port)
	switch {
	case !known:
		return Place{}, fmt.Errorf("the protocol %q is unknown: use https, http or git", clip(u.Scheme))
	case u.User != nil:
		return fail("has a user or password before it: leave that out")
	case port == "":
		port = standard
	case err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port:
		return fail("has no port such as :8080")
	}
	host = strings.ToLower(host)
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return fail("is an address of one link of one machine: name one that can be reached from elsewhere")
		}
		return Place{u.Scheme, a.Unmap().String(), port}, nil
	}
	if host == "" || len(host) > 253 {
		return fail("is empty or too long")
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return fail("is no host's name: write it in letters, digits, hyphens and dots, with names of other scripts as xn--…")
		}
	}
	if numeric(labels[len(labels)-1]) {
		return fail("is a number, but no address: write it as four numbers from 0 to 255 without zeros before them, such as 192.0.2.7")
	}
	return Place{u.Scheme, host, port}, nil
}

// numeric tells whether a host whose last label this is would be read as an address of IPv4, in some form, as the URL
// standard has it: https://url.spec.whatwg.org/#ends-in-a-number-checker
func numeric(label string) bool {
	digits, set := label, "0123456789"
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		digits, set = hex, "0123456789abcdef"
	}
	return strings.Trim(digits, set) == ""
}

func isLabel(s string) bool {
	for i := range len(s) {
		c := s[i]
		inner := c == '-' && i > 0 && i < len(s)-1
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && !inner {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

// Address is the host and port as a URL has them.
func (p Place) Address() string {
	host := p.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if p.Port == ports[p.Scheme] {
		return host
	}
	return host + ":" + p.Port
}

// Same tells whether what leads to p may lead to q as well: to the same host by the same port and protocol, or by https
// in place of http where both use their own ports.
func (p Place) Same(q Place) bool {
	upgraded := p.Scheme == "http" && q.Scheme == "https" && p.Port == ports["http"] && q.Port == ports["https"]
	return p.Host == q.Host && (p.Scheme == q.Scheme && p.Port == q.Port || upgraded)
}

// ParseHosts checks hosts that are allowed: HOST, HOST:PORT, or *.DOMAIN for all hosts of a domain.
func ParseHosts(texts []string) ([]string, error) {
	var hosts []string
	for _, text := range texts {
		name, _ := strings.CutPrefix(text, "*.")
		u, err := url.Parse("https://" + name)
		var p Place
		if err == nil && u.Host == name {
			p, err = ParsePlace(u)
		}
		if _, addrErr := netip.ParseAddr(p.Host); err != nil || u.Host != name || addrErr == nil && name != text {
			return nil, fmt.Errorf("%q is no host: write git.example.com, git.example.com:3000, or *.example.com for all hosts of a domain", text)
		}
		hosts = append(hosts, strings.ToLower(text))
	}
	return hosts, nil
}

// clip shortens what strangers wrote.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
