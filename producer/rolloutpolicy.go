package producer

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/suggest"
	"go.yaml.in/yaml/v3"
)

// maxCount bounds numbers of nodes and images, far above any fleet.
const maxCount = 1_000_000

// maxCanaries bounds what a rollout's record has to hold of trials.
const maxCanaries = 100

// fleet reads one item of a pipeline's fleets.
func (d *document) fleet(p *messages.Pipeline, n *yaml.Node, field string) {
	t := messages.FleetTarget{Policy: messages.DefaultPolicy()}
	d.mapping(n, field, d.fleetKeys(&t))
	if t.Fleet != "" {
		p.Fleets = append(p.Fleets, t)
	}
}

// fleetKeys are the fields of a fleet.
func (d *document) fleetKeys(t *messages.FleetTarget) []key {
	return []key{
		{"name", "give the fleet's name, a DNS label such as production", func(n *yaml.Node, field string) { d.fleetName(&t.Fleet, n, field) }},
		{"reference", "", d.text((*string)(&t.Policy.Reference), func(s string) error {
			if !slices.Contains(messages.References, messages.Reference(s)) {
				return fmt.Errorf("%q: must be digest (NAME@sha256:…, the default) or local (the name that each node gives the image)", s)
			}
			return nil
		})},
		{"rollout", "", func(n *yaml.Node, field string) { d.rollout(&t.Policy, n, field) }},
		{"preload_from", "", func(n *yaml.Node, field string) { d.preloadFrom(&t.Policy, n, field) }},
		{"pull", "", func(n *yaml.Node, field string) { d.pull(&t.Policy, n, field) }},
		{"fence", "", func(n *yaml.Node, field string) { d.fence(&t.Policy.Fence, n, field) }},
	}
}

// fleetName reads the name of a fleet, which one pipeline alone may feed.
func (d *document) fleetName(to *string, n *yaml.Node, field string) {
	var name string
	d.text(&name, func(s string) error { return messages.CheckName("fleet", s) })(n, field)
	if name == "" {
		return
	}
	if at, ok := d.fleets[name]; ok {
		d.Problem(n, field, "fleet %q is fed at %s already: a fleet is fed by one pipeline, once; remove it from one of them", name, d.at(at))
		return
	}
	d.fleets[name] = d.spot(n)
	*to = name
}

// fence reads where a fleet's fence config lives. What has one setting can be one fleet's alone.
func (d *document) fence(to *string, n *yaml.Node, field string) {
	var kind string
	d.text(&kind, func(s string) error {
		err := messages.CheckFence(s)
		if near := suggest.DidYouMean(s, messages.FenceKinds()); err != nil && near != "" {
			err = errors.New(err.Error() + near)
		}
		return err
	})(n, field)
	if at, ok := d.fences[kind]; ok {
		d.Problem(n, field, "%s holds one image, and is that of a fleet at %s already: give one of them another place", kind, d.at(at))
		return
	}
	if kind == messages.FenceKato || kind == messages.FenceConfdis {
		d.fences[kind] = d.spot(n)
	}
	*to = kind
}

// rollout reads a policy over the defaults.
func (d *document) rollout(p *messages.Policy, n *yaml.Node, field string) {
	before := d.Troubles()
	d.mapping(n, field, []key{
		{"canaries", "", d.integer(&p.Canaries, 0, maxCanaries)},
		{"waves", "", func(n *yaml.Node, field string) { d.waves(p, n, field) }},
		{"max_in_flight", "", d.integer(&p.MaxInFlight, 0, maxCount)},
		{"quorum", "", func(n *yaml.Node, field string) {
			if v, ok := d.percent(n, field); ok {
				p.QuorumPercent = v
			}
		}},
		{"quorum_floor", "", d.integer(&p.QuorumFloor, 1, maxCount)},
		{"node_deadline", "", d.duration(&p.NodeDeadline, messages.Duration(1e9))},
		{"trial", "", func(n *yaml.Node, field string) {
			d.mapping(n, field, []key{
				{"timeout", "", d.duration(&p.Trial.Timeout, messages.Duration(1e9))},
				{"network", "", d.text(&p.Trial.Network, probePolicy(func(p *messages.Policy, s string) { p.Trial.Network = s }))},
				{"user", "", d.text(&p.Trial.User, probePolicy(func(p *messages.Policy, s string) { p.Trial.User = s }))},
				{"disabled", "", d.truth(&p.Trial.Disabled)},
			})
		}},
		{"approval", "", d.truth(&p.Approval)},
		{"soak", "", d.duration(&p.Soak, 0)},
		{"soak_grace", "", d.duration(&p.SoakGrace, messages.Duration(1e9))},
		{"soak_failures", "", func(n *yaml.Node, field string) {
			if v, ok := d.percentFrom(0, n, field); ok {
				p.SoakFailures = &v
			}
		}},
		{"keep", "", d.integer(&p.Keep, 0, 1000)},
		{"preload_bases", "", d.truth(&p.PreloadBases)},
		{"apply", "", func(n *yaml.Node, field string) { d.apply(p, n, field) }},
	})
	if d.Troubles() > before {
		return
	}
	if err := p.Validate(); err != nil {
		d.Problem(n, field, "%v", err)
	}
}

// apply reads what is asked of how nodes apply an image, over its defaults.
func (d *document) apply(p *messages.Policy, n *yaml.Node, field string) {
	a := messages.ApplyPolicy{QuorumPercent: messages.DefaultApplyQuorum, Deadline: messages.DefaultApplyDeadline}
	d.mapping(n, field, []key{
		{"quorum", "", func(n *yaml.Node, field string) {
			if v, ok := d.percent(n, field); ok {
				a.QuorumPercent = v
			}
		}},
		{"deadline", "", d.duration(&a.Deadline, messages.Duration(1e9))},
	})
	p.Apply = &a
}

// waves reads rising percentages of which the last is 100%.
func (d *document) waves(p *messages.Policy, n *yaml.Node, field string) {
	before := d.Troubles()
	var waves []int
	d.List(n, field, func(n *yaml.Node, field string) {
		v, ok := d.percent(n, field)
		if !ok {
			return
		}
		if len(waves) > 0 && v <= waves[len(waves)-1] {
			d.Problem(n, field, "%d%% is not more than the wave before it, %d%%: let waves rise", v, waves[len(waves)-1])
		}
		waves = append(waves, v)
	})
	if d.Troubles() > before {
		return
	}
	if len(waves) == 0 || waves[len(waves)-1] != 100 {
		d.Problem(n, field, "waves end before the whole fleet is reached: let the last be 100%%")
		return
	}
	p.Waves = waves
}
