package settings

import (
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/spf13/pflag"
)

// PullWay says how a node fetches images, in place of what its fleet says.
type PullWay struct {
	way       string
	mirrors   []string
	timeLimit time.Duration
	backOff   time.Duration
}

// Add adds its flags.
func (p *PullWay) Add(fs *pflag.FlagSet) {
	fs.StringVar(&p.way, "pull", "", "how this node fetches images: "+strings.Join(messages.PullWays(), ", ")+" (default: as its fleet says)")
	fs.StringSliceVar(&p.mirrors, "mirror", nil, "mirror to fetch from, in place of the fleet's; may be given several times, and they are tried in order")
	SpanVar(fs, &p.timeLimit, "mirror-time-limit", messages.DefaultTimeLimit, "for an answer of such a mirror to begin, and for each further 128 KiB of it")
	SpanVar(fs, &p.backOff, "mirror-back-off", messages.DefaultBackOff, "how long such a mirror is left alone after a failure, at first")
	Explain(fs, "mirror", "Such as http://mirror.example.com:5000. Its login is that for its host in the docker-config; no other is sent to it, nor that elsewhere.")
}

// Way is what was asked for, unchecked, or nil where the fleet decides. A time limit or back-off asks for mirrors.
func (p *PullWay) Way() *messages.Pull {
	out := &messages.Pull{Way: messages.PullWay(p.way)}
	for _, url := range p.mirrors {
		out.Mirrors = append(out.Mirrors, messages.Mirror{URL: url, TimeLimit: messages.Duration(p.timeLimit), BackOff: messages.Duration(p.backOff)})
	}
	switch {
	case out.Way == "" && len(out.Mirrors) == 0 && p.timeLimit == messages.DefaultTimeLimit && p.backOff == messages.DefaultBackOff:
		return nil
	case out.Way == "":
		out.Way = messages.PullMirrors
	}
	return out
}

// Check refuses what would do nothing: a time limit or back-off of mirrors beside a way that uses none.
func (p *PullWay) Check() error {
	way := messages.PullWay(p.way)
	if way == "" || way == messages.PullMirrors || p.timeLimit == messages.DefaultTimeLimit && p.backOff == messages.DefaultBackOff {
		return nil
	}
	return Usagef("--mirror-time-limit and --mirror-back-off are for mirrors, and --pull %s uses none: leave them out, or write --pull %s with a --mirror", way, messages.PullMirrors)
}
