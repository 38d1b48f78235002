package dockerfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fenceline/fenceline/suggest"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// NoStage says that a name is no stage's but near to one, and what to do; "" where it isn't. The frontend takes
// such a name for an image's. before are the stages that could be meant, by name.
func NoStage(name string, before []string) (problem, fix string) {
	if strings.ContainsAny(name, "/:@.$") || slices.ContainsFunc(before, func(s string) bool { return strings.EqualFold(s, name) }) {
		return "", ""
	}
	near := suggest.Nearest(strings.ToLower(name), before)
	if near == "" {
		return "", ""
	}
	return fmt.Sprintf("%q: no stage has this name, did you mean %s", name, near),
		fmt.Sprintf("name the stage, or the image as it is: docker.io/library/%s:TAG", name)
}

// names looks for stages that are named wrongly.
func (f *file) names() {
	var before []string
	for _, s := range f.stages {
		if _, err := strconv.Atoi(s.BaseName); err != nil {
			f.stage(s.BaseName, before, lineIn(s.Location), f.warn) // an image may have the name
		}
		for _, c := range s.Commands {
			switch c := c.(type) {
			case *instructions.CopyCommand:
				f.stage(c.From, before, lineIn(c.Location()), f.fault)
			case *instructions.RunCommand:
				for _, m := range instructions.GetMounts(c) {
					f.stage(m.From, before, lineIn(c.Location()), f.fault)
				}
			}
		}
		if s.Name != "" {
			before = append(before, strings.ToLower(s.Name))
		}
	}
}

// stage checks a name that stands in a line, and reports one that is none of the stages before it but seems
// meant for a stage.
func (f *file) stage(name string, before []string, line int, report func(line int, problem, fix string)) {
	if n, err := strconv.Atoi(name); err == nil && (n < 0 || n >= len(f.stages)) {
		f.fault(line, fmt.Sprintf("invalid stage index %d", n), fmt.Sprintf("count the stages from 0: the last is %d", len(f.stages)-1))
	} else if err == nil || name == "" || name == "scratch" {
		return
	}
	later := func(s instructions.Stage) bool { return strings.EqualFold(s.Name, name) && lineIn(s.Location) > line }
	if i := slices.IndexFunc(f.stages, later); i >= 0 && !slices.Contains(before, strings.ToLower(name)) {
		report(line, fmt.Sprintf("the stage %q begins behind this line, in line %d", name, lineIn(f.stages[i].Location)), "move it before the stage that uses it")
		return
	}
	if problem, fix := NoStage(name, before); problem != "" {
		report(line, problem, fix)
	}
}
