package producer

import (
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"go.yaml.in/yaml/v3"
)

// rebuildOn says for which changes of what a pipeline builds on its head is built again.
type rebuildOn struct {
	base     bool              // images of others: a tag that the last build took names another image now
	pipeline bool              // images of other pipelines of the file
	interval messages.Duration // between looks at the tags of others' images
	settle   messages.Duration // how long changes must rest that come one after the other
	secret   *hookSecret       // of registries that tell of pushes; nil for none
}

const (
	defaultBaseInterval = messages.Duration(3600e9)
	defaultSettle       = messages.Duration(15e9)
	leastBaseInterval   = messages.Duration(60e9)
	leastSettle         = messages.Duration(1e9)
	// settleMost bounds, as so many times the settling time, how long a rebuild waits for changes to rest.
	settleMost = 6
)

func defaultRebuildOn() rebuildOn {
	return rebuildOn{pipeline: true, interval: defaultBaseInterval, settle: defaultSettle}
}

// follows tells whether anything leads to a rebuild.
func (r *rebuildOn) follows() bool { return r.base || r.pipeline }

// rebuildOn reads a pipeline's rebuild_on.
func (d *document) rebuildOn(x *declared) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		r := &x.rebuild
		d.mapping(n, field, []key{
			{"base", "", d.truth(&r.base)},
			{"pipeline", "", d.truth(&r.pipeline)},
			{"interval", "", d.duration(&r.interval, leastBaseInterval)},
			{"settle", "", d.duration(&r.settle, leastSettle)},
			{"token_file", "", func(n *yaml.Node, field string) { r.secret = d.readSecret(n, field, "the registry") }},
		})
		if r.secret != nil && !r.base && d.schema == nil {
			d.Warn(n, join(field, "token_file"), "what registries tell leads to nothing without base: true")
		}
	}
}

// declaredCycle is the first cycle of pipelines that name each other's images in their build arguments, or nil: each build would
// lead to the next one, for ever. What an argument with a pipeline's own image is for is not known: it is left to its builds.
func declaredCycle(all []*declared) []*declared {
	byName := map[string]*declared{}
	for _, d := range all {
		byName[d.pipeline.Name] = d
	}
	g := imageGraphOf(all, func(pipeline string) (named []messages.PinnedBase) {
		if d := byName[pipeline]; d.rebuild.pipeline {
			for _, value := range d.pipeline.BuildArgs {
				named = append(named, messages.PinnedBase{Source: normalSource(value)})
			}
		}
		return named
	})
	for name := range g {
		delete(g[name], name)
	}
	for _, d := range all {
		if cycle := g.cycle(d.pipeline.Name); cycle != nil {
			out := make([]*declared, len(cycle))
			for i, name := range cycle {
				out[i] = byName[name]
			}
			return out
		}
	}
	return nil
}

// checkCycles refuses pipelines that are known to build on each other in a circle.
func (d *document) checkCycles() {
	cycle := declaredCycle(d.pipelines)
	if cycle == nil {
		return
	}
	names := make([]string, len(cycle), len(cycle)+1)
	for i, x := range cycle {
		names[i] = x.pipeline.Name
	}
	first := cycle[0]
	d.Reader.File = first.at.file
	before := len(d.Problems)
	d.Problem(first.node, fmt.Sprintf("pipeline %s", names[0]), "each of these pipelines names the image of the next one in its build_args, so every build would lead to another one, for ever: %s: give one of them rebuild_on: {pipeline: false}, or name its base by digest",
		strings.Join(append(names, names[0]), " builds on "))
	d.wrong = append(d.wrong, d.Problems[before:]...)
}
