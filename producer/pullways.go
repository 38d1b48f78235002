package producer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/suggest"
	"go.yaml.in/yaml/v3"
)

// allowance is a fleet's list of repositories, to be held against the pipeline's image once that is read.
type allowance struct {
	node  *yaml.Node
	field string
	from  []string
}

// preloadFrom reads the registries and repositories that a fleet's nodes may fetch from.
func (d *document) preloadFrom(p *messages.Policy, n *yaml.Node, field string) {
	before := d.Troubles()
	d.words(&p.PreloadFrom, messages.CheckPreloadFrom)(n, field)
	if d.Troubles() > before {
		return
	}
	if len(p.PreloadFrom) == 0 {
		d.Problem(n, field, "lists nothing, so that nodes could fetch nothing: name registries or repositories, or leave it out to allow all")
		return
	}
	d.allowances = append(d.allowances, allowance{n, field, p.PreloadFrom})
}

// checkAllowances refuses a pipeline whose image its own fleets may not fetch.
func (d *document) checkAllowances(p *messages.Pipeline) {
	for _, a := range d.allowances {
		if messages.CheckPreload(a.from, messages.Image(p.Image+"@")) != nil {
			d.Problem(a.node, a.field, "leaves out %s, which this pipeline builds for the fleet: add it, or %q",
				clip(p.Image), p.Image[:max(strings.LastIndex(p.Image, "/"), 0)])
		}
	}
}

// pull reads how a fleet's nodes fetch images.
func (d *document) pull(p *messages.Policy, n *yaml.Node, field string) {
	before, out := d.Troubles(), messages.Pull{}
	d.mapping(n, field, []key{
		{"way", "write how nodes fetch: " + strings.Join(messages.PullWays(), ", "), d.text((*string)(&out.Way), func(s string) error {
			if ways := messages.PullWays(); !slices.Contains(ways, s) {
				return fmt.Errorf("%q is not a way%s (known: %s)", clip(s), suggest.DidYouMean(s, ways), strings.Join(ways, ", "))
			}
			return nil
		})},
		{"mirrors", "", func(n *yaml.Node, field string) {
			d.List(n, field, func(n *yaml.Node, field string) { d.mirror(&out, n, field) })
		}},
	})
	if d.Troubles() > before {
		return
	}
	if err := out.Validate(); err != nil && !d.partial {
		d.Problem(n, field, "%v", err)
		return
	}
	p.Pull = &out
}

// mirror reads one item of mirrors.
func (d *document) mirror(to *messages.Pull, n *yaml.Node, field string) {
	m := messages.Mirror{}
	d.mapping(n, field, []key{
		{"url", "give the mirror's address, such as http://mirror.example.com:5000", d.text(&m.URL, messages.CheckMirrorURL)},
		{"labels", "", func(n *yaml.Node, field string) {
			m.Labels = map[string]string{}
			d.Pairs(n, field, func(name string, _, v *yaml.Node) {
				if v, ok := d.Scalar(v, join(field, name), "text", "!!str", "!!int", "!!float", "!!bool"); ok {
					m.Labels[name] = v.Value
				}
			})
		}},
		{"time_limit", "", d.duration(&m.TimeLimit, messages.Duration(100e6))},
		{"back_off", "", d.duration(&m.BackOff, messages.Duration(100e6))},
	})
	to.Mirrors = append(to.Mirrors, m)
}
