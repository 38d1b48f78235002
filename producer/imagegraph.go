package producer

import (
	"maps"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/google/go-containerregistry/pkg/name"
)

// imageGraph is which pipelines build on the image of which others, by their names.
type imageGraph map[string]map[string]bool

func (g imageGraph) add(pipeline, on string) {
	if g[pipeline] == nil {
		g[pipeline] = map[string]bool{}
	}
	g[pipeline][on] = true
}

// reaches tells whether a pipeline builds on another, by whatever others.
func (g imageGraph) reaches(from, to string) bool {
	seen, next := map[string]bool{}, []string{from}
	for len(next) > 0 {
		at := next[len(next)-1]
		next = next[:len(next)-1]
		for on := range g[at] {
			if on == to {
				return true
			}
			if !seen[on] {
				seen[on] = true
				next = append(next, on)
			}
		}
	}
	return false
}

// circular tells whether what a pipeline builds on builds on it in turn.
func (g imageGraph) circular(pipeline, on string) bool {
	return pipeline == on || g.reaches(on, pipeline)
}

// cycle is a way from a pipeline back to it, without its end; nil where there is none. It is a shortest one.
func (g imageGraph) cycle(pipeline string) []string {
	before, next := map[string]string{}, []string{pipeline}
	for len(next) > 0 {
		at := next[0]
		next = next[1:]
		for _, on := range slices.Sorted(maps.Keys(g[at])) {
			if on == pipeline {
				way := []string{at}
				for at != pipeline {
					at = before[at]
					way = append(way, at)
				}
				slices.Reverse(way)
				return way
			}
			if _, seen := before[on]; !seen {
				before[on] = at
				next = append(next, on)
			}
		}
	}
	return nil
}

// normalSource is an image's name as pins have it, with its registry and tag; "" of what is no name, or is one with a digest.
func normalSource(text string) string {
	if strings.Contains(text, "@") {
		return ""
	}
	tag, err := name.NewTag(text)
	if err != nil {
		return ""
	}
	registry := tag.RegistryStr()
	if registry == name.DefaultRegistry {
		registry = "docker.io"
	}
	return registry + "/" + tag.RepositoryStr() + ":" + tag.TagStr()
}

// tagOf is what the registry of a source calls it.
func tagOf(source string) pushedTag {
	tag, err := name.NewTag(source)
	if err != nil {
		return pushedTag{}
	}
	return pushedTag{tag.RepositoryStr(), tag.TagStr()}
}

// repositoryOf is the repository of an image's name as pins have it.
func repositoryOf(image string) string { return strings.TrimSuffix(normalSource(image), ":latest") }

// imageGraphOf is which of the pipelines build on which, by what each pinned last.
func imageGraphOf(all []*declared, bases func(pipeline string) []messages.PinnedBase) imageGraph {
	owners := map[string][]string{}
	for _, d := range all {
		r := repositoryOf(d.pipeline.Image)
		owners[r] = append(owners[r], d.pipeline.Name)
	}
	g := imageGraph{}
	for _, d := range all {
		for _, b := range bases(d.pipeline.Name) {
			if repository, ok := b.Tagged(); ok {
				for _, on := range owners[repository] {
					g.add(d.pipeline.Name, on)
				}
			}
		}
	}
	return g
}

// GraphPipeline is a pipeline and what it builds on.
type GraphPipeline struct {
	Pipeline string      `json:"pipeline"`
	Image    string      `json:"image"`
	Build    string      `json:"build,omitempty"` // that pinned the bases; "" of a pipeline that was never built
	Bases    []GraphBase `json:"bases,omitempty"`
}

// GraphBase is an image that a pipeline builds on.
type GraphBase struct {
	Source    string   `json:"source"`
	Digest    string   `json:"digest"`              // that the last build took
	Now       string   `json:"now,omitempty"`       // that the registry showed last; "" where nobody has looked
	Pipelines []string `json:"pipelines,omitempty"` // whose image it is
	Followed  bool     `json:"followed"`            // the pipeline is built again when it changes
	Why       string   `json:"why,omitempty"`       // it isn't followed
	Problem   string   `json:"problem,omitempty"`   // why the registry doesn't show it
}

// LoadWithoutSecrets is LoadPipelines for those who only look at what is declared: secrets need not be there.
func LoadWithoutSecrets(path string) (*Pipelines, error) {
	return (&loading{elsewhere: true}).pipelines(path)
}

// Graph is what each pipeline builds on, in the order of the file, by what each was built on last.
func (p *Pipelines) Graph(on map[string]builds.BuiltOn) []GraphPipeline {
	bases := func(pipeline string) []messages.PinnedBase { return on[pipeline].Bases }
	g, owners := imageGraphOf(p.declared, bases), p.imageOwners()
	out := make([]GraphPipeline, len(p.declared))
	for i, d := range p.declared {
		of := GraphPipeline{Pipeline: d.pipeline.Name, Image: d.pipeline.Image, Build: on[d.pipeline.Name].Build}
		for _, b := range bases(d.pipeline.Name) {
			of.Bases = append(of.Bases, d.graphBase(b, g, owners))
		}
		out[i] = of
	}
	return out
}

func (d *declared) graphBase(b messages.PinnedBase, g imageGraph, owners map[string][]string) GraphBase {
	repository, tagged := b.Tagged()
	out := GraphBase{Source: b.Source, Digest: b.Image.Digest()}
	if !tagged {
		out.Why = "it is named by its digest"
		return out
	}
	out.Pipelines = owners[repository]
	circular := slices.ContainsFunc(out.Pipelines, func(on string) bool { return g.circular(d.pipeline.Name, on) })
	switch {
	case circular:
		out.Why = "it builds on this one's image: following it would have no end"
	case len(out.Pipelines) > 0 && !d.rebuild.pipeline:
		out.Why = "rebuild_on.pipeline is false"
	case len(out.Pipelines) == 0 && !d.rebuild.base:
		out.Why = "rebuild_on.base is false"
	default:
		out.Followed = true
	}
	return out
}
