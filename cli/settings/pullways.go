package settings

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/suggest"
	"github.com/spf13/pflag"
)

// PullWay says how a node fetches images, in place of what its fleet says.
type PullWay struct {
	way       wayFlag
	mirrors   mirrorsFlag
	timeLimit time.Duration
	backOff   time.Duration
}

// Add adds its flags.
func (p *PullWay) Add(fs *pflag.FlagSet) {
	fs.Var(&p.way, "pull", "how this node fetches images: "+strings.Join(messages.PullWays(), ", ")+" (default: as its fleet says)")
	fs.Var(&p.mirrors, "mirror", "mirror to fetch from, in place of the fleet's; may be given several times, and they are tried in order")
	SpanVar(fs, &p.timeLimit, "mirror-time-limit", messages.DefaultTimeLimit, "for a mirror's answer to begin, and for each further 128 KiB of it")
	SpanVar(fs, &p.backOff, "mirror-back-off", messages.DefaultBackOff, "how long a mirror is left alone after a failure, at first")
	Explain(fs, "mirror", "Such as http://mirror.example.com:5000. Its login is that for its host in the docker-config; no other is sent to it, nor that elsewhere.")
}

// Way is what was asked for, or nil where the fleet decides.
func (p *PullWay) Way() *messages.Pull {
	out := &messages.Pull{Way: messages.PullWay(p.way)}
	for _, url := range p.mirrors {
		out.Mirrors = append(out.Mirrors, messages.Mirror{URL: url, TimeLimit: messages.Duration(p.timeLimit), BackOff: messages.Duration(p.backOff)})
	}
	switch {
	case out.Way == "" && len(out.Mirrors) == 0:
		return nil
	case out.Way == "":
		out.Way = messages.PullMirrors
	}
	return out
}

// wayFlag is a way to fetch.
type wayFlag string

// String is the way.
func (w *wayFlag) String() string { return string(*w) }

// Set takes a way.
func (w *wayFlag) Set(s string) error {
	if ways := messages.PullWays(); s != "" && !slices.Contains(ways, s) {
		return fmt.Errorf("%q is not a way to fetch%s (known: %s)", s, suggest.DidYouMean(s, ways), strings.Join(ways, ", "))
	}
	*w = wayFlag(s)
	return nil
}

// Type names the flag's value in help.
func (*wayFlag) Type() string { return "WAY" }

// mirrorsFlag are the addresses of mirrors.
type mirrorsFlag []string

// String lists them.
func (m *mirrorsFlag) String() string { return strings.Join(*m, ",") }

// Set adds one or more, comma-separated.
func (m *mirrorsFlag) Set(s string) error {
	for url := range strings.SplitSeq(s, ",") {
		if err := messages.CheckMirrorURL(url); err != nil {
			return err
		}
		*m = append(*m, url)
	}
	return nil
}

// Type names the flag's value in help.
func (*mirrorsFlag) Type() string { return "URL" }
