package cli

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/fenceline/fenceline/cli/plan"
	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
)

// writePlan writes a plan for people.
func writePlan(p *terminal.Page, made *plan.Plan) {
	p.Line("pipeline %s, from %s", made.Pipeline, made.From)
	writeHead(p, &made.Head)
	if l := made.Last; l != nil {
		p.Line("last image %s (build %s, %s)", overview.Short(l.Image), l.Build, cmp.Or(sizeOrNone(l.Bytes), "size not known"))
	}
	writeBases(p, &made.Bases)
	for i := range made.Fleets {
		p.Line("")
		writePlanFleet(p, &made.Fleets[i])
	}
	p.Line("")
	writeObstacles(p, "", made.Obstacles)
	n := len(made.Obstacles)
	for _, f := range made.Fleets {
		n += len(f.Obstacles)
	}
	if made.Flips {
		p.Line("Nothing stands in the way: a push now would be built, and flip.")
		return
	}
	p.Line("A push now would not flip by itself: %s in the way.", overview.Counted(n, "thing")+" "+isOrAre(n))
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func sizeOrNone(n int64) string {
	if n <= 0 {
		return ""
	}
	return messages.Size(n)
}

func writeHead(p *terminal.Page, h *plan.Head) {
	switch {
	case h.Commit == "":
		p.Line("branch %s: its head is not known: %s", h.Branch, h.Unknown)
	case h.Build != "":
		p.Line("branch %s: %s has build %s (%s); a push of another commit would be built", h.Branch, overview.ShortCommit(h.Commit), h.Build, h.State)
	case h.Builds == nil:
		p.Line("branch %s: %s has no build; %s", h.Branch, overview.ShortCommit(h.Commit), h.Why)
	case *h.Builds:
		p.Line("branch %s: %s has no build, and would be built: %s", h.Branch, overview.ShortCommit(h.Commit), h.Why)
	default:
		p.Line("branch %s: %s has no build, and would get none: %s", h.Branch, overview.ShortCommit(h.Commit), h.Why)
	}
}

func writeBases(p *terminal.Page, b *plan.Bases) {
	p.Line("bases, by %s", b.From)
	if b.Why != "" {
		p.Line("  %s", b.Why)
	}
	if len(b.Sources) == 0 {
		return
	}
	p.Head("BASE", "STATE", "NOW", "LAST BUILT ON", "DETAIL")
	for _, s := range b.Sources {
		p.Row(s.Source, s.State, overview.ShortDigest(s.Image.Digest()), overview.ShortDigest(s.Before.Digest()), s.Error)
	}
}

func writePlanFleet(p *terminal.Page, f *plan.Fleet) {
	p.Line("fleet %s: %d of %d members could have the image, %d must", f.Fleet, f.Members-len(f.Absent), f.Members, f.Needed)
	if f.Current != "" {
		p.Line("  current %s", overview.Short(f.Current))
	}
	writeAbsent(p, f.Absent)
	p.Line("  %s", course(f))
	if f.After != "" {
		p.Line("  begins once its rollout in fleet %s is done", f.After)
	}
	if f.Moves != "" {
		p.Line("  rollout %s, which moves now, is superseded", f.Moves)
	}
	writeFetches(p, f)
	writeObstacles(p, "  ", f.Obstacles)
}

// course says in a line how a rollout goes through a fleet.
func course(f *plan.Fleet) string {
	said := ""
	if f.Canaries > 0 {
		said = overview.Counted(f.Canaries, "canary")
		if f.Canaries > 1 {
			said = fmt.Sprintf("%d canaries", f.Canaries)
		}
		if f.Trial {
			said += " with a trial"
		}
		said += ", then "
	}
	for i, w := range f.Waves {
		if i > 0 {
			said += ", "
		}
		said += fmt.Sprint(w)
	}
	said += " of the nodes, wave by wave"
	if f.InFlight > 0 {
		said += fmt.Sprintf("; at most %d fetch at one time", f.InFlight)
	}
	if f.Soak > 0 {
		said += fmt.Sprintf("; soaks for %s", f.Soak)
	}
	return said
}

// absentShown is how many members that would not count are listed.
const absentShown = 10

func writeAbsent(p *terminal.Page, absent map[string]string) {
	names := sorted(absent)
	for _, name := range names[:min(len(names), absentShown)] {
		p.Line("  would not count: %s: %s", name, absent[name])
	}
	if more := len(names) - absentShown; more > 0 {
		p.Line("  and %s, which -o json lists", overview.Counted(more, "more"))
	}
}

// fetchesShown is how many groups of nodes are listed that fetch the same.
const fetchesShown = 8

// writeFetches writes what nodes would fetch, those together that fetch the same.
func writeFetches(p *terminal.Page, f *plan.Fleet) {
	switch {
	case f.Unknown != "":
		p.Line("  what nodes would fetch is not known: %s", f.Unknown)
		return
	case len(f.Fetches) == 0:
		return
	}
	type same struct{ bytes, most int64 }
	groups := map[same][]string{}
	for _, n := range f.Fetches {
		k := same{n.Bytes, n.Most}
		groups[k] = append(groups[k], n.Node)
	}
	keys := make([]same, 0, len(groups))
	for k := range groups {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b same) int {
		return cmp.Or(cmp.Compare(b.most, a.most), cmp.Compare(b.bytes, a.bytes))
	})
	for _, k := range keys[:min(len(keys), fetchesShown)] {
		p.Line("  %s would fetch %s, at most %s: %s", overview.Counted(len(groups[k]), "node"), messages.Size(k.bytes), messages.Size(k.most), decide.JoinNames(groups[k]))
	}
	if more := len(keys) - fetchesShown; more > 0 {
		p.Line("  and others, which -o json lists")
	}
}

func writeObstacles(p *terminal.Page, indent string, all []decide.Obstacle) {
	for _, o := range all {
		p.Line("%sIN THE WAY: %s", indent, o.Why)
	}
}
