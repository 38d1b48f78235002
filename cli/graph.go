package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/producer"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

func newGraphCmd() *cobra.Command {
	var from settings.PipelineFiles
	var dot bool
	cmd := &cobra.Command{
		Use: "graph", Short: "Show which pipelines build on which images",
		Long: `Shows what the pipelines of a pipeline file build on, by what each one's last build took:
below each image the pipelines that build on it, below these those that build on theirs. Of
each it says whether it is built again when the image changes, and if not, why; and of images
whose tag names another one by now, that they have changed.`,
		Example: "  fenceline graph --config /etc/fenceline/fenceline.yaml\n  fenceline graph --dot | dot -Tsvg > graph.svg",
		Args:    settings.Args(0, 0),
	}
	from.Add(cmd.Flags())
	cmd.Flags().BoolVar(&dot, "dot", false, "print it for Graphviz")
	return operator(cmd, func(ctx context.Context, s *session, _ []string) error {
		path, err := from.Path(cmd.Flags())
		if err != nil {
			return err
		}
		p, err := producer.LoadWithoutSecrets(path)
		if err != nil {
			return err
		}
		g, err := s.graph(ctx, p)
		if err != nil {
			return err
		}
		if dot {
			return s.writeDot(g)
		}
		return s.print(g, func(page *terminal.Page) { writeTree(page, g) })
	})
}

// graph is what pipelines build on, with what their registries showed last.
func (s *session) graph(ctx context.Context, p *producer.Pipelines) ([]producer.GraphPipeline, error) {
	looks, err := s.baseLooks(ctx)
	if err != nil {
		return nil, err
	}
	now, problems := map[string]string{}, map[string]string{}
	for _, l := range looks {
		now[l.Source], problems[l.Source] = l.Digest, l.Problem
	}
	on := map[string]builds.BuiltOn{}
	for _, name := range p.Names() {
		if on[name], err = s.builds().BuiltOn(ctx, name); err != nil {
			return nil, err
		}
	}
	g := p.Graph(on)
	for i := range g {
		for j := range g[i].Bases {
			b := &g[i].Bases[j]
			b.Now, b.Problem = now[b.Source], problems[b.Source]
		}
	}
	return g, nil
}

// tree is a graph, for writing it.
type tree struct {
	page  *terminal.Page
	on    map[string][]producer.GraphPipeline // by the pipeline, or the image of nobody, that they build on
	whose map[string]bool                     // pipelines that were written
}

// writeTree writes a graph as a tree: what builds on several things is below each, and what builds on it below the first.
func writeTree(p *terminal.Page, g []producer.GraphPipeline) {
	t := &tree{p, map[string][]producer.GraphPipeline{}, map[string]bool{}}
	roots := map[string]bool{}
	for _, x := range g {
		for _, b := range x.Bases {
			for _, on := range b.Pipelines {
				t.add(on, x)
			}
			if len(b.Pipelines) == 0 {
				t.add(b.Source, x)
				roots[b.Source] = true
			}
		}
	}
	for _, source := range slices.Sorted(maps.Keys(roots)) {
		p.Line("%s", source)
		t.below(source, "")
	}
	for _, x := range g { // those of no base, of a circle, or never built
		if t.whose[x.Pipeline] {
			continue
		}
		p.Line("%s", t.said(x, ""))
		t.whose[x.Pipeline] = true
		t.below(x.Pipeline, "")
	}
}

func (t *tree) add(on string, x producer.GraphPipeline) {
	if !slices.ContainsFunc(t.on[on], func(o producer.GraphPipeline) bool { return o.Pipeline == x.Pipeline }) {
		t.on[on] = append(t.on[on], x)
	}
}

func (t *tree) below(on, indent string) {
	all := t.on[on]
	for i, x := range all {
		branch, next := "├─ ", "│  "
		if i == len(all)-1 {
			branch, next = "└─ ", "   "
		}
		before := t.whose[x.Pipeline]
		t.whose[x.Pipeline] = true
		said := t.said(x, on)
		if before && len(t.on[x.Pipeline]) > 0 {
			said += " (see above)"
		}
		t.page.Line("%s%s%s", indent, branch, said)
		if !before {
			t.below(x.Pipeline, indent+next)
		}
	}
}

// said is a pipeline in a line, and how it stands to what it builds on.
func (t *tree) said(x producer.GraphPipeline, on string) string {
	said := x.Pipeline + "  " + x.Image
	if x.Build == "" {
		return said + "  never built"
	}
	for _, b := range x.Bases {
		if on != "" && b.Source != on && !slices.Contains(b.Pipelines, on) {
			continue
		}
		if on == "" && len(b.Pipelines) == 0 {
			continue
		}
		if !b.Followed {
			said += fmt.Sprintf("  (does not follow %s: %s)", b.Source, b.Why)
		}
		if b.Now != "" && b.Now != b.Digest && b.Why != "it is named by its digest" {
			said += fmt.Sprintf("  (%s has changed: %s, built with %s)", b.Source, overview.ShortDigest(b.Now), overview.ShortDigest(b.Digest))
		}
		if b.Problem != "" {
			said += fmt.Sprintf("  (%s can't be looked at: %s)", b.Source, b.Problem)
		}
	}
	return said
}

// writeDot writes a graph in Graphviz's language. Arrows lead from a base to what builds on it; those that aren't followed
// are dashed.
func (s *session) writeDot(g []producer.GraphPipeline) error {
	text := "digraph fenceline {\n  rankdir=LR;\n"
	named := map[string]bool{}
	for _, x := range g {
		text += fmt.Sprintf("  %s [shape=box];\n", strconv.Quote(x.Pipeline))
		for _, b := range x.Bases {
			from := b.Pipelines
			if len(from) == 0 {
				from = []string{b.Source}
				if !named[b.Source] {
					text += fmt.Sprintf("  %s [shape=ellipse];\n", strconv.Quote(b.Source))
				}
				named[b.Source] = true
			}
			style := ""
			if !b.Followed {
				style = " [style=dashed]"
			}
			for _, f := range from {
				text += fmt.Sprintf("  %s -> %s%s;\n", strconv.Quote(f), strconv.Quote(x.Pipeline), style)
			}
		}
	}
	_, err := s.out.Write([]byte(text + "}\n"))
	return err
}
