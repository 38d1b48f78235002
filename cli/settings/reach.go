package settings

import (
	"net/netip"
	"strings"

	"github.com/fenceline/fenceline/reach"
	"github.com/spf13/pflag"
)

// addReach adds the flags of what may be cloned from, which are one where roles are told together.
func addReach(fs *pflag.FlagSet, r *reach.Rules) {
	if f := fs.Lookup("allow-hosts"); f != nil {
		return
	}
	fs.Var(&listFlag[string]{&r.Hosts, reach.ParseHosts, same, kindHost}, "allow-hosts", "hosts that repositories and submodules may be on, comma-separated; may be given several times (default: any)")
	fs.Var(&listFlag[string]{&r.Protocols, reach.ParseProtocols, same, kindProtocol}, "git-protocols", "protocols that they may be read by, comma-separated (default: https,http,git)")
	fs.Var(&listFlag[netip.Prefix]{&r.Addresses, reach.ParseBlocks, netip.Prefix.String, kindBlock}, "allow-private-addresses", "blocks of private addresses that submodules and Dockerfiles may lead to, comma-separated; may be given several times")
	Explain(fs, "allow-hosts", "HOST, HOST:PORT, or *.DOMAIN for all hosts of a domain. The hosts of the pipelines' own repositories must be among them.")
	Explain(fs, "allow-private-addresses", "The repositories that the pipeline file names may be on private addresses without it, but for link-local ones. See docs/security.md.")
}

// The kinds of lists, as help shows them.
const (
	kindHost     = "HOST"
	kindProtocol = "PROTOCOL"
	kindBlock    = "CIDR"
)

func same(s string) string { return s }

// listFlag is a list, comma-separated or given several times, each of which is checked as it is given.
type listFlag[T any] struct {
	to    *[]T
	parse func([]string) ([]T, error)
	show  func(T) string
	kind  string
}

// String is the list.
func (l *listFlag[T]) String() string {
	if l.to == nil {
		return ""
	}
	return strings.Join(l.GetSlice(), ",")
}

// GetSlice is the list.
func (l *listFlag[T]) GetSlice() []string {
	texts := make([]string, len(*l.to))
	for i, v := range *l.to {
		texts[i] = l.show(v)
	}
	return texts
}

// Set adds one or more.
func (l *listFlag[T]) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		if err := l.Append(strings.TrimSpace(part)); err != nil {
			return err
		}
	}
	return nil
}

// Append adds one.
func (l *listFlag[T]) Append(text string) error {
	more, err := l.parse([]string{text})
	*l.to = append(*l.to, more...)
	return err
}

// Replace is the whole list.
func (l *listFlag[T]) Replace(texts []string) error {
	all, err := l.parse(texts)
	if err == nil {
		*l.to = all
	}
	return err
}

// Type names the kind in help.
func (l *listFlag[T]) Type() string { return l.kind }
