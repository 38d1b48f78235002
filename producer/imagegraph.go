package producer

import (
	"maps"
	"slices"
	"strings"

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
