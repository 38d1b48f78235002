package buildkit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/suggest"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/subrequests/targets"
)

// misspelt is a name in a Dockerfile that BuildKit takes for an image's, as no stage has it, though one
// has nearly the same name.
type misspelt struct {
	name, stage string
	line        int
	later       bool // the stage has just this name, and comes after its use
	base        bool // a FROM names it
}

// plainName is a name that may be a stage's, or an image's on Docker Hub.
var plainName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

// misspeltStage finds the first such name that is no image's. Where nobody can tell, a base counts as an
// image, which most are, and what files are taken from as a stage.
func (r *run) misspeltStage(ctx context.Context, answer []byte) (misspelt, bool) {
	for _, m := range nearStages(answer) {
		switch said, _ := r.solver.registry.ask(ctx, m.name); said {
		case absent, denied:
			return m, true
		case troubled, silent:
			if !m.base {
				return m, true
			}
		case present:
		}
	}
	return misspelt{}, false
}

// nearStages finds such names in the Dockerfile that the subrequest for its stages answers with.
func nearStages(answer []byte) []misspelt {
	var list targets.List
	if err := json.Unmarshal(answer, &list); err != nil || len(list.Sources) == 0 {
		return nil
	}
	file, err := parser.Parse(bytes.NewReader(list.Sources[0]))
	if err != nil {
		return nil
	}
	stages, _, err := instructions.Parse(file.AST, nil)
	if err != nil {
		return nil
	}
	var all []string
	for _, s := range stages {
		all = append(all, s.Name)
	}
	var found []misspelt
	for i, s := range stages {
		before := slices.DeleteFunc(slices.Clone(all[:i]), func(name string) bool { return name == "" })
		if m, ok := compare(s.BaseName, before, all[i+1:], s.Location); ok {
			m.base = true
			found = append(found, m)
		}
		for _, c := range s.Commands {
			for _, from := range readsFrom(c) {
				if m, ok := compare(from, before, all[i+1:], c.Location()); ok {
					found = append(found, m)
				}
			}
		}
	}
	return found
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

// compare tells whether a name that no stage before it has is nearly that of one, or that of a later
// one.
func compare(name string, before, after []string, at []parser.Range) (misspelt, bool) {
	same := func(stage string) bool { return strings.EqualFold(stage, name) }
	if !plainName.MatchString(name) || name == "scratch" || slices.ContainsFunc(before, same) || len(at) == 0 {
		return misspelt{}, false
	}
	m := misspelt{name: name, line: at[0].Start.Line, later: slices.ContainsFunc(after, same)}
	if m.stage = suggest.Nearest(name, before); m.stage == "" && m.later {
		m.stage = name
	}
	return m, m.stage != ""
}

// failure says what is wrong with it.
func (m *misspelt) failure(dockerfile string) messages.Failure {
	f := messages.Failure{
		Class: messages.FailureUser, Place: fmt.Sprintf("%s:%d", dockerfile, m.line),
		Reason: fmt.Sprintf("%q: no stage has this name, did you mean %s?", m.name, m.stage),
		Fix:    fmt.Sprintf("write %s, or the image's whole name with its registry if an image is meant", m.stage),
	}
	if m.later {
		f.Reason = fmt.Sprintf("%q: no stage before this line has this name, the one that has it comes later", m.name)
		f.Fix = "put that stage in front of this one"
	}
	return f
}
