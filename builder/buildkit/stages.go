package buildkit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/fenceline/fenceline/builder/dockerfile"
	"github.com/fenceline/fenceline/messages"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/subrequests/targets"
)

// misspeltStage finds the first name that is meant for a stage and is no image's either. Where nobody can tell, a base counts
// as an image, which most are, and what files are taken from as a stage.
func (r *run) misspeltStage(ctx context.Context, answer []byte) (dockerfile.MeantStage, bool) {
	for _, m := range meantStages(answer) {
		switch said, _ := r.solver.registry.ask(ctx, m.Name); said {
		case absent, denied:
			return m, true
		case troubled, silent:
			if !m.Base {
				return m, true
			}
		case present:
		}
	}
	return dockerfile.MeantStage{}, false
}

// meantStages finds such names in the Dockerfile that the subrequest for its stages answers with.
func meantStages(answer []byte) []dockerfile.MeantStage {
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
	return dockerfile.MeantStages(stages)
}

// misspelt says what is wrong with such a name.
func misspelt(m dockerfile.MeantStage, file string) messages.Failure {
	return messages.Failure{Class: messages.FailureUser, Place: fmt.Sprintf("%s:%d", file, m.Line), Reason: m.Problem, Fix: m.Fix}
}
