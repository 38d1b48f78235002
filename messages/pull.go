package messages

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Pull says how nodes fetch images.
type Pull struct {
	Way     PullWay  `json:"way"`
	Mirrors []Mirror `json:"mirrors,omitempty"` // of PullMirrors, in the order in which they are tried; the image's registry comes last
}

// PullWay is a way to fetch an image.
type PullWay string

// The ways to fetch an image.
const (
	PullEngine  PullWay = "engine"  // the node's engine pulls it from its registry
	PullMirrors PullWay = "mirrors" // the distributor fetches it from mirrors, and feeds the engine
	PullLoad    PullWay = "load"    // the distributor fetches it from its registry, and feeds the engine
)

// PullWays are the ways, as people write them.
func PullWays() []string { return []string{string(PullEngine), string(PullMirrors), string(PullLoad)} }

// Mirror is where images can be fetched in place of their registries.
type Mirror struct {
	URL string `json:"url"` // http or https, HOST[:PORT], and what comes before the repository's path, if anything
	// Labels are those that a node must have to use it; none is every node.
	Labels    map[string]string `json:"labels,omitempty"`
	TimeLimit Duration          `json:"time_limit,omitempty"` // for an answer to begin, and for each further MirrorLeast bytes of it; 0 is DefaultTimeLimit
	BackOff   Duration          `json:"back_off,omitempty"`   // how long it is left alone after a failure; 0 is DefaultBackOff
}

// The bounds of mirrors.
const (
	DefaultTimeLimit = 10 * time.Second
	DefaultBackOff   = time.Minute
	// MirrorLeast is how many bytes a mirror must deliver within its time limit, once it has begun to.
	MirrorLeast = 128 << 10
	// MaxMirrors is how many mirrors a fleet or node has at most.
	MaxMirrors = 100
)

// Limit is TimeLimit, or its default.
func (m *Mirror) Limit() time.Duration { return cmp.Or(m.TimeLimit.Std(), DefaultTimeLimit) }

// Rest is BackOff, or its default.
func (m *Mirror) Rest() time.Duration { return cmp.Or(m.BackOff.Std(), DefaultBackOff) }

// Loopback tells whether the mirror is each node's own.
func (m *Mirror) Loopback() bool {
	u, err := url.Parse(m.URL)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// validate names the first field that can't be acted on.
func (m *Mirror) validate() error {
	if err := CheckMirrorURL(m.URL); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if m.TimeLimit < 0 || m.BackOff < 0 {
		return errors.New("time_limit and back_off must not be negative")
	}
	return nil
}

// CheckMirrorURL tells whether s is the address of a mirror. A login in it is refused, as it would show.
func CheckMirrorURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || len(s) > 1000 || u.Opaque != "" || u.Scheme != "http" && u.Scheme != "https" || !hostAndPort(u.Host):
		return fmt.Errorf("%q is not a mirror's address such as %q", clip(redactURL(s)), "http://mirror.example.com:5000")
	case u.User != nil:
		return fmt.Errorf("%q has a login in it: give the distributor a folder of logins (docker-config) with one for %s", clip(shown(u)), u.Host)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#"):
		return fmt.Errorf("%q has a query or fragment: leave it out", clip(shown(u)))
	}
	if prefix := strings.Trim(u.Path, "/"); prefix != "" && !imageName("x/"+prefix) {
		return fmt.Errorf("%q: what comes after the host must be the beginning of repositories' paths, in lower case, without v2", clip(s))
	}
	return nil
}

// Validate names the first field that can't be acted on.
func (p *Pull) Validate() error {
	switch {
	case !slices.Contains(PullWays(), string(p.Way)):
		return fmt.Errorf("way: %q is none of %s", clip(string(p.Way)), strings.Join(PullWays(), ", "))
	case p.Way == PullMirrors && len(p.Mirrors) == 0:
		return errors.New("mirrors: way mirrors needs at least one")
	case p.Way != PullMirrors && len(p.Mirrors) > 0:
		return fmt.Errorf("mirrors: way %s uses none: write way: mirrors", p.Way)
	case len(p.Mirrors) > MaxMirrors:
		return fmt.Errorf("mirrors: there are %d, and %d is the most", len(p.Mirrors), MaxMirrors)
	}
	for i := range p.Mirrors {
		if err := p.Mirrors[i].validate(); err != nil {
			return fmt.Errorf("mirrors[%d]: %w", i, err)
		}
	}
	return nil
}

// For is the way for a node with labels: without the mirrors that are for others. Where none is left for it, its
// images come from their registries.
func (p *Pull) For(labels map[string]string) Pull {
	if p == nil || p.Way == "" {
		return Pull{Way: PullEngine}
	}
	out := Pull{Way: p.Way}
	for _, m := range p.Mirrors {
		fits := true
		for k, v := range m.Labels {
			fits = fits && labels[k] == v
		}
		if fits {
			out.Mirrors = append(out.Mirrors, m)
		}
	}
	return out
}

// Shared is the address of the first mirror that other nodes have too, or "".
func (p *Pull) Shared() string {
	for _, m := range p.Mirrors {
		if !m.Loopback() {
			return m.URL
		}
	}
	return ""
}
