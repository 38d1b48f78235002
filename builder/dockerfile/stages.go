package dockerfile

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/fenceline/fenceline/suggest"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// MeantStage is a name in a Dockerfile that no stage before it has, though it seems meant for one: near to the name of
// one, or just that of a later one. The frontend takes it for an image's on Docker Hub, which it may be.
type MeantStage struct {
	Name         string
	Line         int
	Base         bool // a FROM has it
	Problem, Fix string
}

// plainName is a name that may be a stage's, or an image's on Docker Hub.
var plainName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

// MeantStages finds such names, in the order in which they stand.
func MeantStages(stages []instructions.Stage) []MeantStage {
	var found []MeantStage
	for i, s := range stages {
		if m, ok := meant(s.BaseName, stages, i); ok {
			m.Line, m.Base = lineIn(s.Location), true
			found = append(found, m)
		}
		for _, c := range s.Commands {
			for _, from := range readsFrom(c) {
				if m, ok := meant(from, stages, i); ok {
					m.Line = lineIn(c.Location())
					found = append(found, m)
				}
			}
		}
	}
	return found
}

// meant tells whether a name in the stage of that number is such a one.
func meant(name string, stages []instructions.Stage, at int) (MeantStage, bool) {
	same := func(s instructions.Stage) bool { return strings.EqualFold(s.Name, name) }
	if !plainName.MatchString(name) || name == "scratch" || slices.ContainsFunc(stages[:at], same) {
		return MeantStage{}, false
	}
	if i := slices.IndexFunc(stages[at+1:], same); i >= 0 {
		return MeantStage{
			Name:    name,
			Problem: fmt.Sprintf("the stage %q begins behind this line, in line %d", name, lineIn(stages[at+1+i].Location)),
			Fix:     "move it before the stage that uses it",
		}, true
	}
	var before []string
	for _, s := range stages[:at] {
		if s.Name != "" {
			before = append(before, strings.ToLower(s.Name))
		}
	}
	near := suggest.Nearest(strings.ToLower(name), before)
	return MeantStage{
		Name:    name,
		Problem: fmt.Sprintf("%q: no stage has this name, did you mean %s", name, near),
		Fix:     fmt.Sprintf("write %s, or an image as it is: docker.io/library/%s:TAG", near, name),
	}, near != ""
}

// readsFrom lists what an instruction takes files from.
func readsFrom(c instructions.Command) []string {
	switch c := c.(type) {
	case *instructions.CopyCommand:
		return []string{c.From}
	case *instructions.RunCommand:
		var from []string
		for _, m := range instructions.GetMounts(c) {
			from = append(from, m.From)
		}
		return from
	}
	return nil
}

// names looks for stages that are named wrongly, or by a number that none has.
func (f *file) names() {
	for _, m := range MeantStages(f.stages) {
		report := f.fault
		if m.Base {
			report = f.warn // an image may have the name
		}
		report(m.Line, m.Problem, m.Fix)
	}
	for _, s := range f.stages {
		for _, c := range s.Commands {
			for _, from := range readsFrom(c) {
				if n, err := strconv.Atoi(from); err == nil && (n < 0 || n >= len(f.stages)) {
					f.fault(lineIn(c.Location()), fmt.Sprintf("invalid stage index %d", n), fmt.Sprintf("count the stages from 0: the last is %d", len(f.stages)-1))
				}
			}
		}
	}
}
